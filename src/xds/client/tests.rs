use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dragoman_proto::rejected::RejectedResources;
use dragoman_proto::{encode, tree};
use dragoman_xds::{Address, Handle, Resource, Server};
use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;

use super::super::message::type_url::{CLUSTER, ENDPOINTS, LISTENER};
use super::super::message::{Event, Response, Verdict};
use super::super::testing::{names, resource_names, set};
use super::*;
use crate::config::extension::Extensions;
use crate::config::source::GrpcService;
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::ControlPlaneStats;

const BOTH: [ApiType; 2] = [ApiType::Sotw, ApiType::Delta];

fn cluster(name: &str) -> Resource {
    versioned(name, 1)
}

/// A cluster whose content is this number.
fn versioned(name: &str, content: i64) -> Resource {
    let timeout = envoy_types::pb::google::protobuf::Duration { seconds: content, nanos: 0 };
    Resource::from(v3::Cluster {
        name: name.into(),
        connect_timeout: Some(timeout),
        ..v3::Cluster::default()
    })
}

/// A static cluster `xds` with these endpoints.
fn xds_cluster(endpoints: &[String]) -> Arc<Cluster> {
    let endpoints: String =
        endpoints.iter().map(|address| format!("    - endpoint: {{address: {{{address}}}}}\n")).collect();
    let yaml = format!(
        "name: xds\ntype: STRICT_DNS\nload_assignment:\n  cluster_name: xds\n  endpoints:\n  - lb_endpoints:\n\
         {endpoints}"
    );
    let root = tree::parse_yaml(&yaml).unwrap().root;
    let bytes = encode(&root, "envoy.config.cluster.v3.Cluster", &encode::Options::default()).unwrap().bytes;
    Arc::new(Cluster::parse(&bytes, &Extensions::BUILT_IN).unwrap().0)
}

fn tcp(host: &str, port: u16) -> String {
    format!("socket_address: {{address: \"{host}\", port_value: {port}}}")
}

fn api(api_type: ApiType) -> ApiSource {
    let service = GrpcService {
        cluster_name: "xds".into(),
        authority: "plane.test".into(),
        initial_metadata: vec![("x-token".into(), "secret".into())],
    };
    ApiSource { api_type, services: vec![service], set_node_on_first_message_only: true }
}

fn source(from: SourceKind) -> ConfigSource {
    ConfigSource { from, initial_fetch_timeout: Duration::ZERO }
}

/// A client, and what happened to its subscriptions.
struct Fixture {
    client: Client,
    notices: mpsc::Receiver<Notice>,
}

impl Fixture {
    fn new(api_type: ApiType, endpoints: &[String]) -> Self {
        let setup = Setup {
            secrets: Default::default(),
            node: Node { id: "node".into(), ..Node::default() },
            clusters: vec![xds_cluster(endpoints)],
            ads: Some(api(api_type)),
            registry: Registry::new(1),
            unknown_fields: crate::xds::UnknownFields::default(),
            rng: Rng::seeded(1),
        };
        let (client, notices) = Client::new(setup);
        Fixture { client, notices }
    }

    fn of(api_type: ApiType, plane: &Handle) -> Self {
        Fixture::new(api_type, &[tcp("127.0.0.1", plane.port())])
    }

    fn ads(&self, type_url: &str, interest: Interest) -> Subscription {
        self.client.subscribe(&source(SourceKind::Ads), type_url, interest).unwrap()
    }

    async fn event(&mut self) -> Event {
        self.notices.recv().await.unwrap().event
    }

    async fn response(&mut self) -> Response {
        loop {
            if let Event::Response(response) = self.event().await {
                return response;
            }
        }
    }

    /// The next response, acknowledged.
    async fn accepted(&mut self, subscription: &Subscription) -> Response {
        let response = self.response().await;
        subscription.settle(response.token, Verdict::Ack);
        response
    }
}

async fn plane(resources: impl Into<dragoman_xds::Catalog>) -> Handle {
    Server::builder().resources(resources).start().await.unwrap()
}

#[tokio::test]
async fn resources_come_and_are_acknowledged() {
    for api_type in BOTH {
        let plane = plane([cluster("a"), cluster("b")]).await;
        let mut client = Fixture::of(api_type, &plane);
        let clusters = client.ads(CLUSTER, Interest::Wildcard);
        assert_eq!(client.event().await, Event::Connected);
        assert_eq!(resource_names(&client.accepted(&clusters).await), ["a", "b"]);
        plane.settled().await.unwrap();
        plane.publish([cluster("a"), versioned("b", 2)]);
        let second = client.accepted(&clusters).await;
        let expected = if api_type == ApiType::Sotw { vec!["a", "b"] } else { vec!["b"] };
        assert_eq!(resource_names(&second), expected);
        plane.settled().await.unwrap();
        assert_eq!(
            ControlPlaneStats::new(&client.client.setup.registry, "control_plane.").connected_state().value(),
            1
        );
    }
}

