//! The filter chains of a listener: made, or taken over from the listener that it updates.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config;
use crate::config::extension::ExtensionConfig;
use crate::config::http_connection_manager::HttpConnectionManager;
use crate::config::listener::FilterChainMatch;
use crate::http::ConnectionManager;
use crate::listener::filter_chain::FilterChain;
use crate::network;
use crate::observability::stats::Registry;

use super::discovering::Discovering;
use super::{Listener, Manager};

/// The chains of a listener in force.
pub(super) struct Chains {
    pub(super) chains: Box<[Arc<FilterChain>]>,
    pub(super) default: Option<Arc<FilterChain>>,
}

impl Manager {
    /// The chains of a listener; those that the listener which it updates has alike are that one's.
    pub(super) fn chains(
        &mut self,
        config: &Arc<config::Listener>,
        prefix: &str,
        registry: &Registry,
        updated: Option<&Listener>,
    ) -> Result<Chains, String> {
        let kept = updated.map(Kept::of).unwrap_or_default();
        let mut chains = Vec::with_capacity(config.filter_chains.len());
        for chain in &config.filter_chains {
            chains.push(match kept.like(chain) {
                Some(kept) => Arc::clone(kept),
                None => self.filter_chain(chain, config, prefix, registry)?,
            });
        }
        let default = match &config.default_filter_chain {
            None => None,
            Some(chain) => match kept.default.filter(|(kept, _)| *kept == chain) {
                Some((_, kept)) => Some(Arc::clone(kept)),
                None => Some(self.filter_chain(chain, config, prefix, registry)?),
            },
        };
        Ok(Chains { chains: chains.into(), default })
    }

    fn filter_chain(
        &mut self,
        chain: &config::listener::FilterChain,
        listener: &Arc<config::Listener>,
        prefix: &str,
        registry: &Registry,
    ) -> Result<Arc<FilterChain>, String> {
        let own = chain.is_discovered.then(|| format!("filter_chain.{}.", chain.name));
        let prefix = own.as_deref().unwrap_or(prefix);
        let compile = |setting: &mut network::Setting<'_>| network::Chains::new(&chain.filters, setting);
        let filters = self.with_setting(listener, prefix, registry, compile)?;
        let chain = Arc::new(FilterChain::new(chain, filters, registry, prefix, &self.secrets)?);
        if chain.filters.are_discovered() {
            let one = Discovering::Network(Arc::downgrade(&chain), Arc::clone(listener));
            self.discovering.push(one);
        }
        Ok(chain)
    }

    /// Puts configurations of network filters in force that came over ECDS.
    ///
    /// # Errors
    /// What keeps a filter from being served.
    pub(super) fn configure_chain(
        &mut self,
        chain: &FilterChain,
        listener: &config::Listener,
    ) -> Result<(), String> {
        let registry = self.registry.choosing(listener.stats_matcher.as_ref());
        let prefix = &chain.stat_prefix;
        self.with_setting(listener, prefix, &registry, |setting| chain.filters.configure(setting))
    }

    /// Whether there is a connection manager, be it of a listener that warms or drains.
    pub fn has_connection_managers(&self) -> bool {
        Arc::strong_count(&self.connection_managers) > 1
    }

    /// Compiles with what there is for the network filters of a listener.
    fn with_setting<T>(
        &mut self,
        listener: &config::Listener,
        prefix: &str,
        registry: &Registry,
        compile: impl FnOnce(&mut network::Setting<'_>) -> T,
    ) -> T {
        let (sinks, shared_buckets) = (Arc::clone(&self.sinks), Arc::clone(&self.shared_buckets));
        let configs = Arc::clone(&self.configs);
        let context = network::filter::Context {
            registry,
            sinks: &sinks,
            shared_buckets: &shared_buckets,
            buffer_limit_bytes: listener.buffer.limit_bytes,
        };
        let mut http = |filter: &ExtensionConfig| {
            let options = filter.downcast::<HttpConnectionManager>()?;
            Some(self.http(options, listener, prefix, registry))
        };
        compile(&mut network::Setting { context, configs: &configs, http: &mut http })
    }

    fn http(
        &mut self,
        options: &HttpConnectionManager,
        listener: &config::Listener,
        prefix: &str,
        registry: &Registry,
    ) -> Result<Arc<ConnectionManager>, String> {
        let codec_stats = self.codec_stats.clone();
        let buffer_limit = listener.buffer.limit_bytes;
        let manager = ConnectionManager::new(
            options.clone(),
            (registry, &self.places),
            prefix,
            codec_stats,
            &self.sinks,
            buffer_limit,
            (&mut self.tracers, listener.traffic_direction),
        )?;
        let manager = Arc::new(manager.holding(Arc::clone(&self.connection_managers)));
        if manager.discovers() {
            manager.configure(&self.configs);
            self.discovering.push(Discovering::Http(Arc::downgrade(&manager)));
        }
        Ok(manager)
    }
}

/// The chains of a listener that may stay.
#[derive(Default)]
struct Kept<'l> {
    /// By what no two chains of a listener have in common.
    chains: HashMap<Key<'l>, (&'l config::listener::FilterChain, &'l Arc<FilterChain>)>,
    default: Option<(&'l config::listener::FilterChain, &'l Arc<FilterChain>)>,
}

type Key<'l> = (&'l str, &'l FilterChainMatch);

impl<'l> Kept<'l> {
    fn of(listener: &'l Listener) -> Self {
        let chains = listener.config.filter_chains.iter().zip(&listener.filter_chains);
        Kept {
            chains: chains.map(|pair| (key(pair.0), pair)).collect(),
            default: listener
                .config
                .default_filter_chain
                .as_ref()
                .zip(listener.default_filter_chain.as_ref()),
        }
    }

    fn like(&self, chain: &config::listener::FilterChain) -> Option<&'l Arc<FilterChain>> {
        self.chains.get(&key(chain)).filter(|(kept, _)| *kept == chain).map(|(_, kept)| *kept)
    }
}

fn key(chain: &config::listener::FilterChain) -> Key<'_> {
    (&chain.name, &chain.criteria)
}
