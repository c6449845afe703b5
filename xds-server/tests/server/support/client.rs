//! A client that does what the test says.

use dragoman_xds::{Handle, ROUTE};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::rpc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::within;

/// A state-of-the-world ADS stream.
pub(crate) struct Client {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl Client {
    /// Connects as this node and asks for a route configuration named `r`.
    pub(crate) async fn asking_for_r(plane: &Handle, node: &str, cluster: &str) -> Self {
        let mut client = Self::connect(&channel(plane).await).await.unwrap();
        client.ask(node, cluster).await;
        client
    }

    pub(crate) async fn connect(channel: &Channel) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(16);
        let mut ads = AggregatedDiscoveryServiceClient::new(channel.clone());
        let responses = ads.stream_aggregated_resources(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { requests, responses })
    }

    pub(crate) async fn ask(&mut self, node: &str, cluster: &str) {
        let node = Node { id: node.into(), cluster: cluster.into(), ..Default::default() };
        self.say(DiscoveryRequest { node: Some(node), ..request() }).await;
    }

    /// The next response, or why there is none.
    pub(crate) async fn next(&mut self) -> Result<DiscoveryResponse, Status> {
        let message = within("a response", self.responses.message()).await?;
        message.ok_or_else(|| Status::ok("the stream ended"))
    }

    pub(crate) async fn ack(&mut self, response: &DiscoveryResponse) {
        let response_nonce = response.nonce.clone();
        self.say(DiscoveryRequest { response_nonce, ..request() }).await;
    }

    pub(crate) async fn nack(&mut self, response: &DiscoveryResponse, error: &str) {
        let error_detail = Some(rpc::Status { message: error.into(), ..Default::default() });
        let response_nonce = response.nonce.clone();
        self.say(DiscoveryRequest { response_nonce, error_detail, ..request() }).await;
    }

    pub(crate) async fn say(&mut self, request: DiscoveryRequest) {
        self.requests.send(request).await.expect("the stream is open");
    }
}

pub(crate) async fn channel(plane: &Handle) -> Channel {
    let uri = format!("http://127.0.0.1:{}", plane.port());
    Channel::from_shared(uri).unwrap().connect().await.unwrap()
}

fn request() -> DiscoveryRequest {
    DiscoveryRequest { type_url: ROUTE.into(), resource_names: vec!["r".into()], ..Default::default() }
}
