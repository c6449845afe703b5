//! The bootstrap: `envoy.config.bootstrap.v3.Bootstrap`.

mod admin;
mod checks;
mod cluster_manager;
mod extensions;
mod from_proto;
mod node;
mod node_record;
mod overload;
mod runtime;
mod stats;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::access_log::AccessLog;
use super::address::{Address, SocketOption};
use super::cel::Record;
use super::cluster::{Bind, Cluster, Discovery};
use super::dns_resolver::DnsResolver;
use super::endpoint::Locality;
use super::extension::ExtensionConfig;
use super::listener::Listener;
use super::matcher::StringMatcher;
use super::source::{ApiSource, ConfigSource};
use super::tls::Secret;

pub use runtime::{ALL_DEPRECATED_FEATURES, DESCRIPTOR_FORMATS, refused_runtime_value};

/// Time between two flushes of statistics when nothing else is configured.
pub const DEFAULT_STATS_FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// A bootstrap as configured.
#[derive(Clone, PartialEq)]
pub struct Bootstrap {
    /// Who this proxy is.
    pub node: Node,
    /// `static_resources.listeners`
    pub listeners: Vec<StaticResource<Listener>>,
    /// `static_resources.clusters`
    pub clusters: Vec<StaticResource<Arc<Cluster>>>,
    /// `static_resources.secrets`
    pub secrets: Vec<StaticResource<Arc<Secret>>>,
    /// The cluster that this proxy is a host of, one of `clusters`: `cluster_manager.local_cluster_name`.
    pub local_cluster_name: Option<String>,
    /// Where further resources come from.
    pub dynamic_resources: DynamicResources,
    /// The admin interface; none is served without it.
    pub admin: Option<Admin>,
    /// `layered_runtime`: later layers override earlier ones.
    pub runtime: Vec<RuntimeLayer>,
    /// How statistics are kept and named.
    pub stats: StatsConfig,
    /// `enable_worker_cpu_affinity`: whether each worker stays at a CPU of its own, the first at the first that this
    /// process may use. None does where there are more workers than CPUs.
    pub enable_worker_cpu_affinity: bool,
    /// Time between two flushes of statistics; 1 ms to 5 minutes. `None` when only the admin interface flushes
    /// (`stats_flush_on_admin`).
    pub stats_flush_interval: Option<Duration>,
    /// Who resolves the names of clusters that do not say so themselves.
    pub dns_resolver: DnsResolver,
    /// How many downstream connections may be open over all listeners; no limit when `None`.
    /// `overload_manager`, `envoy.resource_monitors.global_downstream_max_connections`.
    pub max_downstream_connections: Option<u64>,
    /// Bytes that may wait each way on connections to listeners within the process; there are none without it.
    /// `bootstrap_extensions`, `envoy.bootstrap.internal_listener`, `buffer_size_kb`; 1 MiB by default.
    pub internal_buffer_bytes: Option<usize>,
    /// Format of the application log in text: `application_log_config.log_format.text_format`.
    pub log_format: Option<String>,
    /// Where ejections of hosts are logged: `cluster_manager.outlier_detection.event_log_path`.
    pub outlier_event_log: Option<PathBuf>,
    /// Where load is reported to: `cluster_manager.load_stats_config`.
    pub load_reports: Option<ApiSource>,
    /// Where connections to hosts come from whose clusters do not say it: `cluster_manager.upstream_bind_config`.
    pub bind: Option<Arc<Bind>>,
    /// Who makes spans for connection managers that trace and name nobody.
    pub tracing: Option<ExtensionConfig>,
    /// The whole message, as the admin interface shows it.
    pub bytes: Bytes,
}

impl Bootstrap {
    /// The names of the clusters that may be management servers: they do not need one to have endpoints.
    pub fn management_servers(&self) -> Arc<BTreeSet<String>> {
        let clusters = self.clusters.iter().map(|cluster| &cluster.value);
        let servers = clusters.filter(|cluster| !matches!(cluster.discovery, Discovery::Eds { .. }));
        Arc::new(servers.map(|cluster| cluster.name.clone()).collect())
    }
}

/// Without the message, which may have keys and secrets in it.
impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("node", &self.node)
            .field("listeners", &self.listeners)
            .field("clusters", &self.clusters)
            .field("secrets", &self.secrets)
            .field("dynamic_resources", &self.dynamic_resources)
            .finish_non_exhaustive()
    }
}

/// A resource that stands in the bootstrap.
#[derive(Clone, PartialEq)]
pub struct StaticResource<T> {
    /// What it says.
    pub value: T,
    /// Its message.
    pub bytes: Bytes,
}

