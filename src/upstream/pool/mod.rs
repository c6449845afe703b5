//! A worker's connections to hosts. Nothing here is shared: each worker has pools of its own.

mod connect;
mod either;
mod ended;
mod guards;
mod happy_eyeballs;
mod host;
mod http1;
mod http2;
mod provided;
mod provision;
mod ready_tcp;
mod source;
mod tcp;
#[cfg(test)]
mod tests;
mod variants;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::random::Rng;
use crate::config::runtime::Values;
use crate::observability::stats::Registry;
use crate::observability::stats::cluster::RateLimitStats;
use crate::transport::internal::Doors;

use super::cluster::stat_prefix;
use super::lb::priority::PriorityLoad;
use super::lb::{Balancer, Choice};
use super::{Cluster, Host};
use provided::Provided;
use provision::{MOST, Standing};

pub(super) use connect::attempt as connect_to;
pub use connect::{Established, ImmediateConnectError, without_number};
pub use either::Either;
pub use host::{Carries, HostPool};
pub use http1::Lease;
pub use http2::StreamLease;
pub(super) use http2::options as http2_options;
pub use provided::Members;
pub use source::LocalConnectError;
pub(super) use source::datagrams as datagrams_to;
pub use tcp::TcpLease;

/// Random bits for a connection, whose life is drawn where it varies.
fn random_bits() -> u64 {
    Rng::from_entropy().next_u64()
}

/// Why no connection could be had.
#[derive(Clone, Debug)]
pub enum AcquireError {
    /// Too many requests wait for one already.
    Overflow,
    /// The cluster has too many pools already, and none to this host.
    NoPool,
    /// The host did not take the connection.
    Connect(Arc<std::io::Error>),
    /// The host did not answer in time.
    Timeout,
}

impl AcquireError {
    /// Whether it was not the host that kept a connection from being made, but this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, AcquireError::Connect(error)
            if error.get_ref().is_some_and(|error| error.is::<LocalConnectError>()))
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::Overflow => f.write_str("too many requests wait for a connection"),
            AcquireError::NoPool => f.write_str("too many connection pools"),
            AcquireError::Connect(error) => error.fmt(f),
            AcquireError::Timeout => f.write_str("connect timeout"),
        }
    }
}

impl std::error::Error for AcquireError {}

/// The pools of all clusters that this worker has sent requests to.
#[derive(Debug, Default)]
pub struct Pools {
    clusters: RefCell<HashMap<u64, Rc<ClusterPool>>>,
    doors: Rc<Doors>,
}

impl Pools {
    /// The pools of a cluster, made at first use.
    pub fn of(&self, cluster: &Arc<Cluster>) -> Rc<ClusterPool> {
        if let Some(pool) = self.clusters.borrow().get(&cluster.id) {
            return Rc::clone(pool);
        }
        let pool = Rc::new(ClusterPool::new(Arc::clone(cluster), Rc::clone(&self.doors)));
        self.clusters.borrow_mut().insert(cluster.id, Rc::clone(&pool));
        pool
    }

    /// The listeners that can be connected to within the process.
    pub fn doors(&self) -> &Rc<Doors> {
        &self.doors
    }

    /// Forgets the clusters that are not in force any more. Requests in flight keep what they use.
    pub fn retain(&self, mut in_force: impl FnMut(&Arc<Cluster>) -> bool) {
        self.clusters.borrow_mut().retain(|_, pool| {
            let kept = in_force(&pool.cluster);
            if !kept {
                pool.close();
            }
            kept
        });
    }

    /// The pools of all clusters, as they are now.
    pub fn all(&self) -> Vec<Rc<ClusterPool>> {
        self.clusters.borrow().values().cloned().collect()
    }
}

/// The pools of one cluster: a balancer, and a pool for each host that it chose.
#[derive(Debug)]
pub struct ClusterPool {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    balancer: RefCell<Balancer>,
    hosts: RefCell<HashMap<u64, Rc<HostPool>>>,
    doors: Rc<Doors>,
    /// There where the kind of cluster chooses its hosts.
    provided: Option<Box<Provided>>,
    rate_limits: RefCell<Vec<(Box<str>, RateLimitStats)>>,
}

