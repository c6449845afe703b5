//! Configurations of extensions that are discovered (ECDS): `envoy.config.core.v3.ExtensionConfigSource`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::google::protobuf as pb;

use super::extension::{self, Extension, ExtensionConfig};
use super::field::{Scope, open};
use super::source::ConfigSource;

/// Which filter stands in a place of a chain, and what it is told: `config_type`
#[derive(Clone, Debug, PartialEq)]
pub enum FilterConfigType {
    /// `typed_config`
    Typed(ExtensionConfig),
    /// `config_discovery`
    Discovered(Arc<ExtensionConfigSource>),
}

/// The same as a message says it.
pub(crate) enum ConfigType {
    /// `typed_config`
    Typed(pb::Any),
    /// `config_discovery`
    Discovery(Box<v3::ExtensionConfigSource>),
}

impl FilterConfigType {
    /// From what a message says of a filter of this kind and name; `last` says that it is the last of its chain.
    pub(crate) fn from_proto(
        name: &str,
        choice: Option<ConfigType>,
        kind: FilterKind,
        last: bool,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let known = kind.known(at);
        let typed = match choice {
            Some(ConfigType::Typed(any)) => {
                ExtensionConfig::from_any(name, any, known, &mut at.field("typed_config"))
            }
            Some(ConfigType::Discovery(source)) => {
                let at = &mut at.field("config_discovery");
                let source = ExtensionConfigSource::from_proto(name, *source, known, last, kind, at)?;
                return Some(FilterConfigType::Discovered(Arc::new(source)));
            }
            None => ExtensionConfig::from_any(name, pb::Any::default(), known, at),
        };
        typed.map(FilterConfigType::Typed)
    }

    /// The source of the configuration, if that is discovered.
    pub fn discovered(&self) -> Option<&Arc<ExtensionConfigSource>> {
        match self {
            FilterConfigType::Discovered(source) => Some(source),
            FilterConfigType::Typed(_) => None,
        }
    }

    /// What the filter is told, if that is configured here.
    pub fn typed(&self) -> Option<&ExtensionConfig> {
        match self {
            FilterConfigType::Typed(config) => Some(config),
            FilterConfigType::Discovered(_) => None,
        }
    }

    /// What the filter is told as `T`, if that is one and is configured here.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.typed()?.downcast()
    }
}

/// What filters whose configuration is discovered are filters of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// A connection manager.
    Http,
    /// The way between a router and a host.
    UpstreamHttp,
    /// A filter chain of a listener.
    Network,
    /// A listener, before a filter chain is chosen.
    Listener,
    /// A session of a UDP proxy.
    UdpSession,
}

impl FilterKind {
    /// Those that are known.
    fn known(self, at: &Scope<'_>) -> &'static [Extension] {
        let extensions = at.extensions();
        match self {
            FilterKind::Http => extensions.http_filters,
            FilterKind::UpstreamHttp => extensions.upstream_http_filters,
            FilterKind::Network => extensions.network_filters,
            FilterKind::Listener => extensions.listener_filters,
            FilterKind::UdpSession => extensions.udp_session_filters,
        }
    }

    /// What follows `extension_config_discovery.` in the names of statistics.
    pub fn statistics(self) -> &'static str {
        match self {
            FilterKind::Http => "http_filter",
            FilterKind::UpstreamHttp => "upstream_http_filter",
            FilterKind::Network => "network_filter",
            FilterKind::Listener => "tcp_listener_filter",
            FilterKind::UdpSession => "udp_session_filter",
        }
    }

    /// Envoy's name for a chain of them; `None` where it does not matter which is the last.
    fn chain(self) -> Option<&'static str> {
        match self {
            FilterKind::Http => Some("http"),
            FilterKind::UpstreamHttp => Some("router upstream http"),
            FilterKind::Network => Some("network"),
            FilterKind::Listener | FilterKind::UdpSession => None,
        }
    }
}

/// Where the configuration of a filter comes from, and which may stand in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtensionConfigSource {
    /// `config_source`
    pub source: ConfigSource,
    /// `default_config`: in force as long as none has come, and again once it is removed.
    pub default_config: Option<ExtensionConfig>,
    /// `apply_default_config_without_warming`: the listener does not wait for the configuration.
    pub apply_default_config_without_warming: bool,
    /// `type_urls`: full names of the messages of which the configuration must be one; those that are known.
    type_names: Vec<&'static str>,
    /// Those of them that fit the place in the chain.
    fitting: Vec<&'static str>,
    /// Whether the filter is the last of its chain.
    last: bool,
    /// What the filter is one of.
    pub kind: FilterKind,
}

