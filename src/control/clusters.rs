//! CDS and EDS: which clusters there are, and when each is warm.
//!
//! A state machine without I/O: responses, resolved names and the time go in, [`Effect`]s come out.
//!
//! - A cluster waits for its first endpoints: from its subscription, from DNS, or at most for
//!   `initial_fetch_timeout`; then it serves with what there is.
//! - A cluster that replaces one with the same service waits for its endpoints to come again, since they may be sent
//!   to fit the change; after the timeout it takes those that came last. A cluster new by its name takes them at
//!   once: it keeps nothing from serving.
//! - The answer to a response is withheld while a cluster warms, once the first clusters have warmed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::endpoints::{Endpoints, Service};
use super::push::{Body, Change};
use super::resources::{Record, Resources};
use super::verdict::{LeadIn, Problem, verdict};
use super::{Effect, Ticket, subscriptions};
use crate::config::cluster::Discovery;
use crate::config::source::ConfigSource;
use crate::config::{self, LoadAssignment};
use crate::upstream::discovery::dns::Resolution;
use crate::upstream::discovery::static_;
use crate::upstream::{self, Cluster, Manager};
use crate::xds::Verdict;

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
    withhold: bool,
    withheld: Vec<(Ticket, Verdict)>,
    effects: Vec<Effect>,
}

/// A cluster in force or warming.
#[derive(Debug)]
struct Live {
    cluster: Arc<Cluster>,
    service: Option<Service>,
}

