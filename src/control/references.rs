//! What listeners and filter chains refer to: filter chains and route tables by name, scopes, and configurations of filters.

use std::sync::Arc;

use super::scopes::Scopes;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_source::ExtensionConfigSource;
use crate::config::http_connection_manager::{HttpFilter, RouteSpecifier, ScopedRoutes, ScopesSpecifier};
use crate::config::listener::FilterChain;
use crate::config::router::Router;
use crate::config::source::ConfigSource;
use crate::config::{Cluster, HttpConnectionManager, Listener};
use crate::udp;

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

/// A reference to a filter chain that comes over FCDS.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainReference {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// The filter chains that a listener refers to.
pub fn chain_references(listener: &Listener) -> impl Iterator<Item = ChainReference> {
    let awaited = listener.awaited_chains();
    awaited.map(|(name, source)| ChainReference { name: name.to_owned(), source: source.clone() })
}

/// The configurations of filters that a listener refers to.
pub fn extension_references(listener: &Listener) -> impl Iterator<Item = ExtensionReference> {
    let own = listener.listener_filters.iter();
    let own = own.filter_map(|filter| Some((&*filter.name, filter.config.discovered()?)));
    let of_sessions = listener.udp.iter().flat_map(|udp| &udp.filter).flat_map(udp::discovered_filters);
    let own = own.chain(of_sessions).map(ExtensionReference::new);
    own.chain(chain_extension_references(listener.chains()))
}

/// The configurations of filters that filter chains refer to.
pub fn chain_extension_references<'c>(
    chains: impl Iterator<Item = &'c FilterChain>,
) -> impl Iterator<Item = ExtensionReference> {
    chains.flat_map(|chain| {
        let network = chain.filters.iter();
        let network = network.filter_map(|filter| Some((&*filter.name, filter.config.discovered()?)));
        let of_managers = chain.connection_managers().flat_map(HttpConnectionManager::discovered_filters);
        network.chain(of_managers).map(ExtensionReference::new)
    })
}

/// The configurations of filters that a router refers to, if this is the configuration of one.
pub fn router_references(config: Option<&ExtensionConfig>) -> impl Iterator<Item = ExtensionReference> {
    let router = config.and_then(|config| config.downcast::<Router>());
    let filters = router.into_iter().flat_map(|router| &router.upstream_http_filters);
    filters.filter_map(HttpFilter::discovered).map(ExtensionReference::new)
}

/// The route table that a connection manager refers to, if this is the configuration of one whose routes come over RDS.
pub fn manager_reference(config: Option<&ExtensionConfig>) -> Option<RouteReference> {
    let manager = config?.downcast::<HttpConnectionManager>()?;
    match &manager.routes {
        RouteSpecifier::Rds { route_config_name, source } => Some(RouteReference {
            name: route_config_name.clone(),
            source: source.clone(),
            stat_prefix: manager.stat_prefix.clone(),
        }),
        RouteSpecifier::Inline(_) | RouteSpecifier::Scoped(_) => None,
    }
}

/// The configurations of filters that a cluster refers to.
pub fn cluster_references(cluster: &Cluster) -> impl Iterator<Item = ExtensionReference> {
    cluster.discovered_filters().map(ExtensionReference::new)
}

/// The scopes that filter chains refer to.
pub fn scope_references<'c>(
    chains: impl Iterator<Item = &'c FilterChain>,
) -> impl Iterator<Item = ScopeReference> {
    chains.flat_map(FilterChain::connection_managers).filter_map(|manager| match &manager.routes {
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

/// The route tables that filter chains refer to, by themselves or by the scopes there are, each once by connection manager.
pub fn route_references<'c>(
    chains: impl Iterator<Item = &'c FilterChain> + Clone,
    scopes: &Scopes,
) -> Vec<RouteReference> {
    let mut references: Vec<RouteReference> = Vec::new();
    let mut refer = |name: &str, source: &ConfigSource, stat_prefix: &str| {
        let (name, stat_prefix) = (name.to_owned(), stat_prefix.to_owned());
        let reference = RouteReference { name, source: source.clone(), stat_prefix };
        if !references.contains(&reference) {
            references.push(reference);
        }
    };
    for manager in chains.clone().flat_map(FilterChain::connection_managers) {
        if let RouteSpecifier::Rds { route_config_name, source } = &manager.routes {
            refer(route_config_name, source, &manager.stat_prefix);
        }
    }
    for reference in scope_references(chains) {
        for table in scopes.tables_of(&reference.scopes.from) {
            refer(table, &reference.tables, &reference.stat_prefix);
        }
    }
    references
}
