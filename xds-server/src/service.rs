//! The gRPC services: the aggregated one, and one for each type. All of them only open a [`stream`].

use std::sync::Arc;

use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_server as cds;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server as ads;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::endpoint::v3::endpoint_discovery_service_server as eds;
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_server as ecds;
use envoy_types::pb::envoy::service::listener::v3::listener_discovery_service_server as lds;
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_server as lrs;
use envoy_types::pb::envoy::service::route::v3::route_discovery_service_server as rds;
use envoy_types::pb::envoy::service::route::v3::scoped_routes_discovery_service_server as srds;
use envoy_types::pb::envoy::service::route::v3::virtual_host_discovery_service_server as vhds;
use envoy_types::pb::envoy::service::runtime::v3::runtime_discovery_service_server as rtds;
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server as sds;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::address::Peer;
use crate::fetch;
use crate::hub::Hub;
use crate::kind::{
    CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTE, RUNTIME, SCOPED_ROUTE, SECRET, VIRTUAL_HOST,
};
use crate::load_reports::LoadReports;
use crate::load_service;
use crate::stream::{self, Responses};
use crate::variant::{Delta, Sotw, Variant};

/// The largest request that is read: a client that reconnects names each resource it has with its version,
/// which for 100,000 resources are some 10 MB.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// All services over one hub; reports of load are taken where they are asked for.
pub(crate) fn routes(hub: &Arc<Hub>, load: Option<LoadReports>) -> Routes {
    macro_rules! server {
        ($($server:path),*) => {
            Routes::default()$(
                .add_service(<$server>::new(Service(hub.clone())).max_decoding_message_size(MAX_REQUEST_BYTES))
            )*
        };
    }
    let routes = server!(
        ads::AggregatedDiscoveryServiceServer<Service>,
        cds::ClusterDiscoveryServiceServer<Service>,
        eds::EndpointDiscoveryServiceServer<Service>,
        lds::ListenerDiscoveryServiceServer<Service>,
        rds::RouteDiscoveryServiceServer<Service>,
        srds::ScopedRoutesDiscoveryServiceServer<Service>,
        vhds::VirtualHostDiscoveryServiceServer<Service>,
        sds::SecretDiscoveryServiceServer<Service>,
        rtds::RuntimeDiscoveryServiceServer<Service>,
        ecds::ExtensionConfigDiscoveryServiceServer<Service>
    );
    match load {
        None => routes,
        Some(asked) => {
            let service = load_service::Service::new(Arc::clone(hub), asked);
            routes.add_service(lrs::LoadReportingServiceServer::new(service))
        }
    }
}

#[derive(Debug)]
struct Service(Arc<Hub>);

impl Service {
    fn open<V: Variant>(
        &self,
        type_url: Option<&'static str>,
        request: Request<Streaming<V::Request>>,
    ) -> Result<Response<Responses<V>>, Status> {
        if self.0.is_refusing() {
            return Err(Status::unavailable("streams are refused on request"));
        }
        let peer = request.extensions().get::<Peer>().map_or_else(String::new, |peer| peer.0.clone());
        Ok(Response::new(stream::serve::<V>(&self.0, type_url, peer, request.into_inner())))
    }
}

#[tonic::async_trait]
impl ads::AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = Responses<Sotw>;
    type DeltaAggregatedResourcesStream = Responses<Delta>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Responses<Sotw>>, Status> {
        self.open::<Sotw>(None, request)
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Responses<Delta>>, Status> {
        self.open::<Delta>(None, request)
    }
}

#[tonic::async_trait]
impl vhds::VirtualHostDiscoveryService for Service {
    type DeltaVirtualHostsStream = Responses<Delta>;

    async fn delta_virtual_hosts(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Responses<Delta>>, Status> {
        self.open::<Delta>(Some(VIRTUAL_HOST), request)
    }
}

/// A service of one type: a stream in each variant, and a unary call.
macro_rules! typed_service {
    ($type_url:ident, $service:path,
     $stream:ident -> $stream_type:ident, $delta:ident -> $delta_type:ident, $fetch:ident) => {
        #[tonic::async_trait]
        impl $service for Service {
            type $stream_type = Responses<Sotw>;
            type $delta_type = Responses<Delta>;

            async fn $stream(
                &self,
                request: Request<Streaming<DiscoveryRequest>>,
            ) -> Result<Response<Responses<Sotw>>, Status> {
                self.open::<Sotw>(Some($type_url), request)
            }

            async fn $delta(
                &self,
                request: Request<Streaming<DeltaDiscoveryRequest>>,
            ) -> Result<Response<Responses<Delta>>, Status> {
                self.open::<Delta>(Some($type_url), request)
            }

            async fn $fetch(
                &self,
                request: Request<DiscoveryRequest>,
            ) -> Result<Response<DiscoveryResponse>, Status> {
                Ok(Response::new(fetch::respond(&self.0, $type_url, &request.into_inner())))
            }
        }
    };
}

typed_service!(CLUSTER, cds::ClusterDiscoveryService,
    stream_clusters -> StreamClustersStream, delta_clusters -> DeltaClustersStream, fetch_clusters);
typed_service!(ENDPOINTS, eds::EndpointDiscoveryService,
    stream_endpoints -> StreamEndpointsStream, delta_endpoints -> DeltaEndpointsStream, fetch_endpoints);
typed_service!(LISTENER, lds::ListenerDiscoveryService,
    stream_listeners -> StreamListenersStream, delta_listeners -> DeltaListenersStream, fetch_listeners);
typed_service!(ROUTE, rds::RouteDiscoveryService,
    stream_routes -> StreamRoutesStream, delta_routes -> DeltaRoutesStream, fetch_routes);
typed_service!(SCOPED_ROUTE, srds::ScopedRoutesDiscoveryService,
    stream_scoped_routes -> StreamScopedRoutesStream, delta_scoped_routes -> DeltaScopedRoutesStream,
    fetch_scoped_routes);
typed_service!(SECRET, sds::SecretDiscoveryService,
    stream_secrets -> StreamSecretsStream, delta_secrets -> DeltaSecretsStream, fetch_secrets);
typed_service!(RUNTIME, rtds::RuntimeDiscoveryService,
    stream_runtime -> StreamRuntimeStream, delta_runtime -> DeltaRuntimeStream, fetch_runtime);
typed_service!(EXTENSION, ecds::ExtensionConfigDiscoveryService,
    stream_extension_configs -> StreamExtensionConfigsStream,
    delta_extension_configs -> DeltaExtensionConfigsStream, fetch_extension_configs);
