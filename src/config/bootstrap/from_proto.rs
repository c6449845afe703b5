//! `envoy.config.bootstrap.v3.Bootstrap` to [`Bootstrap`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::bootstrap::v3;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::regex_engines::v3::GoogleRe2;
use envoy_types::pb::google::protobuf as pb;
use prost::Message as _;

use super::cluster_manager::ClusterManager;
use super::extensions::BootstrapExtension;
use super::{
    Admin, Bootstrap, DEFAULT_STATS_FLUSH_INTERVAL, DynamicResources, Node, NodeOverrides, StaticResource,
    StatsConfig, checks, overload, runtime,
};
use crate::config::cluster::{Cluster, Discovery};
use crate::config::dns_resolver;
use crate::config::extension::{self, Extensions};
use crate::config::field::{self, Notes, Scope, open};
use crate::config::listener::Listener;
use crate::config::source::{ApiSource, ConfigSource};
use crate::config::tls::Secret;
use crate::config::tracing::default_provider;

/// Why sources for names with an authority are refused.
const NO_AUTHORITIES: &str = "xdstp names are not served";

/// Why settings of watchdogs change nothing.
const NO_WATCHDOG: &str = "threads are watched with Envoy's default times, and nothing is done but counting";

/// The prefix of Envoy's own headers, the only one there is.
const HEADER_PREFIX: &str = "x-envoy";

/// The longest time between two flushes of statistics, excluded.
const MAX_STATS_FLUSH_INTERVAL: Duration = Duration::from_mins(5);

