//! EDS: endpoints, and the clusters that want them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::Clusters;
use crate::config::LoadAssignment;
use crate::control::endpoints::Service;
use crate::control::push::{Body, Change, Kind};
use crate::control::subscriptions;
use crate::control::verdict::Problem;
use crate::upstream::Cluster;
use crate::xds::FileContent;

impl Clusters {
    /// Takes one load assignment; what is wrong with it.
    pub fn update_endpoints(
        &mut self,
        source: usize,
        change: Change<LoadAssignment>,
        now: Instant,
    ) -> Option<Problem> {
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
                return Some(Problem::new(LoadAssignment::MESSAGE, &name, errors, &record));
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
                let were_stale = self.renew(&cluster, &assignment, now);
                self.assign(&cluster, &assignment, changed || were_stale);
            }
        }
        self.release();
        None
    }

    /// A file was read: for clusters that want other endpoints of it there is nothing.
    pub fn miss(&mut self, source: usize, content: FileContent<'_>, version: &str) {
        let live = self.live.values().flatten();
        let wants_other =
            |service: &Service| service.source == source && content != FileContent::One(&service.name);
        let missed = live.filter(|live| live.service.as_ref().is_some_and(wants_other));
        let missed: Vec<Arc<Cluster>> = missed.map(|live| Arc::clone(&live.cluster)).collect();
        for cluster in missed {
            if content != FileContent::Nothing {
                tracing::warn!(
                    target: "config",
                    cluster = &*cluster.name,
                    ?content,
                    "the file is not one with its endpoints alone"
                );
                self.rejected_for(&cluster);
                continue;
            }
            if let Some(stats) = &cluster.eds_stats {
                subscriptions::succeeded(stats, version, SystemTime::now());
            }
            cluster.membership.update_empty().inc();
            if self.waiting.contains_key(&cluster.id) {
                self.use_last_endpoints(&cluster);
            }
        }
        self.release();
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
            self.ready(cluster);
        } else if changed {
            self.manager.hosts_changed(cluster.update_endpoints(assignment));
        } else {
            cluster.confirm_endpoints();
        }
    }
}
