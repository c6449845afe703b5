//! The network filters of a filter chain, and what becomes of them when a configuration is discovered.
//!
//! Most filter chains know all their filters from the beginning, and their connections borrow them. Where a configuration
//! comes over ECDS the control thread compiles them anew and puts them in force as a whole; a connection keeps those that
//! it began with.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::listener::NetworkFilter;

use super::chain::{Chain, Setting};

/// Where a filter chain has its filters.
#[derive(Debug)]
pub enum Chains {
    /// They never change.
    Fixed(Chain),
    /// Configurations of some come over ECDS.
    Discovered(Box<Discovered>),
}

/// Filters that change.
#[derive(Debug)]
pub struct Discovered {
    configured: Vec<NetworkFilter>,
    current: ArcSwap<Chain>,
}

impl Chains {
    /// Compiles the filters of a chain.
    ///
    /// # Errors
    /// What keeps a filter from being served.
    pub fn new(configured: &[NetworkFilter], setting: &mut Setting<'_>) -> Result<Self, String> {
        let chain = Chain::new(configured, setting, None)?;
        if configured.iter().all(|filter| filter.config.discovered().is_none()) {
            return Ok(Chains::Fixed(chain));
        }
        let configured = configured.to_vec();
        Ok(Chains::Discovered(Box::new(Discovered { configured, current: ArcSwap::from_pointee(chain) })))
    }

    /// Whether some configuration comes over ECDS.
    pub fn are_discovered(&self) -> bool {
        matches!(self, Chains::Discovered(_))
    }

    /// Puts configurations in force that were discovered: connections that come from now on pass them.
    ///
    /// # Errors
    /// What keeps a filter from being served; then all stays as it is.
    pub fn configure(&self, setting: &mut Setting<'_>) -> Result<(), String> {
        if let Chains::Discovered(discovered) = self {
            let chain = Chain::new(&discovered.configured, setting, Some(&discovered.current.load()))?;
            discovered.current.store(Arc::new(chain));
        }
        Ok(())
    }

    /// The filters of a connection that comes now.
    pub fn current(&self) -> Current<'_> {
        match self {
            Chains::Fixed(chain) => Current::Fixed(chain),
            Chains::Discovered(discovered) => Current::Discovered(discovered.current.load_full()),
        }
    }
}

/// The filters of one connection.
#[derive(Debug)]
pub enum Current<'c> {
    /// Those that the filter chain was made with.
    Fixed(&'c Chain),
    /// Those that were in force when it came.
    Discovered(Arc<Chain>),
}

impl Deref for Current<'_> {
    type Target = Chain;

    fn deref(&self) -> &Chain {
        match self {
            Current::Fixed(chain) => chain,
            Current::Discovered(chain) => chain,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dragoman_proto::{encode, tree};

    use super::*;
    use crate::config;
    use crate::config::discovered_config::DiscoveredConfig;
    use crate::config::extension::Extensions;
    use crate::config::extension_configs::ExtensionConfigs;
    use crate::config::source::SourceKind;
    use crate::network::filter::Context;
    use crate::network::{EXTENSIONS, End, SharedBuckets};
    use crate::observability::access_log::{self, Sinks};
    use crate::observability::stats::Registry;

    const ECHO: &str = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo";

    fn extensions() -> Extensions {
        Extensions { network_filters: EXTENSIONS, ..Extensions::BUILT_IN }
    }

    fn encoded(yaml: &str, message: &str) -> Vec<u8> {
        let document = tree::parse_yaml(yaml).expect("YAML");
        encode(&document.root, message, &encode::Options::default()).expect("a message").bytes
    }

    /// The filters of a chain whose last is discovered.
    fn configured() -> Vec<NetworkFilter> {
        let yaml = format!(
            "{{name: l, address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}, filter_chains: [{{filters: \
             [{{name: last, config_discovery: {{config_source: {{ads: {{}}}}, type_urls: ['{ECHO}']}}}}]}}]}}"
        );
        let bytes = encoded(&yaml, "envoy.config.listener.v3.Listener");
        let (listener, _) = config::Listener::parse(&bytes, &extensions()).expect("a listener");
        listener.filter_chains[0].filters.clone()
    }

    /// What is known of that configuration.
    fn known(config: Option<&Arc<DiscoveredConfig>>) -> ExtensionConfigs {
        ExtensionConfigs::new(vec![(SourceKind::Ads, [("last".to_owned(), config.cloned())].into())])
    }

    #[test]
    fn a_filter_whose_configuration_goes_is_missing_but_stays_where_nobody_asks_for_it() {
        let registry = Registry::new(0);
        let settings = access_log::Settings { workers: 0, flush_interval: Duration::ZERO, flush_size: 1 };
        let sinks = Sinks::new(settings, &registry).expect("a thread");
        let shared_buckets = SharedBuckets::default();
        let with = |configs: &ExtensionConfigs, compile: &mut dyn FnMut(&mut Setting<'_>)| {
            let context = Context {
                registry: &registry,
                sinks: &sinks,
                shared_buckets: &shared_buckets,
                buffer_limit_bytes: None,
            };
            compile(&mut Setting { context, configs, http: &mut |_| None });
        };
        let echo = format!("{{name: last, typed_config: {{'@type': {ECHO}}}}}");
        let echo = encoded(&echo, DiscoveredConfig::MESSAGE);
        let echo = Arc::new(DiscoveredConfig::parse(&echo, &extensions()).expect("a configuration").0);
        let mut made = None;
        with(&known(None), &mut |setting| {
            made = Some(Chains::new(&configured(), setting).expect("filters"));
        });
        let chains = made.expect("a chain");
        assert!(matches!(chains.current().end, End::Missing));
        let configure = |configs: &ExtensionConfigs| {
            with(configs, &mut |setting| chains.configure(setting).expect("filters"));
            matches!(chains.current().end, End::Terminal(_))
        };
        assert!(configure(&known(Some(&echo))));
        assert!(configure(&ExtensionConfigs::default()), "nobody asks");
        assert!(!configure(&known(None)), "it was removed");
    }
}
