//! What ECDS gives: configurations of filters, which say something to each that refers to them.

use envoy_types::pb::envoy::config::core::v3;

use super::extension::{self, ExtensionConfig, Extensions};
use super::extension_source::FilterKind;
use super::field::{Error, Notes, Scope, parse, read};
use super::http_connection_manager::HttpConnectionManager;

/// A resource of ECDS: `envoy.config.core.v3.TypedExtensionConfig` with the configuration of a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveredConfig {
    config: ExtensionConfig,
    /// What it says to a filter between a router and a host, or why it says nothing there; `None` where that is nothing
    /// else. Filters that lead to others lead to other ones there.
    upstream: Option<Result<ExtensionConfig, String>>,
}

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
        let extensions = at.extensions();
        let type_name = message.typed_config.as_ref().map(extension::contained_type).unwrap_or_default();
        // No type is one of two of them, but for HTTP filters that may stand before a host.
        let tables = [
            extensions.http_filters,
            extensions.upstream_http_filters,
            extensions.network_filters,
            extensions.listener_filters,
            extensions.udp_session_filters,
        ];
        let known = tables.into_iter().find(|known| extension::find(&type_name, known).is_some());
        let upstream = upstream_reading(&message, &type_name, extensions);
        let config = ExtensionConfig::from_typed(message, known.unwrap_or(extensions.http_filters), at)?;
        if config.downcast().is_some_and(HttpConnectionManager::needs_more_than_routes) {
            at.field("typed_config").unsupported(
                "a connection manager that is discovered has its scopes and the configurations of its filters in itself",
            );
        }
        Some(DiscoveredConfig { config, upstream })
    }

    /// What it says to filters, wherever they stand but between a router and a host.
    pub fn config(&self) -> &ExtensionConfig {
        &self.config
    }

    /// What it says to filters of this kind.
    ///
    /// # Errors
    /// Why it says nothing to them.
    pub fn of(&self, kind: FilterKind) -> Result<&ExtensionConfig, &str> {
        match &self.upstream {
            Some(upstream) if kind == FilterKind::UpstreamHttp => upstream.as_ref().map_err(String::as_str),
            _ => Ok(&self.config),
        }
    }
}

/// What a configuration says to a filter between a router and a host, where that may be something else.
fn upstream_reading(
    message: &v3::TypedExtensionConfig,
    type_name: &str,
    extensions: &Extensions,
) -> Option<Result<ExtensionConfig, String>> {
    let upstream = extensions.upstream_http_filters;
    let parse = |known| extension::find(type_name, known).map(|extension| extension.parse);
    let (there, here) = (parse(upstream)?, parse(extensions.http_filters)?);
    if std::ptr::fn_addr_eq(there, here) {
        return None;
    }
    let found = read(extensions, |at| ExtensionConfig::from_typed(message.clone(), upstream, at));
    let why = |errors: Vec<Error>| errors.iter().map(Error::to_string).collect::<Vec<_>>().join("; ");
    Some(found.map(|(config, _)| config).map_err(why))
}
