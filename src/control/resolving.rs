//! The tasks that find hosts of clusters: by their names, or as requests name them.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::base::random::Rng;
use crate::config::cluster::Discovery;
use crate::upstream::discovery::dns::{self, Resolution};
use crate::upstream::discovery::resolver::Resolve;
use crate::upstream::dns_cache::{self, DnsCache};
use crate::upstream::{Change, Cluster, destinations};

/// One task for each cluster with DNS discovery or of the type `ORIGINAL_DST`, on the control thread.
pub(super) struct Resolving {
    resolver: Rc<dyn Resolve>,
    rng: Rng,
    tasks: JoinSet<()>,
    by_cluster: HashMap<u64, AbortHandle>,
    heard: mpsc::UnboundedSender<(Arc<Cluster>, Resolution)>,
    resolutions: mpsc::UnboundedReceiver<(Arc<Cluster>, Resolution)>,
}

impl Resolving {
    pub(super) fn new(resolver: Rc<dyn Resolve>, rng: Rng) -> Self {
        let (heard, resolutions) = mpsc::unbounded_channel();
        Resolving { resolver, rng, tasks: JoinSet::new(), by_cluster: HashMap::new(), heard, resolutions }
    }

    /// Keeps the hosts of a cluster from now on.
    pub(super) fn start(&mut self, cluster: Arc<Cluster>) {
        let (id, heard, about) = (cluster.id, self.heard.clone(), Arc::clone(&cluster));
        if let Some(cache) = cluster.dns_cache() {
            return self.resolve_names(cache);
        }
        let after = move |resolution| {
            // The receiver lives as long as the tasks: both end with this value.
            drop(heard.send((Arc::clone(&about), resolution)));
        };
        let rng = Rng::seeded(self.rng.next_u64());
        let task = match cluster.config.discovery {
            Discovery::OriginalDst(_) => {
                let changed = move |changes| after(Resolution::Later(Change::Membership(changes)));
                self.tasks.spawn_local(destinations::run(cluster, changed))
            }
            _ => self.tasks.spawn_local(dns::run(cluster, Rc::clone(&self.resolver), rng, after)),
        };
        self.by_cluster.insert(id, task);
    }

    /// Resolves the names of a cache from now on, unless that is done for another already. It ends with the last of the
    /// clusters and listeners that share it.
    pub(super) fn resolve_names(&mut self, cache: &Arc<DnsCache>) {
        let Some(asked) = cache.listen() else { return };
        let heard = self.heard.clone();
        let after = move |cluster, changes| {
            drop(heard.send((cluster, Resolution::Later(Change::Membership(changes)))));
        };
        let (cache, resolver) = (Arc::downgrade(cache), Rc::clone(&self.resolver));
        let rng = Rng::seeded(self.rng.next_u64());
        self.tasks.spawn_local(dns_cache::run(cache, asked, resolver, rng, after));
    }

    /// Stops resolving for the cluster with this number.
    pub(super) fn stop(&mut self, id: u64) {
        if let Some(task) = self.by_cluster.remove(&id) {
            task.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// The next resolution. Cancel safe.
    pub(super) async fn next(&mut self) -> (Arc<Cluster>, Resolution) {
        match self.resolutions.recv().await {
            Some(resolution) => resolution,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolving").field("tasks", &self.by_cluster.len()).finish_non_exhaustive()
    }
}
