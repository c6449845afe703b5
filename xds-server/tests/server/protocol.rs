//! The server under a program that makes the resources: what it waits for, and the faults it injects.

use std::time::Duration;

use dragoman_xds::{Address, Audience, CLUSTER, Catalog, ROUTE, Resource, Server};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::service::discovery::v3::{
    DiscoveryRequest, DiscoveryResponse, Resource as Wrapper,
};
use envoy_types::pb::envoy::service::route::v3::route_discovery_service_client::RouteDiscoveryServiceClient;
use envoy_types::util::pack_any;
use prost::Message;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::support::client::{Client, channel};
use crate::support::http::get;
use crate::support::within;

/// A route configuration named `r`; another `revision` makes another content.
fn routes(revision: u32) -> RouteConfiguration {
    let internal_only_headers = vec![format!("r{revision}")];
    RouteConfiguration { name: "r".into(), internal_only_headers, ..Default::default() }
}

fn resource(revision: u32) -> Resource {
    routes(revision).into()
}

#[tokio::test]
async fn set_returns_when_the_client_has_accepted() {
    let plane = Server::builder().resources([resource(1)]).start().await.unwrap();
    let mut client = Client::asking_for_r(&plane, "n", "c").await;
    let accept = async {
        for revision in [1, 2] {
            let response = client.next().await.unwrap();
            assert_eq!(response.resources, [pack_any(routes(revision))]);
            client.ack(&response).await;
        }
    };
    let set = async {
        plane.settled().await.unwrap();
        plane.set([resource(2)]).await.unwrap();
    };
    within("both versions", async { tokio::join!(accept, set) }).await;
}

#[tokio::test]
async fn set_returns_the_words_of_a_nack() {
    let plane = Server::builder().start().await.unwrap();
    let mut client = Client::asking_for_r(&plane, "n", "c").await;
    let nothing = client.next().await.unwrap();
    client.ack(&nothing).await;
    let reject = async {
        let response = client.next().await.unwrap();
        client.nack(&response, "no such thing").await;
    };
    let (nack, ()) = within("the NACK", async { tokio::join!(plane.set([resource(1)]), reject) }).await;
    let nack = nack.unwrap_err();
    assert_eq!(
        (nack.node.as_str(), nack.type_url.as_str(), nack.error.as_str()),
        ("n", ROUTE, "no such thing")
    );
}

#[tokio::test]
async fn a_node_gets_what_is_meant_for_it() {
    let plane = Server::builder()
        .resources(Catalog::new([
            (Audience::All, resource(1)),
            (Audience::Cluster("edge".into()), resource(2)),
            (Audience::Node("one".into()), resource(3)),
        ]))
        .start()
        .await
        .unwrap();
    for (node, cluster, revision) in [("a", "b", 1), ("a", "edge", 2), ("one", "edge", 3)] {
        let mut client = Client::asking_for_r(&plane, node, cluster).await;
        assert_eq!(client.next().await.unwrap().resources, [pack_any(routes(revision))]);
    }
}

#[tokio::test]
async fn an_injected_response_arrives_as_it_is_and_its_verdict_comes_back() {
    let plane = Server::builder().resources([resource(1)]).start().await.unwrap();
    let mut client = Client::asking_for_r(&plane, "n", "c").await;
    let first = client.next().await.unwrap();
    client.ack(&first).await;
    let twice = DiscoveryResponse {
        type_url: ROUTE.into(),
        resources: vec![pack_any(routes(2)), pack_any(routes(2))],
        ..Default::default()
    };
    let reject = async {
        let response = client.next().await.unwrap();
        assert_eq!(response.resources, twice.resources);
        client.nack(&response, "duplicate").await;
    };
    let inject = plane.inject(twice.clone());
    let (verdict, ()) = within("the verdict", async { tokio::join!(inject, reject) }).await;
    assert_eq!(verdict.unwrap_err().error, "duplicate");
    // It says nothing about what is served.
    within("that all is settled", plane.settled()).await.unwrap();
}

