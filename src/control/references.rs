//! What a listener refers to: route tables by name.

use crate::config::http_connection_manager::RouteSpecifier;
use crate::config::source::ConfigSource;
use crate::config::{HttpConnectionManager, Listener};

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
