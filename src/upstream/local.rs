//! The local cluster: the proxies of which this is one (`ClusterManager.local_cluster_name`).
//!
//! Zone aware routing of the other clusters holds their hosts against those of this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::host_set::HostSet;

/// What all clusters know of the local one.
#[derive(Debug)]
pub struct LocalCluster {
    /// Its name.
    pub name: String,
    hosts: ArcSwap<HostSet>,
    version: AtomicU64,
}

impl LocalCluster {
    /// The cluster of this name, whose hosts are not known yet.
    pub fn new(name: String) -> Self {
        LocalCluster { name, hosts: ArcSwap::from_pointee(HostSet::empty()), version: AtomicU64::new(0) }
    }

    /// Its hosts now.
    pub(super) fn hosts(&self) -> Guard<Arc<HostSet>> {
        self.hosts.load()
    }

    /// Changes whenever its hosts do.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Puts hosts in place of those now known.
    pub(super) fn publish(&self, hosts: &Arc<HostSet>) {
        self.hosts.store(Arc::clone(hosts));
        self.version.fetch_add(1, Ordering::Release);
    }
}
