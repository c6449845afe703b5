//! What a resource needs from other resources.
//!
//! Only what this server can answer for counts: a configuration source other than `ads` or `self` may be
//! some other server, and a secret without a source is in the client's bootstrap. Clusters have no source
//! in what refers to them, so they are always counted; those of the bootstrap have to be named to the
//! server (`--static-cluster`).

use std::collections::HashSet;
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::transport_socket;
use envoy_types::pb::envoy::config::core::v3::{ConfigSource, ExtensionConfigSource, TransportSocket};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener, filter, listener_filter};
use envoy_types::pb::envoy::config::route::v3::{
    RouteAction, RouteConfiguration, ScopedRouteConfiguration, VirtualHost, route, route_action,
};
use envoy_types::pb::envoy::extensions::clusters::aggregate::v3::ClusterConfig as AggregateCluster;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier, http_filter,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, UpstreamTlsContext,
    common_tls_context::ValidationContextType, downstream_tls_context::SessionTicketKeysType,
};
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use crate::kind::{CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTE, SCOPED_ROUTE, SECRET, VIRTUAL_HOST};

/// A resource that must exist for another one to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The type of what is referred to.
    pub type_url: &'static str,
    /// Its name.
    pub name: Arc<str>,
    /// The proto field in which the name was written, to find the line.
    pub field: &'static str,
    /// The line from 1; 0 when the resource was not read from a file.
    pub line: usize,
}

/// Everything a resource refers to, in the order of its fields. Nothing for bytes that cannot be decoded.
pub(crate) fn of(body: &Any) -> Vec<Reference> {
    let mut found = Found::default();
    match body.type_url.as_str() {
        CLUSTER => found.with(body, Found::cluster),
        LISTENER => found.with(body, Found::listener),
        ROUTE => found.with(body, Found::routes),
        SCOPED_ROUTE => found.with(body, Found::scoped_route),
        VIRTUAL_HOST => found.with(body, Found::virtual_host),
        _ => {}
    }
    found.references
}

#[derive(Default)]
struct Found {
    references: Vec<Reference>,
    seen: HashSet<(&'static str, Arc<str>)>,
}

impl Found {
    fn push(&mut self, type_url: &'static str, name: &str, field: &'static str) {
        let name: Arc<str> = name.into();
        if !name.is_empty() && self.seen.insert((type_url, name.clone())) {
            self.references.push(Reference { type_url, name, field, line: 0 });
        }
    }

    /// Looks into a message that can be decoded as `M`.
    fn with<M: Message + Name + Default>(&mut self, body: &Any, look: impl FnOnce(&mut Self, &M)) {
        if body.type_url.rsplit('/').next() == Some(M::full_name().as_str())
            && let Ok(message) = M::decode(body.value.as_slice())
        {
            look(self, &message);
        }
    }

    fn cluster(&mut self, cluster: &Cluster) {
        if let Some(eds) = &cluster.eds_cluster_config
            && is_served_here(eds.eds_config.as_ref())
        {
            match eds.service_name.as_str() {
                "" => self.push(ENDPOINTS, &cluster.name, "name"),
                name => self.push(ENDPOINTS, name, "service_name"),
            }
        }
        if let Some(cluster::ClusterDiscoveryType::ClusterType(custom)) = &cluster.cluster_discovery_type
            && let Some(config) = &custom.typed_config
        {
            self.with(config, |found, aggregate: &AggregateCluster| {
                aggregate.clusters.iter().for_each(|name| found.push(CLUSTER, name, "clusters"));
            });
        }
        self.transport_socket(cluster.transport_socket.as_ref());
        for socket in &cluster.transport_socket_matches {
            self.transport_socket(socket.transport_socket.as_ref());
        }
    }

    fn listener(&mut self, listener: &Listener) {
        for filter in &listener.listener_filters {
            if let Some(listener_filter::ConfigType::ConfigDiscovery(source)) = &filter.config_type {
                self.extension(&filter.name, source);
            }
        }
        for chain in listener.filter_chains.iter().chain(&listener.default_filter_chain) {
            self.filter_chain(chain);
        }
        if let Some(config) = listener.api_listener.as_ref().and_then(|api| api.api_listener.as_ref()) {
            self.network_filter(config);
        }
    }

    fn filter_chain(&mut self, chain: &FilterChain) {
        for filter in &chain.filters {
            match &filter.config_type {
                Some(filter::ConfigType::TypedConfig(config)) => self.network_filter(config),
                Some(filter::ConfigType::ConfigDiscovery(source)) => self.extension(&filter.name, source),
                None => {}
            }
        }
        self.transport_socket(chain.transport_socket.as_ref());
    }

    fn network_filter(&mut self, config: &Any) {
        self.with(config, Self::http_connection_manager);
        self.with(config, |found, proxy: &TcpProxy| match &proxy.cluster_specifier {
            Some(tcp_proxy::ClusterSpecifier::Cluster(name)) => found.push(CLUSTER, name, "cluster"),
            Some(tcp_proxy::ClusterSpecifier::WeightedClusters(weighted)) => {
                weighted.clusters.iter().for_each(|one| found.push(CLUSTER, &one.name, "name"));
            }
            None => {}
        });
    }