#[tokio::test]
async fn an_injected_response_of_another_type_needs_no_answer() {
    let plane = Server::builder().resources([resource(1)]).start().await.unwrap();
    let mut client = Client::asking_for_r(&plane, "n", "c").await;
    let first = client.next().await.unwrap();
    client.ack(&first).await;
    let unasked = DiscoveryResponse { type_url: CLUSTER.into(), ..Default::default() };
    assert_eq!(plane.inject_unanswered(unasked), 1);
    assert_eq!(client.next().await.unwrap().type_url, CLUSTER);
    within("that all is settled", plane.settled()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_stream_is_gone_and_a_refused_one_never_opens() {
    let plane = Server::builder().resources([resource(1)]).start().await.unwrap();
    let connection = channel(&plane).await;
    let mut client = Client::connect(&connection).await.unwrap();
    client.ask("n", "c").await;
    client.next().await.unwrap();
    plane.refuse_connections(true);
    assert_eq!(plane.drop_streams(), 1);
    assert_eq!(client.next().await.unwrap_err().code(), Code::Unavailable);
    within("the end", plane.wait_for(|status| status.streams.is_empty().then_some(()))).await;
    assert_eq!(Client::connect(&connection).await.err().map(|status| status.code()), Some(Code::Unavailable));
    plane.refuse_connections(false);
    Client::connect(&connection).await.unwrap();
}

#[tokio::test]
async fn a_resource_with_a_time_to_live_is_renewed_in_time() {
    let ttl = Duration::from_millis(200);
    let plane = Server::builder().resources([resource(1).with_ttl(ttl)]).start().await.unwrap();
    let mut client = Client::asking_for_r(&plane, "n", "c").await;
    let first = client.next().await.unwrap();
    let sent = Wrapper::decode(first.resources[0].value.as_slice()).unwrap();
    assert_eq!((sent.name.as_str(), sent.resource), ("r", Some(pack_any(routes(1)))));
    client.ack(&first).await;
    for _ in 0..2 {
        let heartbeat = client.next().await.unwrap();
        let renewed = Wrapper::decode(heartbeat.resources[0].value.as_slice()).unwrap();
        assert_eq!((renewed.name.as_str(), renewed.resource), ("r", None));
        assert_eq!((renewed.ttl, &heartbeat.version_info), (sent.ttl, &first.version_info));
        client.ack(&heartbeat).await;
    }
}

#[tokio::test]
async fn a_service_of_one_type_serves_no_other() {
    let plane = Server::builder().resources([resource(1)]).start().await.unwrap();
    let mut service = RouteDiscoveryServiceClient::new(channel(&plane).await);
    let fetch = |names: &[&str]| DiscoveryRequest {
        resource_names: names.iter().map(|name| name.to_string()).collect(),
        ..Default::default()
    };
    let fetched = service.fetch_routes(fetch(&["r", "gone"])).await.unwrap().into_inner();
    assert_eq!(fetched.resources, [pack_any(routes(1))]);
    assert!(service.fetch_routes(fetch(&[])).await.unwrap().into_inner().resources.is_empty());

    let other = DiscoveryRequest { type_url: CLUSTER.into(), ..Default::default() };
    let mut responses = service.stream_routes(tokio_stream::once(other)).await.unwrap().into_inner();
    let refused = within("an answer", responses.message()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("only type.googleapis.com/envoy.config.route"), "{refused}");
}

#[tokio::test]
async fn an_aggregated_request_without_a_type_is_refused() {
    let plane = Server::builder().start().await.unwrap();
    let mut client = Client::connect(&channel(&plane).await).await.unwrap();
    client.say(DiscoveryRequest::default()).await;
    assert_eq!(client.next().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("xds.sock");
    let plane =
        Server::builder().listen(Address::Unix(path.clone())).resources([resource(1)]).start().await.unwrap();
    assert_eq!(plane.port(), 0);
    let channel = Endpoint::try_from(format!("unix:{}", path.display())).unwrap().connect().await.unwrap();
    let mut client = Client::connect(&channel).await.unwrap();
    client.ask("n", "c").await;
    assert_eq!(client.next().await.unwrap().resources, [pack_any(routes(1))]);
    plane.shutdown().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn shutdown_tells_the_clients_and_closes_the_port() {
    let plane = Server::builder().resources([resource(1)]).start().await.unwrap();
    let address = plane.addresses()[0].tcp().unwrap();
    let mut client = Client::asking_for_r(&plane, "n", "c").await;
    client.next().await.unwrap();
    let (ended, ()) = within("the end", async { tokio::join!(client.next(), plane.shutdown()) }).await;
    assert_eq!(ended.unwrap_err().message(), "the server is shutting down");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_status_page_shows_each_client_and_what_it_said() {
    let plane = Server::builder().resources([resource(1)]).status(Address::LOOPBACK).start().await.unwrap();
    let mut client = Client::asking_for_r(&plane, "proxy-1", "edge").await;
    let response = client.next().await.unwrap();
    client.nack(&response, "not today").await;
    let seen = |status: &dragoman_xds::Status| {
        status.streams.first()?.subscriptions.first()?.last_nack.as_ref().map(drop)
    };
    within("the NACK", plane.wait_for(seen)).await;
    let address = plane.status_address().and_then(Address::tcp).unwrap();

    let (code, text) = get(address, "/").await;
    assert_eq!(code, 200);
    for part in [r#"node "proxy-1" of cluster "edge""#, "sotw aggregated stream", "asks for r", "not today"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let (_, json) = get(address, "/status.json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let subscription = &json["streams"][0]["subscriptions"][0];
    assert_eq!(subscription["last_nack"]["error"], "not today");
    assert_eq!(subscription["last_nack"]["version"], response.version_info);
    assert_eq!(get(address, "/ready").await, (200, "ready\n".into()));
    assert_eq!(get(address, "/elsewhere").await.0, 404);
}
