//! Small resources for this crate's own tests.

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::{AggregatedConfigSource, ConfigSource};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, VirtualHost, route, route_action,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, Rds, http_connection_manager::RouteSpecifier,
};
use envoy_types::util::pack_any;

use crate::Resource;

fn ads() -> Option<ConfigSource> {
    let config_source_specifier = Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {}));
    Some(ConfigSource { config_source_specifier, ..Default::default() })
}

/// A static cluster; another `revision` makes another content.
pub(crate) fn cluster(name: &str, revision: u32) -> Resource {
    let alt_stat_name = format!("r{revision}");
    Cluster { name: name.into(), alt_stat_name, ..Default::default() }.into()
}

/// A cluster with endpoints of its own name over ADS.
pub(crate) fn eds_cluster(name: &str, revision: u32) -> Resource {
    let eds = cluster::EdsClusterConfig { eds_config: ads(), ..Default::default() };
    let alt_stat_name = format!("r{revision}");
    Cluster { name: name.into(), alt_stat_name, eds_cluster_config: Some(eds), ..Default::default() }.into()
}

/// Endpoints without endpoints; another `revision` makes another content.
pub(crate) fn endpoints(name: &str, revision: u32) -> Resource {
    let mut assignment = ClusterLoadAssignment { cluster_name: name.into(), ..Default::default() };
    assignment.named_endpoints.insert(format!("r{revision}"), Default::default());
    assignment.into()
}

/// A listener with its routes over RDS.
pub(crate) fn listener(name: &str, route_config_name: &str) -> Resource {
    let rds = Rds { config_source: ads(), route_config_name: route_config_name.into() };
    let manager =
        HttpConnectionManager { route_specifier: Some(RouteSpecifier::Rds(rds)), ..Default::default() };
    let config_type = Some(filter::ConfigType::TypedConfig(pack_any(manager)));
    let filters = vec![Filter { name: "hcm".into(), config_type }];
    let filter_chains = vec![FilterChain { filters, ..Default::default() }];
    Listener { name: name.into(), filter_chains, ..Default::default() }.into()
}

/// A route configuration with one route to each cluster.
pub(crate) fn routes(name: &str, clusters: &[&str]) -> Resource {
    let route = |cluster: &&str| {
        let cluster_specifier = Some(route_action::ClusterSpecifier::Cluster(cluster.to_string()));
        let action = RouteAction { cluster_specifier, ..Default::default() };
        Route { action: Some(route::Action::Route(action)), ..Default::default() }
    };
    let host = VirtualHost { routes: clusters.iter().map(route).collect(), ..Default::default() };
    RouteConfiguration { name: name.into(), virtual_hosts: vec![host], ..Default::default() }.into()
}
