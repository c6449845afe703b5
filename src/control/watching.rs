//! The tasks that look after the health of clusters' hosts.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::base::random::Rng;
use crate::config::cluster::HealthCheck;
use crate::config::runtime::Values;
use crate::observability::access_log::Sink;
use crate::upstream::outlier::EventLog;
use crate::upstream::{Cluster, health, orca, outlier};

/// Opens a file for lines; `None` where that cannot be.
pub type OpenLog = Box<dyn Fn(&Path) -> Option<Sink>>;

/// Up to three tasks for each cluster, on the control thread: active health checks, outlier detection, and what is made
/// of what hosts report.
pub(super) struct Watching {
    runtime: Rc<dyn Fn() -> Arc<Values>>,
    outlier_log: Option<EventLog>,
    open_log: OpenLog,
    rng: Rng,
    tasks: JoinSet<()>,
    by_cluster: HashMap<u64, Vec<AbortHandle>>,
    complete: mpsc::UnboundedSender<Arc<Cluster>>,
    completed: mpsc::UnboundedReceiver<Arc<Cluster>>,
}

impl Watching {
    pub(super) fn new(
        runtime: Rc<dyn Fn() -> Arc<Values>>,
        outlier_log: Option<EventLog>,
        open_log: OpenLog,
        rng: Rng,
    ) -> Self {
        let (complete, completed) = mpsc::unbounded_channel();
        let (tasks, by_cluster) = (JoinSet::new(), HashMap::new());
        Watching { runtime, outlier_log, open_log, rng, tasks, by_cluster, complete, completed }
    }

    /// Watches the hosts of a cluster from now on.
    pub(super) fn start(&mut self, cluster: &Arc<Cluster>) {
        let mut tasks = Vec::new();
        if cluster.outlier.is_some() {
            let surroundings =
                outlier::Surroundings { runtime: Rc::clone(&self.runtime), log: self.outlier_log.clone() };
            let rng = Rng::seeded(self.rng.next_u64());
            tasks.push(self.tasks.spawn_local(outlier::run(Arc::clone(cluster), surroundings, rng)));
        }
        let checks = &cluster.config.health_checks;
        if !checks.is_empty() {
            let logs = |check: &HealthCheck| {
                check.event_logs.iter().filter_map(|path| (self.open_log)(path)).collect()
            };
            let (complete, about) = (self.complete.clone(), Arc::clone(cluster));
            let surroundings = health::Surroundings {
                runtime: Rc::clone(&self.runtime),
                logs: checks.iter().map(logs).collect(),
                // The receiver lives as long as the tasks: both end with this value.
                complete: Box::new(move || drop(complete.send(Arc::clone(&about)))),
            };
            let rng = Rng::seeded(self.rng.next_u64());
            tasks.push(self.tasks.spawn_local(health::run(Arc::clone(cluster), surroundings, rng)));
        }
        if cluster.config.lb.asks_for_reports() {
            let rng = Rng::seeded(self.rng.next_u64());
            tasks.push(self.tasks.spawn_local(orca::run(Arc::clone(cluster), rng)));
        }
        self.by_cluster.insert(cluster.id, tasks);
    }

    /// Watches those of the cluster with this number no more.
    pub(super) fn stop(&mut self, id: u64) {
        for task in self.by_cluster.remove(&id).into_iter().flatten() {
            task.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// The next cluster whose hosts have all been checked once. Cancel safe.
    pub(super) async fn next(&mut self) -> Arc<Cluster> {
        match self.completed.recv().await {
            Some(cluster) => cluster,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("clusters", &self.by_cluster.len()).finish_non_exhaustive()
    }
}
