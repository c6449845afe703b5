//! Where a connection manager's routes come from.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;

use super::{RouteSpecifier, ScopedRoutes};
use crate::config::field::{Scope, open};
use crate::config::route::RouteConfiguration;
use crate::config::source::ConfigSource;

impl RouteSpecifier {
    pub(super) fn from_proto(
        specifier: v3::http_connection_manager::RouteSpecifier,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::http_connection_manager::RouteSpecifier as Message;
        match specifier {
            Message::RouteConfig(message) => {
                RouteConfiguration::inline_from_proto(message, &mut at.field("route_config"))
                    .map(|table| RouteSpecifier::Inline(Arc::new(table)))
            }
            Message::Rds(message) => rds(message, &mut at.field("rds")),
            Message::ScopedRoutes(message) => {
                ScopedRoutes::from_proto(message, &mut at.field("scoped_routes")).map(RouteSpecifier::Scoped)
            }
        }
    }
}

fn rds(message: v3::Rds, at: &mut Scope<'_>) -> Option<RouteSpecifier> {
    open! { at, v3::Rds = message; implemented { config_source, route_config_name } }
    let Some(config_source) = config_source else {
        at.field("config_source")
            .error("An RDS config must have either a 'config_source' or an xDS-TP based 'route_config_name'");
        return None;
    };
    let source = at.message("config_source", Some(config_source), ConfigSource::of_known_server)?;
    Some(RouteSpecifier::Rds { route_config_name, source })
}