#[tokio::test]
async fn management_servers_see_the_authority_and_the_metadata_that_are_configured() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Fixture::new(ApiType::Sotw, &[tcp("127.0.0.1", port)]);
    let _clusters = client.ads(CLUSTER, Interest::Wildcard);
    let (stream, _) = listener.accept().await.unwrap();
    let mut server = h2::server::handshake(stream).await.unwrap();
    let (request, _respond) = server.accept().await.unwrap().unwrap();
    assert_eq!(request.headers()["x-token"], "secret");
    assert_eq!(request.uri().authority().map(http::uri::Authority::as_str), Some("plane.test"));
}

#[tokio::test]
async fn removed_resources_are_told_in_the_variants_way() {
    let plane = plane([cluster("a"), cluster("b")]).await;
    for api_type in BOTH {
        plane.publish([cluster("a"), cluster("b")]);
        let mut client = Fixture::of(api_type, &plane);
        let clusters = client.ads(CLUSTER, Interest::Wildcard);
        client.accepted(&clusters).await;
        plane.publish([cluster("a")]);
        let response = client.accepted(&clusters).await;
        match api_type {
            ApiType::Sotw => assert_eq!((resource_names(&response), response.full), (vec!["a"], true)),
            ApiType::Delta => {
                assert_eq!((&response.removed[..], response.full), (&["b".to_owned()][..], false));
            }
        }
    }
}

#[tokio::test]
async fn a_rejection_reaches_the_server() {
    for api_type in BOTH {
        let plane = plane([cluster("a")]).await;
        let mut client = Fixture::of(api_type, &plane);
        let clusters = client.ads(CLUSTER, Interest::Wildcard);
        let token = client.response().await.token;
        clusters.settle(
            token,
            Verdict::Nack {
                error: "bad cluster".into(),
                details: RejectedResources::default(),
                rejected: vec!["a".into()],
            },
        );
        let nack = plane.settled().await.unwrap_err();
        assert_eq!((&nack.error[..], &nack.node[..]), ("bad cluster", "node"));
    }
}

#[tokio::test]
async fn a_new_stream_follows_and_gets_what_is_new() {
    for api_type in BOTH {
        let plane = plane([cluster("a"), cluster("b")]).await;
        let mut client = Fixture::of(api_type, &plane);
        let clusters = client.ads(CLUSTER, Interest::Wildcard);
        client.accepted(&clusters).await;
        plane.settled().await.unwrap();
        plane.drop_streams();
        assert!(matches!(client.event().await, Event::Disconnected { .. }));
        plane.publish([cluster("a"), cluster("b"), cluster("c")]);
        assert_eq!(client.event().await, Event::Connected);
        let response = client.accepted(&clusters).await;
        let expected = if api_type == ApiType::Sotw { vec!["a", "b", "c"] } else { vec!["c"] };
        assert_eq!(resource_names(&response), expected);
        plane.settled().await.unwrap();
    }
}

#[tokio::test]
async fn names_are_subscribed_to_as_they_are_wanted() {
    let endpoints = |name: &str| {
        Resource::from(ClusterLoadAssignment {
            cluster_name: name.into(),
            ..ClusterLoadAssignment::default()
        })
    };
    for api_type in BOTH {
        let plane = plane([endpoints("a"), endpoints("b"), endpoints("c")]).await;
        let mut client = Fixture::of(api_type, &plane);
        let subscription = client.ads(ENDPOINTS, names(&["a"]));
        assert_eq!(resource_names(&client.accepted(&subscription).await), ["a"]);
        subscription.set_names(set(&["a", "b"]));
        let mut seen = BTreeSet::new();
        while !seen.contains("b") {
            let response = client.accepted(&subscription).await;
            seen.extend(resource_names(&response).into_iter().map(str::to_owned));
        }
        assert!(!seen.contains("c"));
    }
}

#[tokio::test]
async fn an_acknowledgement_is_sent_when_it_is_given() {
    let plane = plane([cluster("a")]).await;
    let mut client = Fixture::of(ApiType::Sotw, &plane);
    let clusters = client.ads(CLUSTER, Interest::Wildcard);
    let first = client.response().await;
    // The listeners are asked for while the clusters wait.
    let _listeners = client.ads(LISTENER, Interest::Wildcard);
    let subscribed = plane
        .wait_for(|status| {
            let stream = status.streams.first()?;
            (stream.subscriptions.len() == 2).then(|| stream.subscriptions.clone())
        })
        .await;
    assert!(subscribed.iter().all(|subscription| subscription.last_ack.is_none()));
    clusters.settle(first.token, Verdict::Ack);
    plane
        .wait_for(|status| {
            status
                .streams
                .first()?
                .subscriptions
                .iter()
                .find(|subscription| subscription.last_ack.is_some())?;
            Some(())
        })
        .await;
}

