//! Subsets: a request says in metadata what its host has to be, and only hosts whose own metadata says the same are
//! balanced for it.
//!
//! The control thread divides the hosts when it publishes them ([`Index`]); a worker looks up the subset of a request
//! (`choice`) and remembers whose turn it is in each that it used (`SubsetTurns`). Which subsets
//! there are, and what is used where none fits, is Envoy's.

mod choice;
mod draft;
mod index;
mod members;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Choice;
use super::turns::Turns;
use crate::base::random::Rng;
use crate::upstream::{Cluster, Host, LocalCluster};

pub use index::{Index, Members, Subset};

/// A name and what the metadata of hosts has there.
pub type Criterion<'a> = (&'a str, &'a Value);

/// Whose turn it is in the subsets that a worker has used.
#[derive(Debug, Default)]
pub(super) struct SubsetTurns {
    by_id: HashMap<u32, Turns>,
}

impl SubsetTurns {
    /// Forgets what is remembered of subsets that are gone.
    pub(super) fn retain(&mut self, index: &Index) {
        self.by_id.retain(|id, _| index.has(*id));
    }

    /// The host for a request.
    pub(super) fn choose(
        &mut self,
        index: &Index,
        cluster: &Cluster,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<Arc<Host>> {
        let config = cluster.config.lb.subsets.as_deref()?;
        let mut pick = |subset: &Subset| self.pick(subset, cluster, rng, request);
        choice::choose(index, config, &cluster.membership, request.criteria, &mut pick)
    }

    fn pick(
        &mut self,
        subset: &Subset,
        cluster: &Cluster,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<Arc<Host>> {
        let hosts = match &subset.members {
            Members::One(host) => return Some(Arc::clone(host)),
            Members::Hosts(hosts) => hosts,
        };
        let turns = self.by_id.entry(subset.id).or_default();
        if !turns.knows(hosts.version, cluster.fellows().map_or(0, LocalCluster::version)) {
            turns.reset(hosts, cluster, rng, request.runtime);
        }
        let left = request.left_out.and_then(|left_out| left_out.apply(turns.load(), hosts));
        let load = left.as_ref().or(request.load);
        turns.choose(hosts, cluster, rng, &Choice { load, ..*request })
    }
}