impl ClusterPool {
    fn new(cluster: Arc<Cluster>, doors: Rc<Doors>) -> Self {
        let balancer = RefCell::new(Balancer::new(&cluster));
        ClusterPool {
            provided: Provided::new(&cluster),
            cluster,
            balancer,
            hosts: RefCell::default(),
            doors,
            rate_limits: RefCell::default(),
        }
    }

    /// What filters with this prefix count that ask a service about limits of requests to the cluster: made at first
    /// use, and as many as there are prefixes.
    pub fn rate_limits(&self, prefix: &str, registry: &Registry) -> RateLimitStats {
        let mut known = self.rate_limits.borrow_mut();
        if let Some((_, stats)) = known.iter().find(|(one, _)| **one == *prefix) {
            return stats.clone();
        }
        let of_cluster = stat_prefix(&self.cluster.config);
        let registry = registry.choosing(self.cluster.config.stats_matcher.as_ref());
        let stats = RateLimitStats::new(&registry, &format!("{of_cluster}ratelimit.{prefix}"));
        known.push((prefix.into(), stats.clone()));
        stats
    }

    /// The host that the cluster's load balancing chooses for a request; `None` when none can be used.
    pub fn choose(&self, rng: &mut Rng, choice: &Choice) -> Option<Rc<HostPool>> {
        let host = self.balancer.borrow_mut().choose(&self.cluster, rng, choice)?;
        Some(self.of(host))
    }

    /// Makes connections to the hosts whose turn comes next, where the cluster has that done; to be called with each request
    /// and before it asks for its own. `near` gives the pool of a host for requests like this one.
    ///
    /// Envoy counts what all clusters have together, so that what one has idle keeps another from making any.
    pub fn foresee(
        &self,
        rng: &mut Rng,
        choice: &Choice,
        near: impl Fn(&Rc<HostPool>) -> Rc<HostPool>,
        carries: Carries,
    ) {
        // Looked at once: only what is made here changes it meanwhile.
        let mut standing = self.standing();
        for _ in 0..MOST {
            if !standing.wants_another(self.cluster.config.preconnect.predictive, 1) {
                return;
            }
            let Some(host) = self.balancer.borrow_mut().peek(&self.cluster, rng, choice) else { return };
            let Some(room) = near(&self.of(host)).foresee(carries) else { return };
            standing.room = standing.room.saturating_add(room);
        }
    }

    /// How the pools of all hosts stand together.
    fn standing(&self) -> Standing {
        let hosts = self.hosts.borrow();
        hosts.values().map(|pool| pool.standing_with_variants()).fold(Standing::default(), Standing::plus)
    }

    /// The pool of a host of the cluster, made at first use.
    fn of(&self, host: Arc<Host>) -> Rc<HostPool> {
        if let Some(pool) = self.hosts.borrow().get(&host.id) {
            return Rc::clone(pool);
        }
        let id = host.id;
        let pool = Rc::new(HostPool::new(host, Arc::clone(&self.cluster), Rc::clone(&self.doors)));
        self.hosts.borrow_mut().insert(id, Rc::clone(&pool));
        pool
    }

    /// The load of priorities without some of them; `None` when no other has a host that may be used.
    pub fn load_without(
        &self,
        rng: &mut Rng,
        excluded: &[u32],
        runtime: Option<&Values>,
    ) -> Option<PriorityLoad> {
        self.balancer.borrow_mut().load_without(&self.cluster, rng, excluded, runtime)
    }

    /// Closes idle connections that have been idle too long, that the host has closed, or whose host is gone.
    pub fn sweep(&self, now: Instant) {
        let hosts = self.cluster.hosts();
        let mut live: std::collections::HashSet<u64> = hosts.iter().map(|host| host.id).collect();
        if let Some(provided) = &self.provided {
            provided.sweep();
            live.extend(provided.fresh());
        }
        self.hosts.borrow_mut().retain(|id, pool| {
            if live.contains(id) {
                pool.sweep(now);
                return true;
            }
            pool.close();
            false
        });
    }

    fn close(&self) {
        for pool in self.hosts.borrow().values() {
            pool.close();
        }
    }
}
