//! Hosts that requests bring about: those of `ORIGINAL_DST` clusters.
//!
//! A worker makes a host when it is the first to need one at an address, uses it at once and announces it; the control
//! thread puts it among the cluster's hosts, where all workers find it. When two make a host of one address, that which
//! is announced first stays. A host that is used no more goes after one to two cleanup intervals, as in Envoy.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Cluster, Host};
use crate::config::cluster::Discovery;

/// The hosts of a cluster by their addresses.
pub type ByAddress = HashMap<SocketAddr, Arc<Destination>>;

/// What a cluster has whose hosts requests bring about.
#[derive(Debug)]
pub struct Destinations {
    known: ArcSwap<ByAddress>,
    announced: UnboundedSender<Arc<Destination>>,
    /// Until the task of the cluster begins.
    heard: Mutex<Option<UnboundedReceiver<Arc<Destination>>>>,
}

/// A host that a request brought about.
#[derive(Debug)]
pub struct Destination {
    /// The host.
    pub host: Arc<Host>,
    address: SocketAddr,
    /// Whether it was chosen since the last look.
    used: AtomicBool,
    /// Whether the control thread knows of it.
    settled: AtomicBool,
}

impl Destination {
    /// Takes note of a request for it.
    fn touch(&self) {
        // Written only when it has to be: workers share it.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether all workers find it, or another at its address.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }
}

impl Destinations {
    /// For a cluster of this kind.
    pub(super) fn new(discovery: &Discovery) -> Option<Self> {
        if !matches!(discovery, Discovery::OriginalDst(_)) {
            return None;
        }
        let (announced, heard) = unbounded_channel();
        Some(Destinations { known: ArcSwap::default(), announced, heard: Mutex::new(Some(heard)) })
    }

    /// The host at an address for a request, if there is one.
    pub(super) fn find(&self, address: &SocketAddr) -> Option<Arc<Host>> {
        let known = self.known.load();
        let found = known.get(address)?;
        found.touch();
        Some(Arc::clone(&found.host))
    }

    /// Tells of a new host at an address.
    pub(super) fn announce(&self, address: SocketAddr, host: Arc<Host>) -> Arc<Destination> {
        let (used, settled) = (AtomicBool::new(true), AtomicBool::new(false));
        let destination = Arc::new(Destination { host, address, used, settled });
        // Without anybody who listens the cluster is gone.
        self.announced.send(Arc::clone(&destination)).unwrap_or_default();
        destination
    }

    fn listen(&self) -> Option<UnboundedReceiver<Arc<Destination>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Adds hosts; how many there are at addresses that had none.
    fn add(&self, announced: &[Arc<Destination>]) -> usize {
        let mut known = ByAddress::clone(&self.known.load());
        let before = known.len();
        for destination in announced {
            known.entry(destination.address).or_insert_with(|| Arc::clone(destination)).touch();
        }
        let added = known.len() - before;
        self.known.store(Arc::new(known));
        announced.iter().for_each(|destination| destination.settled.store(true, Ordering::Release));
        added
    }

    /// Leaves out those that are used no more; whether there were any.
    fn clean(&self) -> bool {
        let before = self.known.load();
        let is_used = |destination: &Destination| {
            destination.used.swap(false, Ordering::Relaxed) || destination.host.is_in_use()
        };
        let kept: ByAddress = before
            .iter()
            .filter(|(_, destination)| is_used(destination))
            .map(|(address, destination)| (*address, Arc::clone(destination)))
            .collect();
        let changed = kept.len() != before.len();
        if changed {
            self.known.store(Arc::new(kept));
        }
        changed
    }

    /// Every host, the first that was made first.
    fn hosts(&self) -> Vec<Arc<Host>> {
        let mut hosts: Vec<_> =
            self.known.load().values().map(|destination| Arc::clone(&destination.host)).collect();
        hosts.sort_unstable_by_key(|host| host.id);
        hosts
    }
}

/// Keeps the hosts of `cluster` until dropped; `after` hears how often they changed. Does nothing for clusters of
/// another kind.
pub async fn run(cluster: Arc<Cluster>, after: impl Fn(u32)) {
    let Discovery::OriginalDst(config) = &cluster.config.discovery else { return };
    let Some(destinations) = &cluster.destinations else { return };
    let Some(mut heard) = destinations.listen() else { return };
    let mut cleanup = tokio::time::interval(config.cleanup_interval);
    cleanup.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    cleanup.reset();
    let mut announced = Vec::new();
    loop {
        let changes = tokio::select! {
            count = heard.recv_many(&mut announced, usize::MAX) => match count {
                0 => return,
                _ => destinations.add(&announced) as u32,
            },
            _ = cleanup.tick() => destinations.clean().into(),
        };
        announced.clear();
        if changes > 0 {
            cluster.replace_hosts(destinations.hosts(), changes);
            after(changes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::cluster::OriginalDst;
    use crate::observability::stats::Registry;
    use crate::upstream::testing::ClusterBuilder;

    fn cluster() -> Arc<Cluster> {
        let mut config = ClusterBuilder::new("c").config;
        config.discovery = Discovery::OriginalDst(OriginalDst {
            cleanup_interval: Duration::from_secs(5),
            metadata_key: None,
            http_header_name: None,
            upstream_port_override: None,
        });
        Arc::new(Cluster::new(Arc::new(config), 1, &Registry::new(0)))
    }

    fn announce(cluster: &Cluster, port: u16) -> Arc<Destination> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let host = cluster.host_at(address);
        cluster.destinations.as_ref().expect("of this kind").announce(address, host)
    }

    fn ports(cluster: &Cluster) -> Vec<String> {
        cluster.hosts().iter().map(|host| host.address_text.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_stay_while_they_are_used_and_go_after_that() {
        let cluster = cluster();
        let task = run(Arc::clone(&cluster), |_| ());
        let play = async {
            let first = announce(&cluster, 1);
            let second = announce(&cluster, 2);
            let again = announce(&cluster, 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!([&first, &second, &again].iter().all(|destination| destination.is_settled()));
            assert_eq!(ports(&cluster), ["127.0.0.1:1", "127.0.0.1:2"]);
            assert_eq!(cluster.hosts().iter().next().map(|host| host.id), Some(first.host.id));
            let connection = second.host.begin_connection();
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(ports(&cluster), ["127.0.0.1:2"], "the other was not used for an interval");
            drop(connection);
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(ports(&cluster).is_empty());
            assert_eq!(cluster.membership.membership_change().value(), 4);
        };
        tokio::select! { () = task => (), () = play => () }
    }
}
