//! The clusters that are in force or warming, and what each has asked for.

use std::sync::Arc;

use super::Clusters;
use crate::config::cluster::Discovery;
use crate::control::Effect;
use crate::control::endpoints::Service;
use crate::upstream::Cluster;

/// A cluster in force or warming.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) cluster: Arc<Cluster>,
    pub(super) service: Option<Service>,
}

impl Clusters {
    /// Brings what is known of the clusters of one name in line with what the manager has of them.
    pub(super) fn reconcile(&mut self, name: &Arc<str>) {
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
        if cluster.is_watched() {
            self.effects.push(Effect::Watch(Arc::clone(&cluster)));
        }
        self.refers_anew |= cluster.config.discovers_filters();
        Live { cluster, service }
    }

    fn detach(&mut self, live: Live) {
        if let Some(service) = &live.service {
            self.endpoints.unwant(service, &live.cluster.name);
        }
        self.refers_anew |= live.cluster.config.discovers_filters();
        self.forget(live.cluster.id);
        self.stale.forget(live.cluster.id);
        self.end_sub_clusters(&live.cluster);
        let discovery = &live.cluster.config.discovery;
        if discovery.resolves_names() || matches!(discovery, Discovery::OriginalDst(_)) {
            self.effects.push(Effect::StopResolving(live.cluster.id));
        }
        if live.cluster.is_watched() {
            self.effects.push(Effect::StopWatching(live.cluster.id));
        }
    }
}
