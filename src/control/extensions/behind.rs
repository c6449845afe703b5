//! What configurations that came refer to themselves: routers to filters before their hosts, connection managers to route
//! tables.

use super::Extensions;
use crate::config::HttpConnectionManager;
use crate::config::discovered_config::DiscoveredConfig;
use crate::config::extension::ExtensionConfig;
use crate::config::http_connection_manager::RouteSpecifier;
use crate::control::references::{ExtensionReference, RouteReference, manager_reference, router_references};
use crate::control::resources::Record;

/// Whether a configuration refers to others.
pub(super) fn refers(config: &DiscoveredConfig) -> bool {
    let config = Some(config.config());
    router_references(config).next().is_some() || manager_reference(config).is_some()
}

impl Extensions {
    /// What the routers among these configurations refer to themselves: filters between them and their hosts.
    pub fn behind(&self, references: &[ExtensionReference]) -> Vec<ExtensionReference> {
        references.iter().flat_map(|reference| self.behind_one(reference)).collect()
    }

    pub(super) fn behind_one(&self, reference: &ExtensionReference) -> Vec<ExtensionReference> {
        router_references(self.config_of(reference)).collect()
    }

    /// The route table that this configuration refers to, if it is that of a connection manager whose routes come over RDS.
    pub fn route_of(&self, reference: &ExtensionReference) -> Option<RouteReference> {
        manager_reference(self.config_of(reference))
    }

    fn config_of<'r>(&'r self, reference: &'r ExtensionReference) -> Option<&'r ExtensionConfig> {
        let ExtensionReference { name, source } = reference;
        let found = self.configs.find(&source.source.from, name).flatten().map(DiscoveredConfig::config);
        found.or(source.default_config.as_ref())
    }

    /// The connection managers among these configurations that have their routes in themselves: what came, and the name of
    /// the table.
    pub fn inline_routes(&self) -> impl Iterator<Item = (&Record, &str)> {
        self.sources.iter().flat_map(|source| {
            let managers = source.wanted.iter().filter_map(|(name, wanted)| {
                let manager = wanted.config.as_ref()?.config().downcast::<HttpConnectionManager>()?;
                Some((name, manager))
            });
            managers.filter_map(move |(name, manager)| match &manager.routes {
                RouteSpecifier::Inline(table) => {
                    Some((source.resources.find(name)?.active.as_ref()?, table.name.as_str()))
                }
                RouteSpecifier::Rds { .. } | RouteSpecifier::Scoped(_) => None,
            })
        })
    }
}
