//! What a listener refers to: route tables by name, scopes, and configurations of filters.

use std::sync::Arc;

use super::scopes::Scopes;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_source::ExtensionConfigSource;
use crate::config::http_connection_manager::{HttpFilter, RouteSpecifier, ScopedRoutes, ScopesSpecifier};
use crate::config::router::Router;
use crate::config::source::ConfigSource;
use crate::config::{Cluster, HttpConnectionManager, Listener};

/// A reference to a route table that comes over RDS.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteReference {
    /// The table's name.
    pub name: String,
    /// Where it comes from.
    pub source: ConfigSource,
    /// `stat_prefix` of the connection manager that refers to it.
    pub stat_prefix: String,
}

/// A reference to scopes that come over SRDS.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeReference {
    /// `ScopedRoutes.name`
    pub name: String,
    /// `stat_prefix` of the connection manager that refers to them.
    pub stat_prefix: String,
    /// Where they come from.
    pub scopes: ConfigSource,
    /// Where the route tables come from that they name.
    pub tables: ConfigSource,
}

/// A reference to the configuration of a filter that comes over ECDS.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtensionReference {
    /// The filter's name, and the configuration's.
    pub name: String,
    /// Where it comes from, and which it may be.
    pub source: Arc<ExtensionConfigSource>,
}

impl ExtensionReference {
    fn new((name, source): (&str, &Arc<ExtensionConfigSource>)) -> Self {
        ExtensionReference { name: name.to_owned(), source: Arc::clone(source) }
    }
}

/// The configurations of filters that a listener refers to.
pub fn extension_references(listener: &Listener) -> impl Iterator<Item = ExtensionReference> {
    let of_managers = connection_managers(listener).flat_map(HttpConnectionManager::discovered_filters);
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    let network = chains.flat_map(|chain| &chain.filters).map(|filter| (&*filter.name, &filter.config));
    let own = listener.listener_filters.iter().map(|filter| (&*filter.name, &filter.config));
    let discovered = own.chain(network).filter_map(|(name, config)| Some((name, config.discovered()?)));
    discovered.chain(of_managers).map(ExtensionReference::new)
}

/// The configurations of filters that a router refers to, if this is the configuration of one.
pub fn router_references(config: Option<&ExtensionConfig>) -> impl Iterator<Item = ExtensionReference> {
    let router = config.and_then(|config| config.downcast::<Router>());
    let filters = router.into_iter().flat_map(|router| &router.upstream_http_filters);
    filters.filter_map(HttpFilter::discovered).map(ExtensionReference::new)
}

/// The configurations of filters that a cluster refers to.
pub fn cluster_references(cluster: &Cluster) -> impl Iterator<Item = ExtensionReference> {
    cluster.discovered_filters().map(ExtensionReference::new)
}

/// The connection managers of a listener.
pub fn connection_managers(listener: &Listener) -> impl Iterator<Item = &HttpConnectionManager> {
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    chains.flat_map(|chain| &chain.filters).filter_map(|filter| filter.downcast())
}

/// The scopes that a listener refers to.
pub fn scope_references(listener: &Listener) -> impl Iterator<Item = ScopeReference> {
    connection_managers(listener).filter_map(|manager| match &manager.routes {
        RouteSpecifier::Scoped(ScopedRoutes {
            name,
            scopes: ScopesSpecifier::Srds { scopes, tables },
            ..
        }) => Some(ScopeReference {
            name: name.clone(),
            stat_prefix: manager.stat_prefix.clone(),
            scopes: scopes.clone(),
            tables: tables.clone(),
        }),
        RouteSpecifier::Scoped(_) | RouteSpecifier::Inline(_) | RouteSpecifier::Rds { .. } => None,
    })
}

/// The route tables that a listener refers to, by itself or by the scopes there are, each once by connection manager.
pub fn route_references(listener: &Listener, scopes: &Scopes) -> Vec<RouteReference> {
    let mut references: Vec<RouteReference> = Vec::new();
    let mut refer = |name: &str, source: &ConfigSource, stat_prefix: &str| {
        let (name, stat_prefix) = (name.to_owned(), stat_prefix.to_owned());
        let reference = RouteReference { name, source: source.clone(), stat_prefix };
        if !references.contains(&reference) {
            references.push(reference);
        }
    };
    for manager in connection_managers(listener) {
        if let RouteSpecifier::Rds { route_config_name, source } = &manager.routes {
            refer(route_config_name, source, &manager.stat_prefix);
        }
    }
    for reference in scope_references(listener) {
        for table in scopes.tables_of(&reference.scopes.from) {
            refer(table, &reference.tables, &reference.stat_prefix);
        }
    }
    references
}
