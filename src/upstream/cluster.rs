//! Clusters: the live counterparts of configured clusters, shared between the control thread and all workers.

mod alternates;
mod build;
mod members;
mod publish;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::time::Instant;

use super::circuit_breaker::CircuitBreakers;
use super::destinations::Destinations;
use super::drops::Drops;
use super::filters::{self, Compiled, Filters, Kept};
use super::health;
use super::host::Host;
use super::host_set::{HostSet, PriorityHosts};
use super::lb::hashing::{self, Workshop};
use super::lb::load_aware::LoadAware;
use super::local::LocalCluster;
use super::named::Named;
use super::orca::Streams;
use super::outlier;
use super::socket::Sockets;
use super::steering::Steering;
use super::sub_clusters::SubClusters;
use super::zones::Zones;
use crate::config;
use crate::config::cluster::Bind;
use crate::config::endpoint::Locality;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::runtime::Values;
use crate::observability::stats::cluster::{MessageSizeStats, ResolveStats, SubsetStats, TimeoutBudgetStats};
use crate::observability::stats::control_plane::SubscriptionStats;
use crate::observability::stats::udp::UdpClusterStats;
use crate::observability::stats::{ClusterStats, CodecStats, MembershipStats, Registry};
use crate::observability::stream_info::ClusterInfo;

/// How many bits a host's number among those of its cluster has; the cluster's own is above them.
const HOST_BITS: u32 = 32;

/// A cluster that requests can be sent to.
///
/// Endpoints change inside it; every other change of its configuration makes a new one.
pub struct Cluster {
    /// What it was made from.
    pub config: Arc<config::Cluster>,
    /// Its name.
    pub name: Arc<str>,
    /// What requests tell of it.
    pub told: Arc<ClusterInfo>,
    /// Unique among all clusters of the process's life, those that replaced one of the same name included.
    pub id: u64,
    /// Traffic to it; written by the workers.
    pub stats: ClusterStats,
    /// Its codecs; written by the workers.
    pub codec_stats: CodecStats,
    /// Datagrams to and from its hosts; there once a UDP proxy names it, and as long as it is.
    udp_stats: OnceLock<UdpClusterStats>,
    /// Its hosts; written by the control thread.
    pub membership: MembershipStats,
    /// How often its hosts were looked for, unless EDS brings them.
    pub resolve_stats: Option<ResolveStats>,
    /// Its subscription, if EDS brings its hosts.
    pub eds_stats: Option<SubscriptionStats>,
    /// How much of their time requests used, where that is asked for.
    pub timeout_budgets: Option<TimeoutBudgetStats>,
    /// How large requests and responses are, where that is asked for.
    pub message_sizes: Option<MessageSizeStats>,
    /// What the runtime says of it.
    pub steering: Steering,
    /// Requests that went to no host.
    pub drops: Drops,
    /// Limits on what is in flight.
    pub circuit_breakers: CircuitBreakers,
    /// What checks its hosts, if they are checked.
    pub checks: Option<health::Checks>,
    /// What finds its outliers, if it is configured to be.
    pub outlier: Option<outlier::Watch>,
    /// There if its hosts are asked for reports.
    pub(super) streams: Option<Streams>,
    /// There if its localities take requests as they have room.
    pub(super) load_aware: Option<Box<LoadAware>>,
    /// What its tables look like, if its hosts are chosen by hash.
    hashing_stats: Option<hashing::Stats>,
    /// Makes them where that takes long.
    workshop: Workshop,
    /// There if its hosts are divided into subsets.
    subset_stats: Option<SubsetStats>,
    /// How many threads of Envoy would balance.
    threads: u64,
    /// Where hosts have statistics of their own, if they have.
    registry: Option<Registry>,
    /// What is kept of its statistics, from when it is in force.
    pub(super) choice: Registry,
    /// The cluster that this proxy is a host of, if there is one.
    local: Option<Arc<LocalCluster>>,
    /// Where this proxy runs, as far as that counts for hosts; `None` where it is not known.
    locality: Option<Arc<Locality>>,
    /// Statistics of the zones of its hosts.
    zones: Zones,
    /// Statistics under names that requests bring.
    alternates: alternates::Alternates,
    /// Whether where this proxy runs counts for the choice of hosts.
    zone_aware: bool,
    /// How its hosts are spoken to.
    pub(super) sockets: Sockets,
    /// Where connections to its hosts come from, and options of their sockets.
    pub(super) bind: Option<Arc<Bind>>,
    plain: bool,
    made: Instant,
    hosts: ArcSwap<HostSet>,
    version: AtomicU64,
    drop_overload: AtomicU32,
    hosts_made: AtomicU64,
    /// There if requests bring its hosts about.
    pub(super) destinations: Option<Destinations>,
    filters: Option<Filters>,
    /// There if its hosts have the names of a cache.
    pub(super) named: Option<Named>,
    /// There if clusters are made for the names that requests bring.
    pub(super) sub_clusters: Option<Box<SubClusters>>,
}

