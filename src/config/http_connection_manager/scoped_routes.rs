//! `envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes`: a route table for each scope of requests.

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use v3::scoped_routes::scope_key_builder::{FragmentBuilder, fragment_builder};
use v3::scoped_routes::{ConfigSpecifier, ScopeKeyBuilder};

use crate::config::field::{Scope, open};
use crate::config::route::{ScopedRoute, ScopedTable};
use crate::config::source::ConfigSource;

/// Which route table a request's headers lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopedRoutes {
    /// The name of the whole, part of statistics.
    pub name: String,
    /// What of a request makes the fragments of its key.
    pub fragments: Vec<HeaderValueExtractor>,
    /// Where the scopes come from.
    pub scopes: ScopesSpecifier,
}

/// `ScopedRoutes.config_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum ScopesSpecifier {
    /// `scoped_route_configurations_list`
    Inline(Vec<ScopedRoute>),
    /// `scoped_rds`
    Srds {
        /// Where the scopes come from.
        scopes: ConfigSource,
        /// Where the route tables come from that scopes name.
        tables: ConfigSource,
    },
}

/// `ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValueExtractor {
    /// The header's name, lower case.
    pub header: String,
    /// What stands between the elements of its value; empty for a value that is one element.
    pub element_separator: String,
    /// Which element makes the fragment.
    pub extract: Extract,
}

/// `HeaderValueExtractor.extract_type`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extract {
    /// The element of this number, from 0.
    Index(u32),
    /// The value of the first element that is `key`, `separator` and a value.
    Element {
        /// What stands between key and value.
        separator: String,
        /// The key.
        key: String,
    },
}

impl ScopedRoutes {
    pub(super) fn from_proto(message: v3::ScopedRoutes, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ScopedRoutes = message;
            implemented { name, scope_key_builder, rds_config_source, config_specifier }
        }
        let name = at.required_string("name", name);
        let fragments = at.message("scope_key_builder", scope_key_builder, |message, at| {
            open! { at, ScopeKeyBuilder = message; implemented { fragments } }
            Some(at.list("fragments", fragments, fragment))
        });
        let tables = at.message("rds_config_source", rds_config_source, ConfigSource::from_proto);
        let scopes = match at.required("config_specifier", config_specifier)? {
            ConfigSpecifier::ScopedRouteConfigurationsList(list) => {
                inline(list, &mut at.field("scoped_route_configurations_list"))
            }
            ConfigSpecifier::ScopedRds(rds) => {
                let scopes = srds(rds, &mut at.field("scoped_rds"))?;
                ScopesSpecifier::Srds { scopes, tables: at.required("rds_config_source", tables)? }
            }
        };
        Some(ScopedRoutes { name, fragments: at.required("scope_key_builder", fragments)?, scopes })
    }
}

fn inline(message: v3::ScopedRouteConfigurationsList, at: &mut Scope<'_>) -> ScopesSpecifier {
    open! { at, v3::ScopedRouteConfigurationsList = message; implemented { scoped_route_configurations } }
    let scopes =
        at.list("scoped_route_configurations", scoped_route_configurations, |message, at: &mut Scope<'_>| {
            let scope = ScopedRoute::from_proto(message, at)?;
            if matches!(scope.table, ScopedTable::Named(_)) {
                at.field("route_configuration_name").error(
                    "Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.",
                );
            }
            Some(scope)
        });
    ScopesSpecifier::Inline(scopes)
}

fn srds(message: v3::ScopedRds, at: &mut Scope<'_>) -> Option<ConfigSource> {
    open! { at, v3::ScopedRds = message;
        implemented { scoped_rds_config_source }
        rejected { srds_resources_locator: "collections of xdstp:// names are not asked for" }
    }
    let source =
        at.message("scoped_rds_config_source", scoped_rds_config_source, ConfigSource::of_known_server);
    at.required("scoped_rds_config_source", source)
}

fn fragment(message: FragmentBuilder, at: &mut Scope<'_>) -> Option<HeaderValueExtractor> {
    open! { at, FragmentBuilder = message; implemented { r#type } }
    let fragment_builder::Type::HeaderValueExtractor(message) = at.required("type", r#type)?;
    extractor(message, &mut at.field("header_value_extractor"))
}

fn extractor(
    message: fragment_builder::HeaderValueExtractor,
    at: &mut Scope<'_>,
) -> Option<HeaderValueExtractor> {
    use fragment_builder::header_value_extractor::{ExtractType, KvElement};
    open! { at, fragment_builder::HeaderValueExtractor = message;
        implemented { name, element_separator, extract_type }
    }
    let header = at.required_string("name", name).to_ascii_lowercase();
    let extract = match at.required("extract_type", extract_type)? {
        ExtractType::Index(index) => {
            if index > 0 && element_separator.is_empty() {
                at.field("index").error("Index > 0 for empty string element separator.");
            }
            Extract::Index(index)
        }
        ExtractType::Element(message) => {
            let at = &mut at.field("element");
            open! { at, KvElement = message; implemented { separator, key } }
            let separator = at.required_string("separator", separator);
            Extract::Element { separator, key: at.required_string("key", key) }
        }
    };
    Some(HeaderValueExtractor { header, element_separator, extract })
}
