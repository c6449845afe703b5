//! The resources of a set, decoded, each with its place.

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType as SocketConfig;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType as FilterConfig;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use crate::check::finding::{Finding, Severity};
use crate::check::resource::Resource;
use crate::check::shape::BOOTSTRAP;

/// A message and where it stands.
#[derive(Debug)]
pub(super) struct Located<'a, M> {
    /// The message.
    pub(super) message: M,
    resource: &'a Resource<'a>,
    path: String,
}

impl<M> Located<'_, M> {
    /// A warning about a field of it, or about all of it when the path is empty.
    pub(super) fn warning(&self, id: &'static str, path: &str, reason: String) -> Finding {
        self.finding(Severity::Warning, id, path, reason)
    }

    /// An error likewise: with it the resource is not put in force.
    pub(super) fn error(&self, id: &'static str, path: &str, reason: String) -> Finding {
        self.finding(Severity::Error, id, path, reason)
    }

    /// A finding likewise.
    pub(super) fn finding(
        &self,
        severity: Severity,
        id: &'static str,
        path: &str,
        reason: String,
    ) -> Finding {
        self.resource.finding(severity, id, &join(&self.path, path), reason)
    }

    /// Whether it stands within another resource.
    pub(super) fn is_inline(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whether the field at this path of a resource stands within it.
    pub(super) fn has(&self, resource: &Resource<'_>, path: &str) -> bool {
        let below = path.strip_prefix(self.path.as_str());
        std::ptr::addr_eq(self.resource, resource)
            && below.is_some_and(|below| self.path.is_empty() || below.starts_with('.'))
    }

    /// Whether it stands in a bootstrap, of which the conversion says itself what contradicts itself.
    pub(super) fn is_static(&self) -> bool {
        self.resource.message == BOOTSTRAP
    }
}

impl<'a, M> Located<'a, M> {
    fn below<N>(&self, path: &str, message: N) -> Located<'a, N> {
        Located { message, resource: self.resource, path: join(&self.path, path) }
    }
}

fn join(path: &str, below: &str) -> String {
    match (path, below) {
        ("", path) | (path, "") => path.to_owned(),
        (path, below) => format!("{path}.{below}"),
    }
}

/// All resources of a set, by type.
#[derive(Debug, Default)]
pub(super) struct Set<'a> {
    /// All of them, as they are.
    pub(super) resources: Vec<&'a Resource<'a>>,
    /// Bootstraps, of which there is mostly one.
    pub(super) bootstraps: Vec<Located<'a, Bootstrap>>,
    /// Listeners, those of bootstraps too; the others likewise.
    pub(super) listeners: Vec<Located<'a, Listener>>,
    /// Route configurations, inline ones too.
    pub(super) routes: Vec<Located<'a, RouteConfiguration>>,
    /// Clusters.
    pub(super) clusters: Vec<Located<'a, Cluster>>,
    /// Load assignments, those in clusters not.
    pub(super) assignments: Vec<Located<'a, ClusterLoadAssignment>>,
    /// Secrets.
    pub(super) secrets: Vec<Located<'a, Secret>>,
    /// HTTP connection managers of the listeners.
    pub(super) managers: Vec<Located<'a, hcm::HttpConnectionManager>>,
}

impl<'a> Set<'a> {
    /// Of these resources. What cannot be decoded has findings already and is left out.
    pub(super) fn of(resources: &[&'a Resource<'a>]) -> Self {
        let mut set = Set { resources: resources.to_vec(), ..Self::default() };
        for resource in resources {
            set.add(resource);
        }
        for listener in &set.listeners {
            set.managers.extend(managers(listener));
        }
        for manager in &set.managers {
            if let Some(hcm::http_connection_manager::RouteSpecifier::RouteConfig(routes)) =
                &manager.message.route_specifier
            {
                set.routes.push(manager.below("route_config", routes.clone()));
            }
        }
        set
    }

    fn add(&mut self, resource: &'a Resource<'a>) {
        match resource.message.as_str() {
            "envoy.config.bootstrap.v3.Bootstrap" => {
                if let Some(bootstrap) = decode::<Bootstrap>(resource) {
                    self.add_static(&bootstrap);
                    self.bootstraps.push(bootstrap);
                }
            }
            "envoy.config.listener.v3.Listener" => self.listeners.extend(decode(resource)),
            "envoy.config.cluster.v3.Cluster" => self.clusters.extend(decode(resource)),
            "envoy.config.route.v3.RouteConfiguration" => self.routes.extend(decode(resource)),
            "envoy.config.endpoint.v3.ClusterLoadAssignment" => self.assignments.extend(decode(resource)),
            "envoy.extensions.transport_sockets.tls.v3.Secret" => self.secrets.extend(decode(resource)),
            _ => {}
        }
    }