impl Bootstrap {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the bootstrap.
    pub fn parse(
        bytes: &[u8],
        overrides: &NodeOverrides,
        extensions: &Extensions,
    ) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, |message, at| Self::from_proto(message, overrides, at))
    }

    /// From its proto.
    pub fn from_proto(message: v3::Bootstrap, overrides: &NodeOverrides, at: &mut Scope<'_>) -> Option<Self> {
        let bytes = at.resource(&message);
        open! { at, v3::Bootstrap = message;
            implemented {
                node, static_resources, dynamic_resources, cluster_manager, stats_config, stats_flush_interval,
                stats_flush, layered_runtime, admin, header_prefix,
                default_regex_engine, application_log_config, use_tcp_for_dns_lookups, dns_resolution_config,
                typed_dns_resolver_config, overload_manager, bootstrap_extensions, tracing,
                enable_worker_cpu_affinity,
            }
            rejected {
                node_context_params: NO_AUTHORITIES,
                hds_config: "the health of hosts is not reported",
                stats_sinks: "statistics are read at the admin interface",
                enable_dispatcher_stats: "there are no statistics of event loops",
                fatal_actions: "no such extensions are known",
                config_sources: NO_AUTHORITIES,
                default_config_source: NO_AUTHORITIES,
                default_socket_interface: "sockets are the system's",
                certificate_provider_instances: "certificates are not asked of a provider",
                perf_tracing_file_path: "there is no performance trace",
                xds_delegate_extension: "no such extensions are known",
                xds_config_tracker_extension: "no such extensions are known",
                listener_manager: "there is one listener manager",
                stats_server_version_override: "the version is the program's",
                stats_eviction: "statistics are kept as long as what they are about",
            }
            ignored {
                flags_path: "it has no effect in Envoy either",
                deferred_stat_options: "statistics are made at first use",
                watchdog: NO_WATCHDOG,
                watchdogs: NO_WATCHDOG,
                inline_headers: "all headers are found alike",
                grpc_async_client_manager_config: "it concerns a cache of clients that is not needed",
                memory_allocator_manager: "it concerns another memory allocator",
            }
        }
        if !header_prefix.is_empty() && header_prefix != HEADER_PREFIX {
            at.reject("header_prefix", "headers begin with x-envoy");
        }
        regex_engine(default_regex_engine, at);
        let runtime = at.or_default("layered_runtime", layered_runtime, runtime::layers);
        at.know_regex_levels(runtime::values(&runtime).regex_levels());
        at.know_local_cluster(
            cluster_manager.as_ref().is_some_and(|manager| !manager.local_cluster_name.is_empty()),
        );
        at.know_management_servers(management_servers(static_resources.as_ref()));
        let configured = static_resources
            .as_ref()
            .map_or(0, |all| all.listeners.len() + all.clusters.len() + all.secrets.len());
        let StaticResources { listeners, clusters, secrets } =
            at.or_default("static_resources", static_resources, StaticResources::from_proto);
        let ClusterManager { local_cluster_name, outlier_event_log, load_reports, bind } =
            at.or_default("cluster_manager", cluster_manager, ClusterManager::from_proto);
        let resolver = dns_resolver::Given {
            typed_dns_resolver_config,
            dns_resolution_config,
            dns_resolvers: Vec::new(),
            use_tcp_for_dns_lookups,
        };
        let extensions =
            at.list("bootstrap_extensions", bootstrap_extensions, BootstrapExtension::from_proto);
        let bootstrap = Bootstrap {
            internal_buffer_bytes: BootstrapExtension::internal_buffer_bytes(&extensions),
            node: Node::from_proto(node.unwrap_or_default(), overrides, &mut at.field("node")),
            listeners,
            clusters,
            secrets,
            local_cluster_name,
            dynamic_resources: at.or_default(
                "dynamic_resources",
                dynamic_resources,
                DynamicResources::from_proto,
            ),
            admin: at.message("admin", admin, Admin::from_proto),
            runtime,
            stats: at.or_default("stats_config", stats_config, StatsConfig::from_proto),
            enable_worker_cpu_affinity,
            stats_flush_interval: flush_interval(stats_flush_interval, stats_flush, at),
            dns_resolver: resolver.read(at).unwrap_or_default(),
            max_downstream_connections: at.message(
                "overload_manager",
                overload_manager,
                overload::max_connections,
            ),
            log_format: at.message("application_log_config", application_log_config, log_format).flatten(),
            outlier_event_log,
            load_reports,
            bind: bind.map(Arc::new),
            tracing: at.message("tracing", tracing, default_provider),
            bytes,
        };
        // With a resource missing they would find what is not there.
        if bootstrap.listeners.len() + bootstrap.clusters.len() + bootstrap.secrets.len() == configured {
            checks::check(&bootstrap, at);
        }
        Some(bootstrap)
    }
}

/// The names of the clusters that may be management servers: they do not need one to have endpoints.
fn management_servers(message: Option<&v3::bootstrap::StaticResources>) -> Arc<BTreeSet<String>> {
    let clusters = message.iter().flat_map(|all| &all.clusters);
    let servers = clusters.filter(|cluster| !Discovery::is_eds(cluster));
    Arc::new(servers.map(|cluster| cluster.name.clone()).collect())
}

/// What stands in the bootstrap itself.
#[derive(Default)]
struct StaticResources {
    listeners: Vec<StaticResource<Listener>>,
    clusters: Vec<StaticResource<Arc<Cluster>>>,
    secrets: Vec<StaticResource<Arc<Secret>>>,
}

impl StaticResources {
    fn from_proto(message: v3::bootstrap::StaticResources, at: &mut Scope<'_>) -> Option<Self> {
        use v3::bootstrap::StaticResources as Message;
        open! { at, Message = message; implemented { listeners, clusters, secrets } }
        let [mut all_secrets, mut all_clusters, mut all_listeners] =
            ["secrets", "clusters", "listeners"].map(|list| at.sent(list).into_iter());
        let secrets = at.list("secrets", secrets, |message, at| {
            let bytes = all_secrets.next().unwrap_or_else(|| message.encode_to_vec().into());
            Secret::from_proto(message, at).map(|secret| StaticResource { value: Arc::new(secret), bytes })
        });
        let clusters = at.list("clusters", clusters, |message, at| {
            let bytes = all_clusters.next().unwrap_or_else(|| message.encode_to_vec().into());
            Cluster::from_proto(message, at).map(|value| StaticResource { value: Arc::new(value), bytes })
        });
        let listeners = at.list("listeners", listeners, |message, at| {
            let bytes = all_listeners.next().unwrap_or_else(|| message.encode_to_vec().into());
            Listener::from_proto(message, at).map(|value| StaticResource { value, bytes })
        });
        Some(StaticResources { listeners, clusters, secrets })
    }
}

