//! Configurations of extensions that are discovered (ECDS): `envoy.config.core.v3.ExtensionConfigSource`.

use envoy_types::pb::envoy::config::core::v3;

use super::extension::{self, Extension, ExtensionConfig, Extensions};
use super::field::{Error, Notes, Scope, open, parse};
use super::source::ConfigSource;

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
    /// Whether it stands between a router and a host.
    pub upstream: bool,
}

impl ExtensionConfigSource {
    /// From its proto, for the filter of this name; `last` says that it is the last of its chain, `upstream` that this is
    /// one between a router and a host.
    pub(super) fn from_proto(
        name: &str,
        message: v3::ExtensionConfigSource,
        known: &[Extension],
        last: bool,
        upstream: bool,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::ExtensionConfigSource = message;
            implemented { config_source, default_config, apply_default_config_without_warming, type_urls }
        }
        let types = at.list("type_urls", type_urls, |url, at| required_type(&url, known, at));
        let source = at.message("config_source", config_source, ConfigSource::from_proto);
        let source = at.required("config_source", source)?;
        let fits = |extension: &&&Extension| extension.terminal == last;
        let mut discovery = ExtensionConfigSource {
            source,
            default_config: None,
            apply_default_config_without_warming,
            type_names: types.iter().map(|extension| extension.type_name).collect(),
            fitting: types.iter().filter(fits).map(|extension| extension.type_name).collect(),
            last,
            upstream,
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
        if self.fitting.contains(type_name) {
            return Ok(());
        }
        let chain = if self.upstream { "router upstream http" } else { "http" };
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

/// A resource of ECDS: `envoy.config.core.v3.TypedExtensionConfig` with the configuration of an HTTP filter.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveredConfig(pub ExtensionConfig);

impl DiscoveredConfig {
    /// Full name of its message.
    pub const MESSAGE: &'static str = "envoy.config.core.v3.TypedExtensionConfig";

    /// Reads the resource.
    ///
    /// # Errors
    /// Every error of it.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<Error>> {
        parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        let (anywhere, upstream) = (at.extensions().http_filters, at.extensions().upstream_http_filters);
        let type_name = message.typed_config.as_ref().map(extension::contained_type).unwrap_or_default();
        // Those that may stand before a host are the same there, but for the codec, which stands nowhere else.
        let is_upstream = extension::find(&type_name, anywhere).is_none();
        let is_upstream = is_upstream && extension::find(&type_name, upstream).is_some();
        let known = if is_upstream { upstream } else { anywhere };
        ExtensionConfig::from_typed(message, known, at).map(DiscoveredConfig)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::field::read;
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
            ExtensionConfigSource::from_proto("f", message, known, last, false, at)
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