    fn add_static(&mut self, bootstrap: &Located<'a, Bootstrap>) {
        let Some(resources) = &bootstrap.message.static_resources else { return };
        for (index, listener) in resources.listeners.iter().enumerate() {
            let path = format!("static_resources.listeners[{index}]");
            self.listeners.push(bootstrap.below(&path, listener.clone()));
        }
        for (index, cluster) in resources.clusters.iter().enumerate() {
            let path = format!("static_resources.clusters[{index}]");
            self.clusters.push(bootstrap.below(&path, cluster.clone()));
        }
        for (index, secret) in resources.secrets.iter().enumerate() {
            let path = format!("static_resources.secrets[{index}]");
            self.secrets.push(bootstrap.below(&path, secret.clone()));
        }
    }

    /// Whether a management server may send more than is here: nothing that is missing is known to be missing then.
    pub(super) fn is_dynamic(&self, sources: impl Fn(&Bootstrap) -> bool) -> bool {
        self.bootstraps.is_empty() || self.bootstraps.iter().any(|bootstrap| sources(&bootstrap.message))
    }

    /// Every route with its virtual host.
    pub(super) fn each_route(&self) -> impl Iterator<Item = (Located<'a, &Route>, &VirtualHost)> {
        self.routes.iter().flat_map(routes_of)
    }
}

/// Every route of a route configuration with its virtual host.
pub(super) fn routes_of<'a, 'm>(
    routes: &'m Located<'a, RouteConfiguration>,
) -> impl Iterator<Item = (Located<'a, &'m Route>, &'m VirtualHost)> {
    let hosts = routes.message.virtual_hosts.iter().enumerate();
    hosts.flat_map(move |(host, virtual_host)| {
        virtual_host.routes.iter().enumerate().map(move |(index, route)| {
            (routes.below(&format!("virtual_hosts[{host}].routes[{index}]"), route), virtual_host)
        })
    })
}

fn decode<'a, M: Message + Name + Default>(resource: &'a Resource<'a>) -> Option<Located<'a, M>> {
    let message = M::decode(resource.bytes.as_slice()).ok()?;
    Some(Located { message, resource, path: String::new() })
}

/// The filter chains of a listener, the default one last.
pub(super) fn filter_chains<'a, 'm>(
    listener: &'m Located<'a, Listener>,
) -> impl Iterator<Item = Located<'a, &'m FilterChain>> {
    let chains = listener.message.filter_chains.iter().enumerate();
    let default = listener.message.default_filter_chain.iter();
    chains
        .map(|(index, chain)| listener.below(&format!("filter_chains[{index}]"), chain))
        .chain(default.map(|chain| listener.below("default_filter_chain", chain)))
}

/// The filters of a listener's chains.
pub(super) fn filters<'a, 'm>(
    listener: &'m Located<'a, Listener>,
) -> impl Iterator<Item = Located<'a, &'m Filter>> {
    filter_chains(listener).flat_map(|chain| {
        let filters = chain.message.filters.iter().enumerate();
        filters.map(|(index, filter)| chain.below(&format!("filters[{index}]"), filter)).collect::<Vec<_>>()
    })
}

/// The configuration of a filter if it is of this type.
pub(super) fn config<'a, M: Message + Name + Default>(
    filter: &Located<'a, &Filter>,
) -> Option<Located<'a, M>> {
    match &filter.message.config_type {
        Some(FilterConfig::TypedConfig(any)) => Some(filter.below("typed_config", unpack(any)?)),
        _ => None,
    }
}

fn managers<'a>(listener: &Located<'a, Listener>) -> Vec<Located<'a, hcm::HttpConnectionManager>> {
    filters(listener).filter_map(|filter| config(&filter)).collect()
}

/// The configuration of a transport socket if it is of this type.
pub(super) fn socket<M: Message + Name + Default>(socket: &TransportSocket) -> Option<M> {
    match &socket.config_type {
        Some(SocketConfig::TypedConfig(any)) => unpack(any),
        None => None,
    }
}

fn unpack<M: Message + Name + Default>(any: &Any) -> Option<M> {
    let name = any.type_url.rsplit_once('/').map_or(any.type_url.as_str(), |(_, name)| name);
    (name == M::full_name()).then(|| M::decode(any.value.as_slice()).ok()).flatten()
}