impl ExtensionConfigSource {
    /// From its proto, for the filter of this name; `last` says that it is the last of its chain.
    pub fn from_proto(
        name: &str,
        message: v3::ExtensionConfigSource,
        known: &[Extension],
        last: bool,
        kind: FilterKind,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::ExtensionConfigSource = message;
            implemented { config_source, default_config, apply_default_config_without_warming, type_urls }
        }
        let types = at.list("type_urls", type_urls, |url, at| required_type(&url, known, at));
        let source = at.message("config_source", config_source, ConfigSource::of_known_server);
        let source = at.required("config_source", source)?;
        let fits = |extension: &&&Extension| extension.terminal == last;
        let mut discovery = ExtensionConfigSource {
            source,
            default_config: None,
            apply_default_config_without_warming,
            type_names: types.iter().map(|extension| extension.type_name).collect(),
            fitting: types.iter().filter(fits).map(|extension| extension.type_name).collect(),
            last,
            kind,
        };
        if apply_default_config_without_warming && default_config.is_none() {
            at.error(format!(
                "Error: filter config {name} applied without warming but has no default config."
            ));
        }
        discovery.default_config = at.message("default_config", default_config, |any, at| {
            let config = ExtensionConfig::from_any(name, any, known, at)?;
            if let Err(problem) = discovery.check(&config) {
                at.error(problem);
            }
            Some(config)
        });
        Some(discovery)
    }

    /// Whether this configuration may stand here.
    ///
    /// # Errors
    /// Why not, in Envoy's words.
    pub fn check(&self, config: &ExtensionConfig) -> Result<(), String> {
        let ExtensionConfig { name, type_name, .. } = config;
        if !self.type_names.contains(type_name) {
            let expected = self.type_names.join(", ");
            return Err(format!("Error: filter config has type URL {type_name} but expect {expected}."));
        }
        let Some(chain) = self.kind.chain().filter(|_| !self.fitting.contains(type_name)) else {
            return Ok(());
        };
        Err(match self.last {
            true => format!(
                "Error: non-terminal filter named {name} of type {type_name} is the last filter in a {chain} filter \
                 chain."
            ),
            false => format!(
                "Error: terminal filter named {name} of type {type_name} must be the last filter in a {chain} filter \
                 chain."
            ),
        })
    }
}

/// The extension of a type that the configuration may have.
fn required_type<'k>(url: &str, known: &'k [Extension], at: &mut Scope<'_>) -> Option<&'k Extension> {
    let name = extension::type_name(url);
    let found = extension::find(name, known);
    if found.is_none() {
        let known: Vec<_> = known.iter().map(|extension| extension.type_name).collect();
        at.unsupported(format!(
            "Error: no factory found for a required type URL {name}.; known: {}",
            known.join(", ")
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::extension::Extensions;
    use crate::config::field::{Error, read};
    use crate::config::router;

    const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

    fn source(last: bool, type_url: &str) -> Result<ExtensionConfigSource, String> {
        let path = v3::config_source::ConfigSourceSpecifier::Ads(v3::AggregatedConfigSource::default());
        let message = v3::ExtensionConfigSource {
            config_source: Some(v3::ConfigSource {
                config_source_specifier: Some(path),
                ..v3::ConfigSource::default()
            }),
            type_urls: vec![type_url.to_owned()],
            ..v3::ExtensionConfigSource::default()
        };
        let known = Extensions::BUILT_IN.http_filters;
        read(&Extensions::BUILT_IN, |at| {
            ExtensionConfigSource::from_proto("f", message, known, last, FilterKind::Http, at)
        })
        .map(|(source, _)| source)
        .map_err(|errors| errors.iter().map(Error::to_string).collect())
    }

    fn router() -> ExtensionConfig {
        let value = std::sync::Arc::new(router::Router::default());
        ExtensionConfig { name: "f".to_owned(), type_name: router::TYPE_NAME, value }
    }

    #[test]
    fn a_router_may_stand_only_at_the_end() {
        assert_eq!(source(true, ROUTER).expect("a source").check(&router()), Ok(()));
        let refused = source(false, ROUTER).expect("a source").check(&router());
        assert!(refused.is_err_and(|why| why.contains("must be the last filter in a http filter chain")));
    }

    #[test]
    fn only_types_that_are_known_can_be_asked_for() {
        let error = source(true, "type.googleapis.com/not.Known").expect_err("an unknown type");
        assert!(
            error.starts_with("type_urls[0]: Error: no factory found for a required type URL not.Known.")
        );
    }
}
