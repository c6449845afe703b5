//! How a cluster is made, before it is put in force.

use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{Cluster, stat_prefix};
use crate::config;
use crate::config::cluster::{Bind, Discovery};
use crate::config::endpoint::Locality;
use crate::config::extension_configs::ExtensionConfigs;
use crate::observability::stats::cluster::{MessageSizeStats, ResolveStats, SubsetStats, TimeoutBudgetStats};
use crate::observability::stats::control_plane::SubscriptionStats;
use crate::observability::stats::{ClusterStats, CodecStats, MembershipStats, Registry};
use crate::observability::stream_info::ClusterInfo;
use crate::transport::tls::Secrets;
use crate::upstream::circuit_breaker::CircuitBreakers;
use crate::upstream::destinations::Destinations;
use crate::upstream::dns_cache::DnsCache;
use crate::upstream::drops::Drops;
use crate::upstream::filters::{self, Filters};
use crate::upstream::host_set::HostSet;
use crate::upstream::lb::hashing::{self, Workshop};
use crate::upstream::lb::load_aware::LoadAware;
use crate::upstream::local::LocalCluster;
use crate::upstream::named::Named;
use crate::upstream::orca::Streams;
use crate::upstream::socket::Sockets;
use crate::upstream::steering::Steering;
use crate::upstream::sub_clusters::SubClusters;
use crate::upstream::zones::Zones;
use crate::upstream::{health, outlier};

impl Cluster {
    /// A cluster without hosts that refers to no secrets.
    pub fn new(config: Arc<config::Cluster>, id: u64, registry: &Registry) -> Self {
        Self::with_secrets(config, id, registry, &Secrets::default())
    }

    /// A cluster without hosts.
    pub(in crate::upstream) fn with_secrets(
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
            alternates: Default::default(),
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
    pub(in crate::upstream) fn near(
        self,
        local: Option<&Arc<LocalCluster>>,
        locality: Option<&Arc<Locality>>,
    ) -> Self {
        let is_other = local.is_some_and(|local| local.name != *self.name);
        let zone_aware =
            is_other && self.config.lb_policy.hashing().is_none() && self.config.lb.load_aware.is_none();
        let plain = self.plain && !zone_aware;
        Cluster { local: local.cloned(), locality: locality.cloned(), zone_aware, plain, ..self }
    }

    /// The same where this says where connections come from as far as the cluster does not.
    pub(in crate::upstream) fn bound(self, common: Option<&Arc<Bind>>) -> Self {
        let bind = match (&self.config.bind, common) {
            (Some(own), Some(common)) => Some(Arc::new(own.over(common))),
            (own, common) => own.as_ref().or(common).cloned(),
        };
        Cluster { bind, ..self }
    }

    /// The same with its HTTP filters, if it has some.
    pub(in crate::upstream) fn filtered(
        self,
        compile: Option<filters::Compile>,
        configs: &ExtensionConfigs,
    ) -> Self {
        let compile = compile.filter(|_| !self.config.http.http_filters.is_empty());
        let filters = compile.map(|compile| {
            let compiled = compile(&self.config, &self.choice, configs, None);
            Filters::new(compiled, self.config.discovers_filters())
        });
        Cluster { filters, ..self }
    }

    /// The same with hosts that have the names of a cache, if there is one.
    pub(in crate::upstream) fn naming(self, cache: Option<Arc<DnsCache>>) -> Self {
        Cluster { named: cache.map(Named::new), ..self }
    }
}
