//! Clusters: the live counterparts of configured clusters, shared between the control thread and all workers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::circuit_breaker::CircuitBreakers;
use super::host_set::HostSet;
use super::membership::{self, Change};
use crate::config;
use crate::config::endpoint::LoadAssignment;

/// A cluster that requests can be sent to.
///
/// Endpoints change inside it; every other change of its configuration makes a new one.
pub struct Cluster {
    /// What it was made from.
    pub config: Arc<config::Cluster>,
    /// Its name.
    pub name: Arc<str>,
    /// Unique among all clusters of the process's life, those that replaced one of the same name included.
    pub id: u64,
    /// Limits on what is in flight.
    pub circuit_breakers: CircuitBreakers,
    hosts: ArcSwap<HostSet>,
    version: AtomicU64,
    hosts_made: AtomicU64,
}

impl Cluster {
    /// A cluster without hosts.
    pub fn new(config: Arc<config::Cluster>, id: u64) -> Self {
        Cluster {
            name: Arc::from(config.name.as_str()),
            id,
            circuit_breakers: CircuitBreakers::new(&config.circuit_breakers),
            hosts: ArcSwap::from_pointee(HostSet::empty()),
            version: AtomicU64::new(0),
            hosts_made: AtomicU64::new(0),
            config,
        }
    }

    /// The hosts now.
    pub fn hosts(&self) -> Guard<Arc<HostSet>> {
        self.hosts.load()
    }

    /// Changes whenever [`hosts`](Self::hosts) does: one load to see that nothing changed.
    #[inline]
    pub fn hosts_version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Puts the hosts of `assignment`, whose addresses are all literal, in place of those now in use.
    ///
    /// A host whose address stays is kept with everything it knows. To be called by one thread at a time.
    pub fn update_endpoints(&self, assignment: &LoadAssignment) -> Change {
        let old = self.hosts.load_full();
        // The cluster's own number in the upper half keeps hosts of different clusters apart.
        let next_id = || (self.id << 32) | self.hosts_made.fetch_add(1, Ordering::Relaxed);
        let (hosts, change) = membership::update(&old, assignment, self.config.lb.locality_weighted, next_id);
        if change != Change::Nothing {
            self.publish(hosts);
        }
        change
    }

    /// Sorts the hosts anew after health flags of some have changed. To be called by one thread at a time.
    pub fn refresh_health(&self) {
        self.publish(self.hosts.load().resorted());
    }

    fn publish(&self, mut hosts: HostSet) {
        let version = self.version.load(Ordering::Relaxed) + 1;
        hosts.version = version;
        self.hosts.store(Arc::new(hosts));
        self.version.store(version, Ordering::Release);
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({} #{})", self.name, self.id)
    }
}
