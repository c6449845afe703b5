//! What a request and its route bring to the choice of its host.

use std::rc::Rc;
use std::sync::Arc;

use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::route::mutation::Levels;
use crate::upstream::pool::HostPool;
use crate::upstream::{Cluster, lb};

use super::override_host::{self, Named};
use super::retry::Attempts;
use super::subset::{self, Criteria};

impl<D: Downstream> Exchange<'_, D> {
    /// The host of the cluster's balancer.
    pub(super) fn balance(
        &self,
        cluster: &Arc<Cluster>,
        hash: Option<u64>,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        let worker = &self.connection.worker;
        let hosts = worker.pools.of(cluster);
        let mut rng = worker.rng.borrow_mut();
        let load = attempts.as_mut().and_then(|attempts| attempts.load(&hosts, &mut rng));
        let choice =
            attempts.as_ref().map_or_else(lb::Choice::default, |attempts| attempts.choice(load.as_ref()));
        let choice = lb::Choice { hash, ..choice };
        if cluster.is_plain() {
            return hosts.choose(&mut rng, &choice);
        }
        let criteria = match cluster.config.lb.subsets {
            None => Criteria::new(),
            Some(_) => subset::criteria(levels.metadata_match(), self.info.notes()),
        };
        let named = match &cluster.config.lb.override_host {
            None => Named::new(),
            Some(config) => override_host::named(config, &self.headers.request, self.info.notes()),
        };
        let snapshot = worker.snapshot();
        let choice = lb::Choice {
            criteria: &criteria,
            runtime: Some(&snapshot.runtime),
            now: cluster.age(),
            named: &named,
            attempts: self.info.upstream_attempts.saturating_sub(1) as usize,
            ..choice
        };
        hosts.choose(&mut rng, &choice)
    }
}
