//! Clusters that are made for the names that requests bring, and how long ago each was asked for.
//!
//! A worker that misses one takes a place for it and asks the control thread to make it. Those that nothing has asked for
//! go again, by the clock of the control thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::Cluster;
use super::dns_cache::split;
use super::manager::Clusters;
use crate::config::cluster::Discovery;

/// How exactly it is known when one was asked for last.
const USE_RESOLUTION: Duration = Duration::from_millis(100);

/// When each was asked for last, in milliseconds of the parent's life.
type Used = HashMap<Arc<str>, Arc<AtomicU64>>;

/// What a cluster knows of those that were made for names.
#[derive(Debug)]
pub struct SubClusters {
    max: usize,
    ttl: Duration,
    made: Instant,
    used: ArcSwap<Used>,
}

/// The host that a request is for, and the cluster that is there for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name of the cluster.
    pub cluster: Box<str>,
    /// The host's name, or its address without brackets.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
}

impl Target {
    /// What `name` means, whose port is this one unless it says another.
    pub fn of(name: &str, default_port: u16) -> Self {
        let (host, port) = split(name);
        let port = port.unwrap_or(default_port);
        Target { cluster: format!("DFPCluster:{host}:{port}").into(), host: host.into(), port }
    }
}

impl SubClusters {
    pub(super) fn new(discovery: &Discovery) -> Option<Box<Self>> {
        let Discovery::SubClusters(config) = discovery else { return None };
        Some(Box::new(SubClusters {
            max: config.max_sub_clusters as usize,
            ttl: config.sub_cluster_ttl,
            made: Instant::now(),
            used: ArcSwap::default(),
        }))
    }

    /// A request asks for the cluster of this name; whether there is a place for one.
    pub fn touch(&self, name: &str) -> bool {
        let used = self.used.load();
        let Some(last) = used.get(name) else { return false };
        let now = self.now();
        // Written now and then only: workers share it.
        if now.saturating_sub(last.load(Ordering::Relaxed)) >= millis(USE_RESOLUTION) {
            last.store(now, Ordering::Relaxed);
        }
        true
    }

    /// Takes a place for the cluster of this name, which may have one already; false where all are taken.
    pub fn take_place(&self, name: &str) -> bool {
        let name: Arc<str> = Arc::from(name);
        let last = Arc::new(AtomicU64::new(self.now()));
        self.used.rcu(|used| {
            let mut used = Used::clone(used);
            if used.len() < self.max && !used.contains_key(&name) {
                used.insert(Arc::clone(&name), Arc::clone(&last));
            }
            used
        });
        self.touch(&name)
    }

    /// Gives up the places of clusters that nothing has asked for, and says which.
    pub fn take_idle(&self) -> Vec<Arc<str>> {
        let (now, ttl) = (self.now(), millis(self.ttl));
        let is_idle = |last: &AtomicU64| now.saturating_sub(last.load(Ordering::Relaxed)) > ttl;
        let used = self.used.load();
        let idle: Vec<_> =
            used.iter().filter(|(_, last)| is_idle(last)).map(|(name, _)| Arc::clone(name)).collect();
        if !idle.is_empty() {
            self.used.rcu(|used| {
                let mut used = Used::clone(used);
                used.retain(|name, _| !idle.contains(name));
                used
            });
        }
        idle
    }

    /// Those that have a place.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.used.load().keys().cloned().collect()
    }

    /// How long one stays that nothing asks for.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    fn now(&self) -> u64 {
        millis(self.made.elapsed())
    }
}

/// The cluster that was made for a name with its port, if it is there.
///
/// One that a source calls the same counts where it has hosts from DNS too, and not where it leads to others: that may be
/// to where it was asked for.
pub(super) fn made_for(clusters: &Clusters, name: &str, default_port: u16) -> Option<Arc<Cluster>> {
    let made = clusters.get(&*Target::of(name, default_port).cluster)?;
    made.config.discovery.resolves_names().then(|| Arc::clone(made))
}

impl Cluster {
    /// Those that were made for names, if some are.
    #[inline]
    pub fn sub_clusters(&self) -> Option<&SubClusters> {
        self.sub_clusters.as_deref()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cluster::Dns;
    use crate::config::endpoint::LoadAssignment;
    use crate::observability::stats::Registry;
    use crate::upstream::testing::ClusterBuilder;

    fn clusters(max: usize) -> SubClusters {
        SubClusters { max, ttl: Duration::from_secs(10), made: Instant::now(), used: ArcSwap::default() }
    }

    #[test]
    fn names_say_where_clusters_lead() {
        let table = [
            ("a.test", "DFPCluster:a.test:80", "a.test", 80),
            ("A.test:8080", "DFPCluster:A.test:8080", "A.test", 8080),
            ("[::1]:443", "DFPCluster:::1:443", "::1", 443),
        ];
        for (name, cluster, host, port) in table {
            let expected = Target { cluster: cluster.into(), host: host.into(), port };
            assert_eq!(Target::of(name, 80), expected);
        }
    }

    #[test]
    fn what_has_the_name_of_such_a_cluster_and_leads_elsewhere_is_none() {
        let named = |name: &str, discovery| {
            let mut builder = ClusterBuilder::new(name);
            builder.config.discovery = discovery;
            (Arc::from(name), Arc::new(Cluster::new(Arc::new(builder.config), 1, &Registry::new(0))))
        };
        let dns = || Discovery::StrictDns(LoadAssignment::default(), Dns::default());
        let itself = || Discovery::Composite(["DFPCluster:b.test:80".to_owned()].into());
        let clusters: Clusters =
            [named("DFPCluster:a.test:80", dns()), named("DFPCluster:b.test:80", itself())].into();
        assert!(made_for(&clusters, "a.test", 80).is_some());
        assert!(made_for(&clusters, "b.test", 80).is_none() && made_for(&clusters, "c.test", 80).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_given_up_once_nothing_asks_for_it() {
        let clusters = clusters(2);
        assert!(clusters.take_place("a") && clusters.take_place("b") && clusters.take_place("a"));
        assert!(!clusters.take_place("c"), "both places are taken");
        tokio::time::advance(Duration::from_secs(8)).await;
        assert!(clusters.touch("a") && !clusters.touch("c"));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clusters.take_idle(), [Arc::from("b")]);
        assert!(clusters.take_place("c") && !clusters.touch("b"));
    }
}