    fn http_connection_manager(&mut self, manager: &HttpConnectionManager) {
        match &manager.route_specifier {
            Some(RouteSpecifier::Rds(rds)) if is_served_here(rds.config_source.as_ref()) => {
                self.push(ROUTE, &rds.route_config_name, "route_config_name");
            }
            Some(RouteSpecifier::RouteConfig(routes)) => self.routes(routes),
            _ => {}
        }
        for filter in &manager.http_filters {
            if let Some(http_filter::ConfigType::ConfigDiscovery(source)) = &filter.config_type {
                self.extension(&filter.name, source);
            }
        }
    }

    fn extension(&mut self, name: &str, source: &ExtensionConfigSource) {
        if source.default_config.is_none() && is_served_here(source.config_source.as_ref()) {
            self.push(EXTENSION, name, "name");
        }
    }

    fn scoped_route(&mut self, scope: &ScopedRouteConfiguration) {
        self.push(ROUTE, &scope.route_configuration_name, "route_configuration_name");
        scope.route_configuration.iter().for_each(|routes| self.routes(routes));
    }

    fn routes(&mut self, routes: &RouteConfiguration) {
        for mirror in &routes.request_mirror_policies {
            self.push(CLUSTER, &mirror.cluster, "cluster");
        }
        routes.virtual_hosts.iter().for_each(|host| self.virtual_host(host));
    }

    fn virtual_host(&mut self, host: &VirtualHost) {
        for mirror in &host.request_mirror_policies {
            self.push(CLUSTER, &mirror.cluster, "cluster");
        }
        for route in &host.routes {
            if let Some(route::Action::Route(action)) = &route.action {
                self.route_action(action);
            }
        }
    }

    fn route_action(&mut self, action: &RouteAction) {
        match &action.cluster_specifier {
            Some(route_action::ClusterSpecifier::Cluster(name)) => self.push(CLUSTER, name, "cluster"),
            Some(route_action::ClusterSpecifier::WeightedClusters(weighted)) => {
                weighted.clusters.iter().for_each(|one| self.push(CLUSTER, &one.name, "name"));
            }
            _ => {}
        }
        for mirror in &action.request_mirror_policies {
            self.push(CLUSTER, &mirror.cluster, "cluster");
        }
    }

    fn transport_socket(&mut self, socket: Option<&TransportSocket>) {
        let Some(transport_socket::ConfigType::TypedConfig(config)) =
            socket.and_then(|socket| socket.config_type.as_ref())
        else {
            return;
        };
        self.with(config, |found, context: &UpstreamTlsContext| {
            context.common_tls_context.iter().for_each(|common| found.tls(common));
        });
        self.with(config, |found, context: &DownstreamTlsContext| {
            context.common_tls_context.iter().for_each(|common| found.tls(common));
            if let Some(SessionTicketKeysType::SessionTicketKeysSdsSecretConfig(secret)) =
                &context.session_ticket_keys_type
            {
                found.secret(secret);
            }
        });
    }

    fn tls(&mut self, context: &CommonTlsContext) {
        context.tls_certificate_sds_secret_configs.iter().for_each(|secret| self.secret(secret));
        match &context.validation_context_type {
            Some(ValidationContextType::ValidationContextSdsSecretConfig(secret)) => self.secret(secret),
            Some(ValidationContextType::CombinedValidationContext(combined)) => {
                combined.validation_context_sds_secret_config.iter().for_each(|secret| self.secret(secret));
            }
            _ => {}
        }
    }

    fn secret(&mut self, secret: &SdsSecretConfig) {
        if is_served_here(secret.sds_config.as_ref()) {
            self.push(SECRET, &secret.name, "name");
        }
    }
}

/// Whether a source leads back to the stream on which the referring resource came.
fn is_served_here(source: Option<&ConfigSource>) -> bool {
    matches!(
        source.and_then(|source| source.config_source_specifier.as_ref()),
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn check(resource: crate::Resource, expected: &[(&str, &str)]) {
        let found: Vec<_> = resource.references.iter().map(|one| (one.type_url, &*one.name)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_listener_refers_to_its_route_configuration() {
        check(testing::listener("web", "routes"), &[(ROUTE, "routes")]);
    }

    #[test]
    fn a_route_configuration_refers_to_its_clusters_once() {
        check(testing::routes("routes", &["a", "b", "a"]), &[(CLUSTER, "a"), (CLUSTER, "b")]);
    }

    #[test]
    fn an_eds_cluster_refers_to_its_endpoints() {
        check(testing::eds_cluster("app", 1), &[(ENDPOINTS, "app")]);
    }

    #[test]
    fn bytes_that_are_no_message_refer_to_nothing() {
        let body = Any { type_url: LISTENER.into(), value: vec![0xff] };
        check(crate::Resource::new("broken", body), &[]);
    }
}
