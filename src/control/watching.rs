//! The tasks that look after the health of clusters' hosts.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};

use crate::base::random::Rng;
use crate::upstream::Cluster;
use crate::upstream::outlier::{self, Surroundings};

/// One task for each cluster with outlier detection, on the control thread.
pub(super) struct Watching {
    surroundings: Surroundings,
    rng: Rng,
    tasks: JoinSet<()>,
    by_cluster: HashMap<u64, AbortHandle>,
}

impl Watching {
    pub(super) fn new(surroundings: Surroundings, rng: Rng) -> Self {
        Watching { surroundings, rng, tasks: JoinSet::new(), by_cluster: HashMap::new() }
    }

    /// Watches the hosts of a cluster from now on.
    pub(super) fn start(&mut self, cluster: Arc<Cluster>) {
        let id = cluster.id;
        let rng = Rng::seeded(self.rng.next_u64());
        let task = self.tasks.spawn_local(outlier::run(cluster, self.surroundings.clone(), rng));
        self.by_cluster.insert(id, task);
    }

    /// Watches those of the cluster with this number no more.
    pub(super) fn stop(&mut self, id: u64) {
        if let Some(task) = self.by_cluster.remove(&id) {
            task.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("tasks", &self.by_cluster.len()).finish_non_exhaustive()
    }
}
