//! Whose filters have configurations that come over ECDS.

use std::sync::{Arc, Weak};

use crate::config;
use crate::config::HttpConnectionManager;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_configs::ExtensionConfigs;
use crate::http::{ConnectionManager, check_discovered};
use crate::listener::filter_chain::FilterChain;
use crate::listener::filters::Filters;
use crate::network;
use crate::observability::access_log::AccessLog;
use crate::udp::Proxy;

use super::Manager;

/// Something with filters whose configurations come over ECDS, that of draining listeners included.
#[derive(Debug)]
pub(super) enum Discovering {
    /// HTTP filters.
    Http(Weak<ConnectionManager>),
    /// Network filters, and the listener that they were made for.
    Network(Weak<FilterChain>, Arc<config::Listener>),
    /// Listener filters.
    Listener(Weak<Filters>),
    /// Session filters.
    Datagrams(Weak<Proxy>),
}

impl Manager {
    /// Whether the configuration of a filter that came over ECDS can be in force.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, config: &ExtensionConfig) -> Result<(), String> {
        check_discovered(config, &self.sinks)?;
        if let Some(manager) = config.downcast::<HttpConnectionManager>() {
            let opened = AccessLog::build(&manager.access_log, &self.sinks);
            return opened.map(drop).map_err(|error| error.to_string());
        }
        network::check_discovered(config, &self.sinks)
    }

    /// Puts configurations of filters in force that came over ECDS.
    pub fn configure(&mut self, configs: &Arc<ExtensionConfigs>) {
        self.configs = Arc::clone(configs);
        let all = std::mem::take(&mut self.discovering);
        let kept: Vec<_> = all.into_iter().filter(|one| self.configure_one(one)).collect();
        self.discovering.extend(kept);
    }

    /// False where it has gone.
    fn configure_one(&mut self, one: &Discovering) -> bool {
        let configured = match one {
            Discovering::Http(manager) => manager.upgrade().map(|manager| {
                manager.configure(&self.configs);
                Ok(())
            }),
            Discovering::Network(chain, listener) => {
                chain.upgrade().map(|chain| self.configure_chain(&chain, listener))
            }
            Discovering::Listener(filters) => {
                filters.upgrade().map(|filters| filters.configure(&self.configs))
            }
            Discovering::Datagrams(proxy) => proxy.upgrade().map(|proxy| proxy.configure(&self.configs)),
        };
        if let Some(Err(problem)) = &configured {
            // What came was read by one of this build's filters, and found to be such as can be in force.
            tracing::error!(target: "config", problem, "configurations of filters are not in force");
        }
        configured.is_some()
    }
}
