//! Pools of clusters that choose their hosts themselves.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::{ClusterPool, HostPool, Pools};
use crate::config::cluster::Discovery;
use crate::upstream::Cluster;
use crate::upstream::destinations::Destination;
use crate::upstream::lb::Linear;
use crate::upstream::manager::Clusters;

/// What a worker knows of the hosts of such a cluster beside those that all know.
#[derive(Debug)]
pub(super) enum Provided {
    /// Hosts that this worker was the first to need, until all know them: `ORIGINAL_DST`.
    Fresh(RefCell<HashMap<SocketAddr, Arc<Destination>>>),
    /// The clusters of an aggregate one, once looked at.
    Members(RefCell<Option<Rc<Members>>>),
}

/// The clusters whose hosts an aggregate cluster has, as they were at one moment.
#[derive(Debug)]
pub struct Members {
    /// Those that are in force; kept so that others are known by another address.
    clusters: Arc<Clusters>,
    /// Their priorities in a row.
    pub linear: Linear,
    pools: Vec<Rc<ClusterPool>>,
}

impl Members {
    /// The pools of the member of this index.
    pub fn pool(&self, member: usize) -> Option<&Rc<ClusterPool>> {
        self.pools.get(member)
    }
}

impl Provided {
    pub(super) fn new(cluster: &Cluster) -> Option<Box<Self>> {
        match cluster.config.discovery {
            Discovery::OriginalDst(_) => Some(Box::new(Provided::Fresh(RefCell::default()))),
            Discovery::Aggregate(_) => Some(Box::new(Provided::Members(RefCell::default()))),
            _ => None,
        }
    }

    /// Forgets the hosts that all know by now, and the members, which may be out of force: they are found anew when they
    /// are asked for.
    pub(super) fn sweep(&self) {
        match self {
            Provided::Fresh(fresh) => {
                fresh.borrow_mut().retain(|_, destination| !destination.is_settled());
            }
            Provided::Members(members) => drop(members.take()),
        }
    }

    /// Ids of the hosts that only this worker knows.
    pub(super) fn fresh(&self) -> Vec<u64> {
        match self {
            Provided::Fresh(fresh) => {
                fresh.borrow().values().map(|destination| destination.host.id).collect()
            }
            Provided::Members(_) => Vec::new(),
        }
    }
}

impl ClusterPool {
    /// The pool of the host at this address, which is made if there is none; `None` where hosts are not found by their
    /// addresses.
    pub fn at(&self, address: SocketAddr) -> Option<Rc<HostPool>> {
        let (Some(Provided::Fresh(fresh)), Some(known)) =
            (self.provided.as_deref(), &self.cluster.destinations)
        else {
            return None;
        };
        if let Some(host) = known.find(&address) {
            return Some(self.of(host));
        }
        let mut fresh = fresh.borrow_mut();
        // One that all knew since the last look, and that went again.
        if fresh.get(&address).is_some_and(|destination| destination.is_settled()) {
            fresh.remove(&address);
            if let Some(host) = known.find(&address) {
                return Some(self.of(host));
            }
        }
        let destination =
            fresh.entry(address).or_insert_with(|| known.announce(address, self.cluster.host_at(address)));
        Some(self.of(Arc::clone(&destination.host)))
    }

    /// The pool of the host of this name; `None` where there is none.
    pub fn named(&self, name: &str) -> Option<Rc<HostPool>> {
        self.cluster.named.as_ref()?.find(name).map(|host| self.of(host))
    }

    /// The clusters whose hosts this one has, of those in force; `None` where it is no aggregate cluster.
    pub fn members(&self, pools: &Pools, clusters: &Arc<Clusters>) -> Option<Rc<Members>> {
        let Some(Provided::Members(members)) = self.provided.as_deref() else { return None };
        if let Some(members) = &*members.borrow()
            && Arc::ptr_eq(&members.clusters, clusters)
            && members.linear.is_current()
        {
            return Some(Rc::clone(members));
        }
        let Discovery::Aggregate(names) = &self.cluster.config.discovery else { return None };
        let found: Vec<_> = names.iter().filter_map(|name| clusters.get(name.as_str()).cloned()).collect();
        // An aggregate cluster within another has no hosts of its own.
        let pools = found.iter().map(|cluster| pools.of(cluster)).collect();
        let linear = Linear::new(found, self.cluster.steering.panic_threshold());
        let new = Rc::new(Members { clusters: Arc::clone(clusters), linear, pools });
        members.replace(Some(Rc::clone(&new)));
        Some(new)
    }
}