impl Cluster {
    /// Puts configurations of its HTTP filters in force that were discovered.
    pub(super) fn configure(&self, compile: filters::Compile, configs: &ExtensionConfigs) {
        if let Some(filters) = &self.filters {
            filters.change(|before| compile(&self.config, &self.choice, configs, Some(before)));
        }
    }

    /// Statistics of datagrams, made for the first that asks: `cluster.<name>.udp.`
    pub fn udp_stats(&self, registry: &Registry) -> &UdpClusterStats {
        self.udp_stats.get_or_init(|| {
            let registry = registry.choosing(self.config.stats_matcher.as_ref());
            UdpClusterStats::new(&registry, &format!("{}udp.", stat_prefix(&self.config)))
        })
    }

    /// Whether it has HTTP filters.
    #[inline]
    pub fn has_filters(&self) -> bool {
        self.filters.is_some()
    }

    /// What was compiled of its HTTP filters, kept where they may change meanwhile; `None` where it has none.
    #[inline]
    pub fn filters<'f>(&'f self, kept: &'f Kept) -> Option<&'f Compiled> {
        self.filters.as_ref().map(|filters| filters.current(kept))
    }

    /// The cluster by whose hosts requests are kept in the locality of this proxy, if they are.
    #[inline]
    pub(super) fn fellows(&self) -> Option<&LocalCluster> {
        if self.zone_aware { self.local.as_deref() } else { None }
    }

    /// Whether hosts are chosen without a look at requests but for their hashes, at the runtime and at the time.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// How long there has been the cluster, where the choice of a host looks at that: slow start.
    #[inline]
    pub fn age(&self) -> Option<Duration> {
        self.config.lb.slow_start.as_ref().map(|_| self.made.elapsed())
    }

    /// Takes over what the runtime says of the cluster. To be called by the control thread.
    pub fn follow(&self, runtime: &Values) {
        self.circuit_breakers.follow(&self.name, runtime);
        // Tables that are there already were made by the threshold of before.
        if self.steering.follow(&self.config, runtime) && self.hashing_stats.is_some() {
            self.publish(self.hosts.load().resorted());
        }
    }

    /// The hosts now.
    pub fn hosts(&self) -> Guard<Arc<HostSet>> {
        self.hosts.load()
    }

    /// How many of a million requests are refused before a host is chosen.
    #[inline]
    pub fn drop_overload(&self) -> u32 {
        self.drop_overload.load(Ordering::Relaxed)
    }

    /// How many hosts there are, of all priorities.
    pub fn member_count(&self) -> u64 {
        self.membership.membership_total().value()
    }

    /// Changes whenever [`hosts`](Self::hosts) does: one load to see that nothing changed.
    #[inline]
    pub fn hosts_version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a host was one of this cluster's and is so no more: two loads. Hosts of others, such as those of the
    /// clusters that an aggregate cluster leads to, are never lost.
    #[inline]
    pub fn has_lost(&self, host: &Host) -> bool {
        // In this order: a host that stays has the number of a set before that set is in force.
        let version = self.hosts_version();
        let is_own = host.id >> HOST_BITS == self.id;
        is_own && (1..version).contains(&host.listed_in())
    }

    /// How many hosts there are, and how many of them are healthy or degraded.
    pub fn members(&self) -> (u64, u64) {
        let hosts = self.hosts();
        let sum = |list: fn(&PriorityHosts) -> usize| hosts.priorities.iter().map(list).sum::<usize>() as u64;
        let usable = sum(|priority| priority.healthy.len() + priority.degraded.len());
        (sum(|priority| priority.all.len()), usable)
    }

    /// Whether it cannot serve before the first checks of its hosts have ended.
    pub fn awaits_checks(&self) -> bool {
        self.checks.as_ref().is_some_and(|checks| checks.awaited(self.hosts().iter()))
    }

    /// Whether it has tasks on the control thread that look after its hosts.
    pub fn is_watched(&self) -> bool {
        self.outlier.is_some() || self.checks.is_some() || self.config.lb.asks_for_reports()
    }

    /// Whether it ever had traffic.
    pub(super) fn had_traffic(&self) -> bool {
        self.stats.upstream_cx_total().value() > 0
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `cluster.<name>.`, with the name that statistics use.
pub fn stat_prefix(config: &config::Cluster) -> String {
    let name = config.alt_stat_name.as_deref().unwrap_or(&config.name);
    format!("cluster.{}.", name.replace(':', "_"))
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({} #{})", self.name, self.id)
    }
}
