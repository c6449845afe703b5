//! CDS and EDS: which clusters there are, and when each is warm.
//!
//! A state machine without I/O: responses, resolved names and the time go in, [`Effect`]s come out.
//!
//! - A cluster waits for its first endpoints: from its subscription, from DNS, or at most for
//!   `initial_fetch_timeout`; then it serves with what there is.
//! - A cluster that replaces one with the same service waits for its endpoints to come again, since they may be sent
//!   to fit the change; after the timeout it takes those that came last. A cluster new by its name takes them at
//!   once: it keeps nothing from serving.
//! - Where configurations of its filters are discovered it waits for those next.
//! - The answer to a response is withheld while a cluster warms, once the first clusters have warmed.

mod eds;
mod filters;
mod live;
mod stale;
mod sub_clusters;
mod warming;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::endpoints::Endpoints;
use super::push::{Body, Change, Kind};
use super::resources::{Record, Resources};
use super::verdict::{LeadIn, Problem, verdict};
use super::{Effect, Ticket};
use crate::config;
use crate::config::dns_cache::DnsCache;
use crate::config::field::Error;
use crate::config::source::ConfigSource;
use crate::upstream::{self, Manager};
use crate::xds::Verdict;

use live::Live;
use stale::Stale;
use sub_clusters::SubClusters;
use warming::Waiting;

/// All clusters, and what they wait for.
#[derive(Debug)]
pub struct Clusters {
    manager: Manager,
    endpoints: Endpoints,
    /// Where clusters come from; what a source of kind `self` means.
    source: Option<ConfigSource>,
    resources: Resources,
    live: HashMap<Arc<str>, Vec<Live>>,
    waiting: HashMap<u64, Waiting>,
    deadlines: BTreeSet<(Instant, u64)>,
    stale: Stale,
    subs: SubClusters,
    withhold: bool,
    withheld: Vec<(Ticket, Verdict)>,
    effects: Vec<Effect>,
    /// Whether there are others than at the last look of which configurations of filters are discovered.
    refers_anew: bool,
}

impl Clusters {
    /// No clusters yet; those of CDS will come from `source`.
    pub fn new(manager: Manager, source: Option<ConfigSource>) -> Self {
        Clusters {
            manager,
            endpoints: Endpoints::default(),
            source,
            resources: Resources::default(),
            live: HashMap::new(),
            waiting: HashMap::new(),
            deadlines: BTreeSet::new(),
            stale: Stale::default(),
            subs: SubClusters::default(),
            withhold: false,
            withheld: Vec::new(),
            effects: Vec::new(),
            refers_anew: false,
        }
    }

    /// The clusters by name.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// What came over CDS.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// What came over EDS.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Names that EDS is asked for where they changed, by source; see [`Endpoints::take_changed`].
    pub fn take_wanted_endpoints(&mut self) -> Vec<(usize, BTreeSet<String>)> {
        self.endpoints.take_changed()
    }

    /// Nothing is wanted of a source of endpoints, and it is not asked any more.
    pub(super) fn forget_source(&mut self, source: usize) {
        self.endpoints.forget(source);
    }

    /// What is to be done now, in this order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether a cluster of this name is in force or warming.
    pub fn has(&self, name: &str) -> bool {
        self.live.contains_key(name)
    }

    /// Whether any cluster waits for its first hosts.
    pub fn is_warming(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The first clusters have warmed: from now on answers wait for the clusters that they bring.
    pub fn withhold_answers(&mut self) {
        self.withhold = true;
    }

    /// Adds a cluster of the bootstrap.
    pub fn add_fixed(&mut self, config: Arc<config::Cluster>, now: Instant) {
        let cluster = self.manager.add_fixed(config);
        self.begin(cluster, now);
    }

    /// Takes some of a response's resources; what is wrong with them.
    pub fn update(&mut self, changes: Vec<Change<config::Cluster>>, now: Instant) -> Vec<Problem> {
        changes.into_iter().filter_map(|change| self.update_one(change, now)).collect()
    }

    fn update_one(&mut self, change: Change<config::Cluster>, now: Instant) -> Option<Problem> {
        let Change { name, record, body } = change;
        let config = match body {
            Body::New(config) => config,
            Body::Same => {
                self.resources.confirm(&name);
                return None;
            }
            Body::Bad(errors) => return Some(self.reject(&name, errors, record)),
        };
        if self.manager.is_fixed(&name) {
            return None;
        }
        if let Some(conflict) = self.manager.conflict(&config) {
            return Some(self.reject(&name, vec![Error::of_resource(conflict)], record));
        }
        match self.manager.add_or_update(config) {
            upstream::manager::Update::Unchanged => self.resources.confirm(&name),
            upstream::manager::Update::Reverted => {
                self.resources.revert(&name, record);
                self.reconcile(&Arc::from(name));
            }
            upstream::manager::Update::Warming(cluster) => {
                self.resources.warm(&name, record);
                self.begin(cluster, now);
            }
        }
        None
    }

    /// Notes a resource that is not in force.
    fn reject(&mut self, name: &str, errors: Vec<Error>, record: Record) -> Problem {
        let problem = Problem::new(config::Cluster::MESSAGE, name, errors, &record);
        self.resources.reject(&problem, record);
        problem
    }

    /// Keeps the caches of names that filters of listeners name.
    pub fn keep_caches<'c>(&mut self, named: impl Iterator<Item = &'c DnsCache>) {
        let came = self.manager.keep_caches(named);
        self.effects.extend(came.into_iter().map(Effect::ResolveNames));
    }

    /// The name of a cluster that is most likely meant by one that is not there.
    pub fn nearest(&self, name: &str) -> Option<String> {
        dragoman_proto::nearest(name, self.live.keys().map(|known| &**known)).map(str::to_owned)
    }

    /// Notes the resources of a response of which nothing counts.
    pub fn reject_all(&mut self, changes: Vec<Change<config::Cluster>>) {
        for Change { name, record, body } in changes {
            if let Body::Bad(errors) = body {
                self.reject(&name, errors, record);
            }
        }
    }

    /// Removes clusters; those of the bootstrap stay.
    pub fn remove(&mut self, names: &[String]) {
        for name in names {
            if self.manager.remove(name) {
                self.reconcile(&Arc::from(name.as_str()));
            }
            self.resources.remove(name);
        }
    }

    /// A response of CDS counts as a whole.
    pub fn took(&mut self, version: &str) {
        version.clone_into(&mut self.resources.version);
    }

    /// Ends a response: removes what is gone, and answers it now or once its clusters are warm.
    pub fn finish(&mut self, gone: &[String], problems: &[Problem], ticket: Ticket) {
        self.remove(gone);
        self.withheld.push((ticket, verdict(LeadIn::Clusters, problems)));
        self.release();
    }
}

#[cfg(test)]
mod tests;
