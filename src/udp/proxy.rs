//! What all workers share of a UDP proxy.

use std::fmt;
use std::sync::Arc;

use crate::config::extension::ExtensionConfig;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::extension_source::ExtensionConfigSource;
use crate::observability::access_log::{AccessLog, Sinks};
use crate::observability::stats::udp::UdpProxyStats;
use crate::observability::stats::{Registry, matching};
use crate::snapshot::Snapshot;

use super::config::{Config, Route};
use super::direct::can_send_for_others;
use super::session_filters::Filters;

/// Why hosts cannot be told of clients; Envoy's words.
const NOT_PERMITTED: &str = "The platform does not support either IP_TRANSPARENT or IPV6_TRANSPARENT. Or the envoy is not running with the CAP_NET_ADMIN capability.";

/// `envoy.filters.udp_listener.udp_proxy`: passes datagrams to hosts, and what these answer back.
pub struct Proxy {
    pub(super) config: Config,
    /// `udp.<stat_prefix>.`
    pub(super) stats: UdpProxyStats,
    /// Where clusters get their statistics of datagrams, once there are some.
    pub(super) registry: Registry,
    /// What sessions pass.
    pub(super) filters: Filters,
    /// Where sessions are logged.
    pub(super) access_log: Box<[AccessLog]>,
    /// Where the proxy itself is.
    pub(super) proxy_access_log: Box<[AccessLog]>,
}

/// The session filters of a proxy that is configured so whose configurations are discovered, by name.
pub fn discovered_filters(
    filter: &ExtensionConfig,
) -> impl Iterator<Item = (&str, &Arc<ExtensionConfigSource>)> {
    let filters = filter.downcast::<Config>().into_iter().flat_map(|config| &config.session_filters);
    filters.filter_map(|filter| Some((&*filter.name, filter.config.discovered()?)))
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.config.stat_prefix)
    }
}

impl Proxy {
    /// The proxy of this configuration.
    ///
    /// # Errors
    /// An access log that cannot be opened; a filter that is no UDP proxy; a permission that is missing.
    pub fn new(
        filter: &ExtensionConfig,
        registry: &Registry,
        sinks: &Sinks,
        configs: &ExtensionConfigs,
    ) -> Result<Self, String> {
        let Some(config) = filter.downcast::<Config>() else {
            return Err(format!("filter {}: not served", filter.name));
        };
        if let Route::Matcher(tree) = &config.route {
            tree.count_with(&matching::counters(registry));
        }
        if config.use_original_src_ip && !can_send_for_others() {
            return Err(NOT_PERMITTED.to_owned());
        }
        let build = |logs: &_| AccessLog::build(logs, sinks).map_err(|error| error.to_string());
        Ok(Proxy {
            filters: Filters::new(&config.session_filters, registry, configs)?,
            stats: UdpProxyStats::new(registry, &format!("udp.{}.", config.stat_prefix)),
            access_log: build(&config.access_log)?,
            proxy_access_log: build(&config.proxy_access_log)?,
            registry: registry.clone(),
            config: config.clone(),
        })
    }

    /// Whether the configuration of a session filter comes over ECDS.
    pub fn discovers_filters(&self) -> bool {
        self.filters.are_discovered()
    }

    /// Puts configurations of session filters in force that were discovered.
    ///
    /// # Errors
    /// Names a filter that is not served; then all stays as it is.
    pub fn configure(&self, configs: &ExtensionConfigs) -> Result<(), String> {
        self.filters.configure(configs)
    }

    /// Whether hosts are chosen once there is a session, and stay.
    pub(super) fn chooses_late(&self) -> bool {
        !self.filters.are_none() || self.config.tunneling.is_some()
    }

    /// Gives the clusters of a snapshot that datagrams may go to their statistics of datagrams.
    pub(super) fn count_in(&self, snapshot: &Snapshot) {
        for name in &self.config.clusters {
            if let Some(cluster) = snapshot.clusters.get(name.as_str()) {
                cluster.udp_stats(&self.registry);
            }
        }
    }
}
