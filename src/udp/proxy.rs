//! What all workers share of a UDP proxy.

use std::fmt;

use crate::config::extension::ExtensionConfig;
use crate::observability::access_log::{AccessLog, Sinks};
use crate::observability::stats::udp::UdpProxyStats;
use crate::observability::stats::{Registry, matching};
use crate::snapshot::Snapshot;

use super::config::{Config, Route};

/// `envoy.filters.udp_listener.udp_proxy`: passes datagrams to hosts, and what these answer back.
pub struct Proxy {
    pub(super) config: Config,
    /// `udp.<stat_prefix>.`
    pub(super) stats: UdpProxyStats,
    /// Where clusters get their statistics of datagrams, once there are some.
    pub(super) registry: Registry,
    /// Where sessions are logged.
    pub(super) access_log: Box<[AccessLog]>,
    /// Where the proxy itself is.
    pub(super) proxy_access_log: Box<[AccessLog]>,
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
    /// An access log that cannot be opened; a filter that is no UDP proxy.
    pub fn new(filter: &ExtensionConfig, registry: &Registry, sinks: &Sinks) -> Result<Self, String> {
        let Some(config) = filter.downcast::<Config>() else {
            return Err(format!("filter {}: not served", filter.name));
        };
        if let Route::Matcher(tree) = &config.route {
            tree.count_with(&matching::counters(registry));
        }
        let build = |logs: &_| AccessLog::build(logs, sinks).map_err(|error| error.to_string());
        Ok(Proxy {
            stats: UdpProxyStats::new(registry, &format!("udp.{}.", config.stat_prefix)),
            access_log: build(&config.access_log)?,
            proxy_access_log: build(&config.proxy_access_log)?,
            registry: registry.clone(),
            config: config.clone(),
        })
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
