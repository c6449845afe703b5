//! Clusters: the live counterparts of configured clusters, shared between the control thread and all workers.

mod publish;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::time::Instant;

use super::circuit_breaker::CircuitBreakers;
use super::destinations::Destinations;
use super::dns_cache::DnsCache;
use super::drops::Drops;
use super::failures::Failures;
use super::filters::{self, Compiled, Filters, Kept};
use super::health;
use super::host::Host;
use super::host_set::{HostSet, PriorityHosts};
use super::lb::hashing::{self, Workshop};
use super::lb::load_aware::LoadAware;
use super::local::LocalCluster;
use super::membership::{self, Change, Identity};
use super::named::Named;
use super::orca::{Ledger, Streams};
use super::outlier;
use super::socket::Sockets;
use super::steering::Steering;
use super::sub_clusters::SubClusters;
use super::zones::Zones;
use crate::config;
use crate::config::address::Address;
use crate::config::cluster::{Bind, Discovery};
use crate::config::endpoint::{Endpoint, LoadAssignment, Locality};
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::runtime::Values;
use crate::observability::stats::cluster::{MessageSizeStats, ResolveStats, SubsetStats, TimeoutBudgetStats};
use crate::observability::stats::control_plane::SubscriptionStats;
use crate::observability::stats::udp::UdpClusterStats;
use crate::observability::stats::{
    ClusterStats, CodecStats, EndpointStats, MembershipStats, Registry, ZoneStats,
};
use crate::observability::stream_info::ClusterInfo;
use crate::transport::tls::Secrets;

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
    /// A cluster without hosts that refers to no secrets.
    pub fn new(config: Arc<config::Cluster>, id: u64, registry: &Registry) -> Self {
        Self::with_secrets(config, id, registry, &Secrets::default())
    }

    /// A cluster without hosts.
    pub(super) fn with_secrets(
        config: Arc<config::Cluster>,
        id: u64,
        registry: &Registry,
        secrets: &Secrets,
    ) -> Self {
        let prefix = stat_prefix(&config);
        let registry = &registry.warming(config.stats_matcher.as_ref());
        let stats = ClusterStats::new(registry, &prefix);
        let tracked = config.tracked;
        let membership = MembershipStats::new(registry, &prefix);
        let name = Arc::from(config.name.as_str());
        let told = Arc::new(ClusterInfo {
            name: Arc::clone(&name),
            observability_name: config.alt_stat_name.as_deref().map(Arc::from),
            metadata: config.metadata.clone(),
            membership: Some(membership.clone()),
        });
        let is_eds = matches!(config.discovery, Discovery::Eds { .. });
        Cluster {
            name,
            told,
            id,
            circuit_breakers: CircuitBreakers::new(&config.circuit_breakers, &stats, registry, &prefix),
            stats,
            timeout_budgets: tracked.timeout_budgets.then(|| TimeoutBudgetStats::new(registry, &prefix)),
            message_sizes: tracked.request_response_sizes.then(|| MessageSizeStats::new(registry, &prefix)),
            steering: Steering::new(&config),
            drops: Drops::default(),
            codec_stats: CodecStats::new(registry, &prefix),
            udp_stats: OnceLock::new(),
            membership,
            eds_stats: is_eds.then(|| SubscriptionStats::new(registry, &prefix)),
            resolve_stats: (!is_eds).then(|| ResolveStats::new(registry, &prefix)),
            hashing_stats: hashing::Stats::new(&config.lb_policy, registry, &prefix),
            workshop: Workshop::default(),
            subset_stats: config.lb.subsets.is_some().then(|| SubsetStats::new(registry, &prefix)),
            threads: registry.thread_names().count() as u64,
            checks: health::Checks::new(&config, registry, &prefix),
            outlier: outlier::Watch::new(&config, registry, &prefix),
            streams: Streams::new(&config, registry, &prefix),
            load_aware: LoadAware::new(&config, registry, &prefix).map(Box::new),
            // As in Envoy those of endpoints are always kept.
            choice: registry.clone(),
            registry: tracked.per_endpoint_stats.then(|| registry.choosing(Some(&Arc::default()))),
            local: None,
            locality: None,
            zones: Zones::default(),
            zone_aware: false,
            sockets: Sockets::new(&config, registry, &prefix, secrets),
            bind: config.bind.clone(),
            plain: config.chooses_plainly(),
            made: Instant::now(),
            hosts: ArcSwap::from_pointee(HostSet::empty()),
            version: AtomicU64::new(0),
            drop_overload: AtomicU32::new(0),
            hosts_made: AtomicU64::new(0),
            destinations: Destinations::new(&config.discovery),
            filters: None,
            named: None,
            sub_clusters: SubClusters::new(&config.discovery),
            config,
        }
    }

    /// The same in the view of a host of `local`, whose hosts it tells if it is that cluster.
    pub(super) fn near(self, local: Option<&Arc<LocalCluster>>, locality: Option<&Arc<Locality>>) -> Self {
        let is_other = local.is_some_and(|local| local.name != *self.name);
        let zone_aware =
            is_other && self.config.lb_policy.hashing().is_none() && self.config.lb.load_aware.is_none();
        let plain = self.plain && !zone_aware;
        Cluster { local: local.cloned(), locality: locality.cloned(), zone_aware, plain, ..self }
    }

    /// The same where this says where connections come from as far as the cluster does not.
    pub(super) fn bound(self, common: Option<&Arc<Bind>>) -> Self {
        let bind = match (&self.config.bind, common) {
            (Some(own), Some(common)) => Some(Arc::new(own.over(common))),
            (own, common) => own.as_ref().or(common).cloned(),
        };
        Cluster { bind, ..self }
    }

    /// The same with its HTTP filters, if it has some.
    pub(super) fn filtered(self, compile: Option<filters::Compile>, configs: &ExtensionConfigs) -> Self {
        let compile = compile.filter(|_| !self.config.http.http_filters.is_empty());
        let filters = compile.map(|compile| {
            let compiled = compile(&self.config, &self.choice, configs, None);
            Filters::new(compiled, self.config.discovers_filters())
        });
        Cluster { filters, ..self }
    }

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

    /// The same with hosts that have the names of a cache, if there is one.
    pub(super) fn naming(self, cache: Option<Arc<DnsCache>>) -> Self {
        Cluster { named: cache.map(Named::new), ..self }
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

    /// Puts the hosts of `assignment`, whose addresses are all literal, in place of those now in use.
    ///
    /// A host whose address stays is kept with everything it knows. To be called by one thread at a time.
    pub fn update_endpoints(&self, assignment: &LoadAssignment) -> Change {
        let old = self.hosts.load_full();
        let is_static = matches!(self.config.discovery, Discovery::Static(_));
        let keeps = self.checks.is_some() && !self.config.ignore_health_on_host_removal;
        let waits = self.config.lb.ignore_new_hosts_until_first_hc && !is_static;
        let new_host = |endpoint: &Endpoint, origin, locality, priority| {
            self.new_host(endpoint, origin, locality, priority, waits)
        };
        let identity = match self.config.discovery {
            Discovery::StrictDns(..) => Identity::GroupAndAddress,
            Discovery::Static(_) => Identity::Endpoint,
            _ => Identity::Address,
        };
        let lb = &self.config.lb;
        let by_locality = lb.locality_weighted || lb.load_aware.is_some() || self.local.is_some();
        let own = self.locality.as_deref();
        let (hosts, change) =
            membership::update(&old, assignment, identity, by_locality.then_some(own), keeps, new_host);
        self.count_matches(assignment.endpoints());
        match change {
            Change::Nothing if matches!(self.config.discovery, Discovery::Static(_)) => {}
            Change::Nothing => self.count_unchanged(),
            Change::InPlace => self.publish_changed(hosts),
            Change::Membership(priorities) => {
                self.publish_members(hosts, priorities);
            }
        }
        change
    }

    /// A host for `endpoint`, which counts for nothing until its first check if it `waits`.
    fn new_host(
        &self,
        endpoint: &Endpoint,
        origin: u32,
        locality: Arc<Locality>,
        priority: u32,
        waits: bool,
    ) -> Host {
        // The cluster's own number in the upper half keeps hosts of different clusters apart.
        let id = (self.id << HOST_BITS) | self.hosts_made.fetch_add(1, Ordering::Relaxed);
        let zone = self.zones.of(&locality.zone, |zone| self.zone_stats(zone));
        let host = Host::new(id, endpoint, origin, locality, priority, self.endpoint_stats(endpoint));
        let host = host.in_zone(zone);
        let monitor = self.outlier.as_ref().map(|watch| watch.monitor(id, &self.config));
        let host = host.watched_by(monitor).reporting(Ledger::new(&self.config));
        let host = host.failing(Failures::new(self.config.close_connections_on_host_health_failure));
        match &self.checks {
            Some(_) if endpoint.health_check.disabled => host.spared(),
            Some(checks) => host.checked_by(checks.complaints(id), waits),
            None => host,
        }
    }

    /// A host that a request brings about, known as in Envoy by its address behind the cluster's name.
    pub(super) fn host_at(&self, address: SocketAddr) -> Arc<Host> {
        let hostname = format!("{}{address}", self.name);
        self.host_for(&Endpoint { hostname, ..Endpoint::at(Address::Ip(address)) })
    }

    /// A host for an endpoint that no assignment has.
    pub(super) fn host_for(&self, endpoint: &Endpoint) -> Arc<Host> {
        self.count_matches(std::iter::once(endpoint));
        Arc::new(self.new_host(endpoint, 0, Arc::default(), 0, false))
    }

    /// Puts hosts that came about otherwise in place of those now in use, after so many changes. To be called by one
    /// thread at a time.
    pub(super) fn replace_hosts(&self, hosts: Vec<Arc<Host>>, changes: u32) {
        let priorities = Box::new([PriorityHosts::new(hosts.into())]);
        self.publish_members(HostSet { priorities, ..HostSet::clone(&self.hosts.load()) }, changes);
    }

    /// Counts an update that says again what is in force.
    pub fn confirm_endpoints(&self) {
        self.count_matches_again();
        self.count_unchanged();
    }

    /// Statistics of responses of hosts in this zone, if it and the one of this proxy are known.
    fn zone_stats(&self, zone: &str) -> Option<ZoneStats> {
        let own = self.locality.as_ref().map(|locality| &*locality.zone).filter(|own| !own.is_empty());
        let prefix = format!("{}zone.{}.{zone}.", stat_prefix(&self.config), own?);
        Some(ZoneStats::new(&self.choice, &prefix))
    }

    /// The statistics of the host of an endpoint, if this cluster's hosts have any.
    fn endpoint_stats(&self, endpoint: &Endpoint) -> Option<EndpointStats> {
        let registry = self.registry.as_ref()?;
        let prefix = stat_prefix(&self.config);
        // As in Envoy the one host of such a cluster goes by its address.
        let is_logical = matches!(self.config.discovery, Discovery::LogicalDns(..));
        let name = match endpoint.observability_name.as_deref().filter(|_| !is_logical) {
            Some(name) => name.replace(':', "_"),
            None => endpoint.address.to_string().replace(':', "_"),
        };
        Some(EndpointStats::new(registry, &format!("{prefix}endpoint.{name}.")))
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