/// Without the message, which may have keys and secrets in it.
impl<T: fmt::Debug> fmt::Debug for StaticResource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// `envoy.config.core.v3.Node`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Name of this proxy; empty when not configured.
    pub id: String,
    /// Name of the service it belongs to; empty when not configured.
    pub cluster: String,
    /// Where it runs.
    pub locality: Locality,
    /// Whatever the management server asks for: an object, or null.
    pub metadata: serde_json::Value,
    /// What the program calls itself.
    pub user_agent_name: String,
    /// What is configured that it can do.
    pub client_features: Vec<String>,
    /// What expressions can ask about beside that.
    pub record: Record,
    /// The whole message to be sent to management servers.
    pub bytes: Bytes,
}

/// What the command line says of the node, over what the bootstrap says; what is empty says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeOverrides {
    /// `--service-node`
    pub id: String,
    /// `--service-cluster`
    pub cluster: String,
    /// `--service-zone`
    pub zone: String,
}

/// `Bootstrap.DynamicResources`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicResources {
    /// Where listeners come from.
    pub lds_config: Option<ConfigSource>,
    /// Where clusters come from.
    pub cds_config: Option<ConfigSource>,
    /// The aggregated service that sources of kind ADS mean.
    pub ads_config: Option<ApiSource>,
}

/// `envoy.config.bootstrap.v3.Admin`
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where it listens; nowhere when `None`.
    pub address: Option<Address>,
    /// Access logs of its requests.
    pub access_log: Vec<AccessLog>,
    /// Options set on its socket.
    pub socket_options: Vec<SocketOption>,
    /// Paths that are served; all when empty.
    pub allow_paths: Vec<StringMatcher>,
}

/// `envoy.config.bootstrap.v3.RuntimeLayer`
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeLayer {
    /// Its name, unique among the layers.
    pub name: String,
    /// Where its values come from.
    pub values: RuntimeValues,
}

/// `RuntimeLayer.layer_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum RuntimeValues {
    /// `static_layer`: values by key, the keys of nested objects joined by dots. A value is a boolean, a number,
    /// a string, or an object with a numerator (and a denominator).
    Static(BTreeMap<String, serde_json::Value>),
    /// `admin_layer`: what is set at the admin interface.
    Admin,
}

/// `envoy.config.metrics.v3.StatsConfig`
#[derive(Clone, Debug, PartialEq)]
pub struct StatsConfig {
    /// Tags taken out of the names of statistics, besides or instead of Envoy's own.
    pub tags: Vec<TagSpecifier>,
    /// Whether Envoy's own tags are taken out; true by default.
    pub use_all_default_tags: bool,
    /// Which statistics are kept.
    pub matcher: StatsMatcher,
    /// Buckets of histograms; the first that matches counts, Envoy's own when none does.
    pub histogram_buckets: Vec<HistogramBuckets>,
}

/// `envoy.config.metrics.v3.TagSpecifier`
#[derive(Clone, Debug, PartialEq)]
pub struct TagSpecifier {
    /// The tag's name.
    pub name: String,
    /// How its value is found.
    pub value: TagValue,
}

/// `TagSpecifier.tag_value`
#[derive(Clone, Debug)]
pub enum TagValue {
    /// Envoy's own rule for the tag of this name.
    Default,
    /// The last group is the value, the first is removed from the name. It may look ahead and behind.
    Regex(fancy_regex::Regex),
    /// Always this.
    Fixed(String),
}

impl PartialEq for TagValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (TagValue::Default, TagValue::Default) => true,
            (TagValue::Regex(one), TagValue::Regex(other)) => one.as_str() == other.as_str(),
            (TagValue::Fixed(one), TagValue::Fixed(other)) => one == other,
            _ => false,
        }
    }
}

/// `envoy.config.metrics.v3.StatsMatcher`
#[derive(Clone, Debug, Default, PartialEq)]
pub enum StatsMatcher {
    /// All are kept.
    #[default]
    All,
    /// `reject_all`: none is.
    None,
    /// `exclusion_list`: all but those that match one of these.
    Exclude(Vec<StringMatcher>),
    /// `inclusion_list`: those that match one of these.
    Include(Vec<StringMatcher>),
}

impl StatsMatcher {
    /// Whether the statistic of this name is kept.
    pub fn keeps(&self, name: &str) -> bool {
        let matches = |patterns: &[StringMatcher]| patterns.iter().any(|one| one.matches(name.as_bytes()));
        match self {
            StatsMatcher::All => true,
            StatsMatcher::None => false,
            StatsMatcher::Include(patterns) => matches(patterns),
            StatsMatcher::Exclude(patterns) => !matches(patterns),
        }
    }
}

/// `envoy.config.metrics.v3.HistogramBucketSettings`
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramBuckets {
    /// Which histograms, by name.
    pub matcher: StringMatcher,
    /// Upper bounds, ascending, without doubles; empty leaves Envoy's own.
    pub buckets: Vec<f64>,
}
