//! What a listener refers to: route tables by name, and clusters in its inline tables.

use std::collections::BTreeSet;

use crate::config::http_connection_manager::RouteSpecifier;
use crate::config::route::{Action, ClusterSpecifier};
use crate::config::source::ConfigSource;
use crate::config::{HttpConnectionManager, Listener, RouteConfiguration};

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

/// The connection managers of a listener.
pub fn connection_managers(listener: &Listener) -> impl Iterator<Item = &HttpConnectionManager> {
    let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
    chains.flat_map(|chain| &chain.filters).filter_map(|filter| filter.downcast())
}

/// The route tables that a listener refers to, each once by connection manager.
pub fn route_references(listener: &Listener) -> Vec<RouteReference> {
    let mut references: Vec<RouteReference> = Vec::new();
    for manager in connection_managers(listener) {
        if let RouteSpecifier::Rds { route_config_name, source } = &manager.routes {
            let (name, source) = (route_config_name.clone(), source.clone());
            let reference = RouteReference { name, source, stat_prefix: manager.stat_prefix.clone() };
            if !references.contains(&reference) {
                references.push(reference);
            }
        }
    }
    references
}

/// What is wrong with a listener's inline tables: clusters that do not exist, where that is to be checked.
pub fn unknown_clusters(listener: &Listener, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let inline = connection_managers(listener).filter_map(|manager| match &manager.routes {
        RouteSpecifier::Inline(table) if table.validate_clusters.unwrap_or(true) => Some(table),
        RouteSpecifier::Inline(_) | RouteSpecifier::Rds { .. } => None,
    });
    inline.flat_map(|table| unknown_clusters_of_table(table, &exists)).collect()
}

/// The clusters that a table refers to and that do not exist, each once, in Envoy's words.
pub fn unknown_clusters_of_table(table: &RouteConfiguration, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut errors = BTreeSet::new();
    for route in table.virtual_hosts.iter().flat_map(|host| &host.routes) {
        let Action::Route(action) = &route.action else {
            continue;
        };
        match &action.cluster {
            ClusterSpecifier::Cluster(name) if !exists(name) => {
                errors.insert(format!("route: unknown cluster '{name}'"));
            }
            ClusterSpecifier::Weighted(weighted) => {
                let named = weighted.clusters.iter().filter_map(|entry| match &entry.cluster {
                    ClusterSpecifier::Cluster(name) if !exists(name) => Some(name),
                    _ => None,
                });
                errors.extend(named.map(|name| format!("route: unknown weighted cluster '{name}'")));
            }
            ClusterSpecifier::Cluster(_) | ClusterSpecifier::Header(_) => (),
        }
    }
    errors.into_iter().collect()
}
