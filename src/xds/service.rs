//! The gRPC methods of xDS.

/// The method that streams all types: ADS.
pub(super) fn aggregated(delta: bool) -> &'static str {
    if delta {
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
    } else {
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
    }
}

/// The method that streams one type.
pub(super) fn of_type(type_url: &str, delta: bool) -> Option<&'static str> {
    let message = type_url.strip_prefix("type.googleapis.com/")?;
    let (sotw, incremental) = match message {
        "envoy.config.listener.v3.Listener" => (
            "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
            "/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners",
        ),
        "envoy.config.route.v3.RouteConfiguration" => (
            "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
            "/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes",
        ),
        "envoy.config.route.v3.ScopedRouteConfiguration" => (
            "/envoy.service.route.v3.ScopedRoutesDiscoveryService/StreamScopedRoutes",
            "/envoy.service.route.v3.ScopedRoutesDiscoveryService/DeltaScopedRoutes",
        ),
        // Virtual hosts come incrementally or not at all.
        "envoy.config.route.v3.VirtualHost" => {
            return delta.then_some("/envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts");
        }
        "envoy.config.cluster.v3.Cluster" => (
            "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
            "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
        ),
        "envoy.config.endpoint.v3.ClusterLoadAssignment" => (
            "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
            "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
        ),
        "envoy.extensions.transport_sockets.tls.v3.Secret" => (
            "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
            "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
        ),
        "envoy.service.runtime.v3.Runtime" => (
            "/envoy.service.runtime.v3.RuntimeDiscoveryService/StreamRuntime",
            "/envoy.service.runtime.v3.RuntimeDiscoveryService/DeltaRuntime",
        ),
        "envoy.config.core.v3.TypedExtensionConfig" => (
            "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs",
            "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
        ),
        _ => return None,
    };
    Some(if delta { incremental } else { sotw })
}

#[cfg(test)]
mod tests {
    use super::super::message::type_url;
    use super::*;

    #[test]
    fn every_type_has_a_method_in_both_variants() {
        let types = [
            type_url::LISTENER,
            type_url::ROUTE,
            type_url::SCOPED_ROUTE,
            type_url::CLUSTER,
            type_url::ENDPOINTS,
            type_url::SECRET,
            type_url::RUNTIME,
            type_url::EXTENSION,
        ];
        for of in types {
            assert!(of_type(of, false).is_some_and(|method| method.contains("/Stream")), "{of}");
            assert!(of_type(of, true).is_some_and(|method| method.contains("/Delta")), "{of}");
        }
        assert!(of_type(type_url::VIRTUAL_HOST, true).is_some_and(|method| method.contains("/Delta")));
        assert_eq!(of_type(type_url::VIRTUAL_HOST, false), None);
        assert_eq!(of_type("type.googleapis.com/envoy.config.core.v3.Node", true), None);
    }
}
