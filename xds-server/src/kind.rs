//! The resource types that the server knows, in one table.

/// What the server has to know about a resource type.
#[derive(Debug)]
pub struct Kind {
    /// `type.googleapis.com/` and the full name of the message.
    pub type_url: &'static str,
    /// The key of a list of such resources in a file, as in `clusters: [...]`.
    pub key: &'static str,
    /// The proto field that holds the resource's name.
    pub name_field: &'static str,
    /// Whether a first request without names asks for everything.
    pub wildcard: bool,
    /// Whether a state-of-the-world response is the whole truth: what is not in it does not exist.
    pub full_state: bool,
    /// Whether a client that is asked to drop such a resource may still need it until the types after
    /// it in the table are up to date.
    pub removed_last: bool,
}

/// The known types, in the order in which a change is sent: what is referred to goes before what
/// refers to it. Types that are not here are served as well, after these and by name only.
pub const KINDS: [Kind; 9] = [
    Kind { removed_last: true, wildcard: true, full_state: true, ..kind(CLUSTER, "clusters") },
    Kind { removed_last: true, name_field: "cluster_name", ..kind(ENDPOINTS, "endpoints") },
    Kind { removed_last: true, ..kind(SECRET, "secrets") },
    Kind { removed_last: true, ..kind(EXTENSION, "extensions") },
    Kind { wildcard: true, full_state: true, ..kind(LISTENER, "listeners") },
    Kind { wildcard: true, full_state: true, ..kind(SCOPED_ROUTE, "scoped_routes") },
    kind(ROUTE, "routes"),
    Kind { wildcard: true, ..kind(VIRTUAL_HOST, "virtual_hosts") },
    kind(RUNTIME, "runtimes"),
];

/// `envoy.config.cluster.v3.Cluster`, served by CDS.
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// `envoy.config.endpoint.v3.ClusterLoadAssignment`, served by EDS.
pub const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// `envoy.config.listener.v3.Listener`, served by LDS.
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// `envoy.config.route.v3.RouteConfiguration`, served by RDS.
pub const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
/// `envoy.config.route.v3.ScopedRouteConfiguration`, served by SRDS.
pub const SCOPED_ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration";
/// `envoy.config.route.v3.VirtualHost`, served by VHDS. The name of such a resource is that of its route
/// configuration, a slash, and a name.
pub const VIRTUAL_HOST: &str = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
/// `envoy.extensions.transport_sockets.tls.v3.Secret`, served by SDS.
pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
/// `envoy.service.runtime.v3.Runtime`, served by RTDS.
pub const RUNTIME: &str = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
/// `envoy.config.core.v3.TypedExtensionConfig`, served by ECDS.
pub const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

const fn kind(type_url: &'static str, key: &'static str) -> Kind {
    Kind { type_url, key, name_field: "name", wildcard: false, full_state: false, removed_last: false }
}

impl Kind {
    /// The row of the table for a type URL.
    pub fn of(type_url: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.type_url == type_url)
    }

    /// The full name of the message.
    pub fn message(&self) -> &'static str {
        self.type_url.split_once('/').map_or(self.type_url, |(_, name)| name)
    }

    /// Where a type stands in the order of pushes. All unknown types share the last place.
    pub(crate) fn position(type_url: &str) -> usize {
        KINDS.iter().position(|kind| kind.type_url == type_url).unwrap_or(KINDS.len())
    }
}

/// The last part of a type URL, for people: `Cluster`.
pub(crate) fn short_name(type_url: &str) -> &str {
    type_url.rsplit(['.', '/']).next().unwrap_or(type_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_go_before_endpoints_listeners_and_routes() {
        let order = [CLUSTER, ENDPOINTS, LISTENER, ROUTE, "type.googleapis.com/other"].map(Kind::position);
        assert!(order.is_sorted(), "{order:?}");
    }
}
