//! Endpoints that go stale: `ClusterLoadAssignment.Policy.endpoint_stale_after`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Clusters;
use crate::config::LoadAssignment;
use crate::upstream::Cluster;

/// Clusters whose endpoints go stale, or went.
#[derive(Debug, Default)]
pub(super) struct Stale {
    by_time: BTreeSet<(Instant, u64)>,
    clusters: HashMap<u64, (Arc<Cluster>, Age)>,
}

#[derive(Clone, Copy, Debug)]
enum Age {
    FreshUntil(Instant),
    Gone,
}

impl Stale {
    /// Endpoints of a cluster came, the same or others; whether those before had gone stale.
    fn renew(&mut self, cluster: &Arc<Cluster>, after: Option<Duration>, now: Instant) -> bool {
        let was_gone = self.forget(cluster.id);
        // A time too long for the clock never passes.
        if let Some(end) = after.and_then(|after| now.checked_add(after)) {
            self.by_time.insert((end, cluster.id));
            self.clusters.insert(cluster.id, (Arc::clone(cluster), Age::FreshUntil(end)));
        }
        was_gone
    }

    /// A cluster is gone, or its endpoints go stale no more; whether they were.
    pub(super) fn forget(&mut self, id: u64) -> bool {
        match self.clusters.remove(&id) {
            Some((_, Age::FreshUntil(end))) => {
                self.by_time.remove(&(end, id));
                false
            }
            Some((_, Age::Gone)) => true,
            None => false,
        }
    }

    /// When the next go stale.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(end, _)| end)
    }

    /// The next cluster whose endpoints are stale now.
    fn take(&mut self, now: Instant) -> Option<Arc<Cluster>> {
        let &(end, id) = self.by_time.first().filter(|(end, _)| *end <= now)?;
        self.by_time.remove(&(end, id));
        let (cluster, age) = self.clusters.get_mut(&id)?;
        *age = Age::Gone;
        Some(Arc::clone(cluster))
    }
}

impl Clusters {
    /// Endpoints of a cluster came; whether those before had gone stale.
    pub(super) fn renew(
        &mut self,
        cluster: &Arc<Cluster>,
        assignment: &LoadAssignment,
        now: Instant,
    ) -> bool {
        if assignment.stale_after.is_some() {
            cluster.membership.assignment_timeout_received().inc();
        }
        self.stale.renew(cluster, assignment.stale_after, now)
    }

    /// Takes endpoints that are stale out of their clusters, which then have none.
    pub(super) fn drop_stale(&mut self, now: Instant) {
        while let Some(cluster) = self.stale.take(now) {
            cluster.membership.assignment_stale().inc();
            self.manager.hosts_changed(cluster.update_endpoints(&LoadAssignment::default()));
        }
    }
}