/// A cluster that waits for its first hosts.
#[derive(Debug)]
struct Waiting {
    cluster: Arc<Cluster>,
    deadline: Option<Instant>,
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
            withhold: false,
            withheld: Vec::new(),
            effects: Vec::new(),
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
            Body::Bad(errors) => return Some(self.reject(Problem::new(&name, &errors), record)),
        };
        if self.manager.is_fixed(&name) {
            return None;
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
    pub fn reject(&mut self, problem: Problem, record: Record) -> Problem {
        self.resources.reject(&problem, record);
        problem
    }

    /// Notes the resources of a response of which nothing counts.
    pub fn reject_all(&mut self, changes: Vec<Change<config::Cluster>>) {
        for Change { name, record, body } in changes {
            if let Body::Bad(errors) = body {
                self.reject(Problem::new(&name, &errors), record);
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

    /// Ends a response: removes what is gone, and answers it now or once its clusters are warm.
    pub fn finish(&mut self, version: String, gone: &[String], problems: &[Problem], ticket: Ticket) {
        self.remove(gone);
        if problems.is_empty() {
            self.resources.version = version;
        }
        self.withheld.push((ticket, verdict(LeadIn::Clusters, problems)));
        self.release();
    }

    /// Takes one load assignment; what is wrong with it.
    pub fn update_endpoints(&mut self, source: usize, change: Change<LoadAssignment>) -> Option<Problem> {
        let Change { name, record, body } = change;
        let service = Service { source, name: Arc::from(name.as_str()) };
        let (version, when) = (record.version.clone(), record.last_updated);
        let (new, changed) = match body {
            Body::New(assignment) => (Some((assignment, record)), true),
            Body::Same => (None, false),
            Body::Bad(errors) => {
                let names: BTreeSet<Arc<str>> = self.endpoints.wanting(&service).iter().cloned().collect();
                let wanting: Vec<_> = names.iter().flat_map(|name| self.wanting(name, &service)).collect();
                wanting.iter().for_each(|cluster| self.rejected_for(cluster));
                self.release();
                return Some(Problem::new(&name, &errors));
            }
        };
        let (assignment, mut names) = self.endpoints.take(&service, new)?;
        names.sort_unstable();
        names.dedup();
        for name in names {
            for cluster in self.wanting(&name, &service) {
                if let Some(stats) = &cluster.eds_stats {
                    subscriptions::succeeded(stats, &version, when);
                }
                self.assign(&cluster, &assignment, changed);
            }
        }
        self.release();
        None
    }

    /// A response of an EDS source was rejected as a whole: clusters wait for its endpoints no longer.
    pub fn rejected(&mut self, source: usize) {
        for cluster in self.of_source(source) {
            self.rejected_for(&cluster);
        }
        self.release();
    }

    /// The endpoints of a cluster were rejected: it keeps those that it has, and waits no longer.
    fn rejected_for(&mut self, cluster: &Arc<Cluster>) {
        if let Some(stats) = &cluster.eds_stats {
            stats.update_rejected().inc();
            stats.update_attempt().inc();
        }
        if self.waiting.contains_key(&cluster.id) {
            self.use_last_endpoints(cluster);
        }
    }

    /// The stream of an EDS source was lost.
    pub fn disconnected(&self, source: usize) {
        for cluster in self.of_source(source) {
            if let Some(stats) = &cluster.eds_stats {
                stats.update_failure().inc();
                stats.update_attempt().inc();
            }
        }
    }

    /// The clusters that get their endpoints from a source.
    fn of_source(&self, source: usize) -> Vec<Arc<Cluster>> {
        let live = self.live.values().flatten();
        let fed = live.filter(|live| live.service.as_ref().is_some_and(|service| service.source == source));
        fed.map(|live| Arc::clone(&live.cluster)).collect()
    }

    /// The clusters of this name that want the service.
    fn wanting(&self, name: &str, service: &Service) -> Vec<Arc<Cluster>> {
        let live = self.live.get(name).into_iter().flatten();
        let wanting = live.filter(|live| live.service.as_ref() == Some(service));
        wanting.map(|live| Arc::clone(&live.cluster)).collect()
    }

    /// Hands endpoints to a cluster; if it waited for them, it is warm now.
    fn assign(&mut self, cluster: &Arc<Cluster>, assignment: &LoadAssignment, changed: bool) {
        if self.waiting.contains_key(&cluster.id) {
            cluster.update_endpoints(assignment);
            self.activate(cluster);
        } else if changed {
            self.manager.hosts_changed(cluster.update_endpoints(assignment));
        }
    }

    /// The names of a cluster were resolved.
    pub fn resolved(&mut self, cluster: &Arc<Cluster>, resolution: Resolution) {
        match resolution {
            Resolution::First => self.activate(cluster),
            Resolution::Later(change) => self.manager.hosts_changed(change),
        }
        self.release();
    }

    /// When [`expire`](Self::expire) next has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Ends the wait of clusters whose time is up.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            if let Some(waiting) = self.waiting.get(&id) {
                let cluster = Arc::clone(&waiting.cluster);
                self.give_up_waiting(&cluster);
            }
        }
        self.release();
    }

    fn give_up_waiting(&mut self, cluster: &Arc<Cluster>) {
        if let Some(stats) = &cluster.eds_stats {
            stats.init_fetch_timeout().inc();
        }
        self.use_last_endpoints(cluster);
    }

    /// Ends the wait of a cluster with the endpoints that came last, or none.
    fn use_last_endpoints(&mut self, cluster: &Arc<Cluster>) {
        if let Some(assignment) = self.last_endpoints(cluster) {
            cluster.membership.assignment_use_cached().inc();
            cluster.update_endpoints(&assignment);
        }
        self.activate(cluster);
    }

    fn last_endpoints(&mut self, cluster: &Cluster) -> Option<Arc<LoadAssignment>> {
        let service = self.endpoints.service(&cluster.config, self.source.as_ref())?;
        self.endpoints.last(&service).cloned()
    }

    /// Begins to warm a cluster.
    fn begin(&mut self, cluster: Arc<Cluster>, now: Instant) {
        self.reconcile(&cluster.name);
        match &cluster.config.discovery {
            Discovery::Static(_) => {
                static_::populate(&cluster);
                self.activate(&cluster);
            }
            Discovery::StrictDns(..) | Discovery::LogicalDns(..) => {
                self.wait(&cluster, None);
                self.effects.push(Effect::Resolve(cluster));
            }
            Discovery::Eds { source, .. } => {
                if let Some(stats) = &cluster.eds_stats {
                    subscriptions::begun(stats, source);
                }
                let replaces = self.manager.active().contains_key(&cluster.name);
                if !replaces && let Some(assignment) = self.last_endpoints(&cluster) {
                    cluster.update_endpoints(&assignment);
                    self.activate(&cluster);
                } else {
                    let timeout = source.initial_fetch_timeout;
                    self.wait(&cluster, (!timeout.is_zero()).then(|| now + timeout));
                }
            }
        }
    }

    fn wait(&mut self, cluster: &Arc<Cluster>, deadline: Option<Instant>) {
        self.deadlines.extend(deadline.map(|deadline| (deadline, cluster.id)));
        self.waiting.insert(cluster.id, Waiting { cluster: Arc::clone(cluster), deadline });
    }

    fn forget(&mut self, id: u64) {
        if let Some(Waiting { deadline: Some(deadline), .. }) = self.waiting.remove(&id) {
            self.deadlines.remove(&(deadline, id));
        }
    }

    /// Puts a cluster in force, unless it was given up meanwhile.
    fn activate(&mut self, cluster: &Arc<Cluster>) {
        self.forget(cluster.id);
        if self.manager.activate(cluster) {
            self.resources.activate(&cluster.name);
            self.reconcile(&cluster.name);
        }
    }

    /// Brings what is known of the clusters of one name in line with what the manager has of them.
    fn reconcile(&mut self, name: &Arc<str>) {
        let active = self.manager.active().get(name).cloned();
        let warming = self.manager.warming().get(name).cloned();
        let mut before = self.live.remove(name).unwrap_or_default();
        let mut after = Vec::new();
        for cluster in active.into_iter().chain(warming) {
            match before.iter().position(|live| Arc::ptr_eq(&live.cluster, &cluster)) {
                Some(index) => after.push(before.swap_remove(index)),
                None => after.push(self.attach(cluster)),
            }
        }
        for live in before {
            self.detach(live);
        }
        if !after.is_empty() {
            self.live.insert(Arc::clone(name), after);
        }
    }

    fn attach(&mut self, cluster: Arc<Cluster>) -> Live {
        let service = self.endpoints.service(&cluster.config, self.source.as_ref());
        if let Some(service) = &service {
            self.endpoints.want(service, &cluster.name);
        }
        Live { cluster, service }
    }

    fn detach(&mut self, live: Live) {
        if let Some(service) = &live.service {
            self.endpoints.unwant(service, &live.cluster.name);
        }
        self.forget(live.cluster.id);
        if matches!(live.cluster.config.discovery, Discovery::StrictDns(..) | Discovery::LogicalDns(..)) {
            self.effects.push(Effect::StopResolving(live.cluster.id));
        }
    }

    /// Gives the answers that need not wait any longer.
    fn release(&mut self) {
        if !self.withhold || self.waiting.is_empty() {
            let settle = |(ticket, verdict)| Effect::Settle(ticket, verdict);
            self.effects.extend(self.withheld.drain(..).map(settle));
        }
    }
}

#[cfg(test)]
mod tests;