impl DynamicResources {
    fn from_proto(message: v3::bootstrap::DynamicResources, at: &mut Scope<'_>) -> Option<Self> {
        use v3::bootstrap::DynamicResources as Message;
        open! { at, Message = message;
            implemented { lds_config, cds_config, ads_config }
            rejected { lds_resources_locator: NO_AUTHORITIES, cds_resources_locator: NO_AUTHORITIES }
        }
        Some(DynamicResources {
            lds_config: at.message("lds_config", lds_config, ConfigSource::of_known_server),
            cds_config: at.message("cds_config", cds_config, ConfigSource::of_known_server),
            ads_config: at.message("ads_config", ads_config, ApiSource::of_known_server),
        })
    }
}

/// RE2 is the only engine there is.
fn regex_engine(engine: Option<core::TypedExtensionConfig>, at: &mut Scope<'_>) {
    const GOOGLE_RE2: &str = "envoy.extensions.regex_engines.v3.GoogleRE2";
    let Some(engine) = engine else { return };
    let mut at = at.field("default_regex_engine");
    open! { at, core::TypedExtensionConfig = engine; implemented { name, typed_config } }
    let any = typed_config.unwrap_or_default();
    let type_name = extension::contained_type(&any);
    if type_name != GOOGLE_RE2 {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {GOOGLE_RE2}"
        ));
        return;
    }
    if let Some(message) = extension::read(any, &mut at.field("typed_config")) {
        open! { at, GoogleRe2 = message; implemented {} }
    }
}

fn flush_interval(
    interval: Option<pb::Duration>,
    flush: Option<v3::bootstrap::StatsFlush>,
    at: &mut Scope<'_>,
) -> Option<Duration> {
    use v3::bootstrap::StatsFlush;
    let interval_set = interval.is_some();
    let interval = at.duration("stats_flush_interval", interval).unwrap_or(DEFAULT_STATS_FLUSH_INTERVAL);
    if interval < Duration::from_millis(1) || interval >= MAX_STATS_FLUSH_INTERVAL {
        at.field("stats_flush_interval").violation("value must be inside range [1ms, 5m0s)");
    }
    match flush {
        Some(StatsFlush::StatsFlushOnAdmin(on_admin)) => {
            if !on_admin {
                at.field("stats_flush_on_admin").violation("value must equal true");
            }
            if interval_set {
                at.error("Only one of stats_flush_interval or stats_flush_on_admin should be set!");
            }
            None
        }
        None => Some(interval),
    }
}

/// The text format, if there is one.
fn log_format(message: v3::bootstrap::ApplicationLogConfig, at: &mut Scope<'_>) -> Option<Option<String>> {
    use v3::bootstrap::ApplicationLogConfig;
    use v3::bootstrap::application_log_config::LogFormat;
    use v3::bootstrap::application_log_config::log_format::LogFormat as Format;
    open! { at, ApplicationLogConfig = message; implemented { log_format } }
    at.message("log_format", log_format, |message, at| {
        open! { at, LogFormat = message; implemented { log_format } }
        match at.required("log_format", log_format)? {
            Format::TextFormat(format) => Some(Some(format)),
            Format::JsonFormat(_) => {
                at.reject("json_format", "the application log is written as text");
                None
            }
        }
    })
}