#[tokio::test]
async fn every_type_can_have_a_stream_of_its_own() {
    for api_type in BOTH {
        let listener = Resource::from(Listener { name: "l".into(), ..Listener::default() });
        let plane = plane([cluster("a"), listener]).await;
        let mut client = Fixture::of(api_type, &plane);
        let from = source(SourceKind::Api(api(api_type)));
        let mut came = Vec::new();
        for type_url in [CLUSTER, LISTENER] {
            let subscription = client.client.subscribe(&from, type_url, Interest::Wildcard).unwrap();
            let response = client.accepted(&subscription).await;
            came.extend(resource_names(&response).into_iter().map(str::to_owned));
        }
        assert_eq!(came, ["a", "l"]);
    }
}

#[tokio::test]
async fn a_subscription_of_its_own_stream_ends_with_its_handle() {
    let plane = plane([cluster("a")]).await;
    let mut client = Fixture::of(ApiType::Sotw, &plane);
    let from = source(SourceKind::Api(api(ApiType::Sotw)));
    let subscription = client.client.subscribe(&from, CLUSTER, Interest::Wildcard).unwrap();
    client.accepted(&subscription).await;
    drop(subscription);
    plane.wait_for(|status| status.streams.is_empty().then_some(())).await;
}

#[tokio::test]
async fn servers_are_reached_over_unix_sockets_and_by_name() {
    let path: PathBuf = std::env::temp_dir().join(format!("dragoman-xds-client-{}.sock", std::process::id()));
    let plane = Server::builder()
        .resources([cluster("a")])
        .listen(Address::Unix(path.clone()))
        .listen(Address::LOOPBACK)
        .start()
        .await
        .unwrap();
    for endpoint in [format!("pipe: {{path: {}}}", path.display()), tcp("localhost", plane.port())] {
        let mut client = Fixture::new(ApiType::Delta, &[endpoint]);
        let clusters = client.ads(CLUSTER, Interest::Wildcard);
        assert_eq!(resource_names(&client.accepted(&clusters).await), ["a"]);
    }
}

#[tokio::test]
async fn the_next_endpoint_is_tried_when_one_does_not_answer() {
    let plane = plane([cluster("a")]).await;
    // Nobody listens on port 0.
    let endpoints = [tcp("127.0.0.1", 0), tcp("127.0.0.1", plane.port())];
    let mut client = Fixture::new(ApiType::Sotw, &endpoints);
    let clusters = client.ads(CLUSTER, Interest::Wildcard);
    let Event::Disconnected { reason } = client.event().await else { panic!("connected to nobody") };
    assert!(reason.contains("127.0.0.1:0"), "{reason}");
    assert_eq!(client.event().await, Event::Connected);
    assert_eq!(resource_names(&client.accepted(&clusters).await), ["a"]);
}

#[tokio::test]
async fn a_first_answer_that_does_not_come_is_reported() {
    let plane = plane([cluster("a")]).await;
    plane.refuse_connections(true);
    let mut client = Fixture::of(ApiType::Sotw, &plane);
    let patient = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::from_millis(20) };
    let clusters = client.client.subscribe(&patient, CLUSTER, Interest::Wildcard).unwrap();
    loop {
        if client.event().await == (Event::FetchTimedOut { names: Vec::new() }) {
            break;
        }
    }
    plane.refuse_connections(false);
    assert_eq!(resource_names(&client.accepted(&clusters).await), ["a"]);
}

#[test]
fn sources_that_cannot_be_used_are_refused() {
    let mut client = Fixture::new(ApiType::Sotw, &[]).client;
    let subscribe =
        |client: &Client, from| client.subscribe(&source(from), CLUSTER, Interest::Wildcard).unwrap_err();
    assert_eq!(subscribe(&client, SourceKind::Ads), SubscribeError::Cluster("xds".into()));
    assert_eq!(subscribe(&client, SourceKind::SelfSource), SubscribeError::SelfSource);
    let nobody = ApiSource { services: Vec::new(), ..api(ApiType::Sotw) };
    assert_eq!(subscribe(&client, SourceKind::Api(nobody)), SubscribeError::NoService);
    client.setup.ads = None;
    assert_eq!(subscribe(&client, SourceKind::Ads), SubscribeError::NoAds);
}
