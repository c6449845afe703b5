use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::google::rpc::Status;

use super::*;
use crate::kind::{CLUSTER, ENDPOINTS, LISTENER, ROUTE, VIRTUAL_HOST};
use crate::snapshot::Snapshot;
use crate::testing::{cluster, eds_cluster, endpoints, listener, routes};

/// A client's end of a stream: it says things and looks at what comes.
struct Client {
    sequence: Sequence,
    now: Instant,
}

impl Client {
    fn of<const N: usize>(resources: [Resource; N]) -> Self {
        let sequence = Sequence::new(true, Duration::from_secs(5));
        let mut client = Self { sequence, now: Instant::now() };
        client.change(resources);
        client
    }

    fn change<const N: usize>(&mut self, resources: [Resource; N]) {
        let generation = self.sequence.generation() + 1;
        self.sequence.serve(Arc::new(Snapshot::new(resources)), generation);
    }

    fn say(&mut self, request: DeltaDiscoveryRequest) {
        receive(&mut self.sequence, &request, self.now);
    }

    fn ask(&mut self, type_url: &str, more: &[&str], fewer: &[&str]) {
        self.say(request(type_url, more, fewer));
    }

    fn ack(&mut self, response: &DeltaDiscoveryResponse) {
        let response_nonce = response.nonce.clone();
        self.say(DeltaDiscoveryRequest { response_nonce, ..request(&response.type_url, &[], &[]) });
    }

    #[track_caller]
    fn expect(&mut self, type_url: &str, updated: &[Resource], removed: &[&str]) -> DeltaDiscoveryResponse {
        let response = next(&mut self.sequence, self.now).expect("a response is due");
        assert_eq!(response.type_url, type_url);
        let updated: Vec<_> = updated.iter().map(Resource::wrapped).collect();
        assert_eq!(response.resources, updated);
        assert_eq!(response.removed_resources, removed);
        response
    }

    /// Expects a response and accepts it.
    #[track_caller]
    fn accept(&mut self, type_url: &str, updated: &[Resource], removed: &[&str]) {
        let response = self.expect(type_url, updated, removed);
        self.ack(&response);
    }

    #[track_caller]
    fn expect_nothing(&mut self) {
        assert_eq!(next(&mut self.sequence, self.now), None);
    }
}

fn request(type_url: &str, more: &[&str], fewer: &[&str]) -> DeltaDiscoveryRequest {
    let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    DeltaDiscoveryRequest {
        type_url: type_url.into(),
        resource_names_subscribe: strings(more),
        resource_names_unsubscribe: strings(fewer),
        ..Default::default()
    }
}

fn versions<const N: usize>(resources: [Resource; N]) -> std::collections::HashMap<String, String> {
    resources.into_iter().map(|resource| (resource.name.to_string(), resource.version)).collect()
}

#[test]
fn a_first_request_without_names_gets_all_clusters() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &[], &[]);
    client.accept(CLUSTER, &[cluster("a", 1), cluster("b", 1)], &[]);
    client.expect_nothing();
}

#[test]
fn only_what_changed_is_sent() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &["*"], &[]);
    client.accept(CLUSTER, &[cluster("a", 1), cluster("b", 1)], &[]);
    client.change([cluster("b", 2), cluster("c", 1)]);
    client.accept(CLUSTER, &[cluster("b", 2), cluster("c", 1)], &["a"]);
    client.expect_nothing();
}

#[test]
fn a_wildcard_without_resources_is_answered() {
    let mut client = Client::of([]);
    client.ask(LISTENER, &[], &[]);
    client.expect(LISTENER, &[], &[]);
}

#[test]
fn a_name_that_does_not_exist_is_removed_at_once() {
    let mut client = Client::of([]);
    client.ask(ENDPOINTS, &["gone"], &[]);
    client.accept(ENDPOINTS, &[], &["gone"]);
    client.change([endpoints("gone", 1)]);
    client.expect(ENDPOINTS, &[endpoints("gone", 1)], &[]);
}

#[test]
fn versions_in_hand_are_not_sent_again() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 2)]);
    let initial_resource_versions = versions([cluster("a", 1), cluster("b", 1), cluster("c", 1)]);
    client.say(DeltaDiscoveryRequest { initial_resource_versions, ..request(CLUSTER, &["*"], &[]) });
    client.accept(CLUSTER, &[cluster("b", 2)], &["c"]);
    client.expect_nothing();
}

#[test]
fn a_client_that_has_everything_gets_no_response() {
    let mut client = Client::of([endpoints("a", 1), cluster("a", 1)]);
    for (type_url, version) in [(ENDPOINTS, endpoints("a", 1)), (CLUSTER, cluster("a", 1))] {
        let initial_resource_versions = versions([version]);
        client.say(DeltaDiscoveryRequest { initial_resource_versions, ..request(type_url, &["a"], &[]) });
    }
    client.expect_nothing();
}

#[test]
fn a_version_in_hand_that_is_not_wanted_is_ignored() {
    let mut client = Client::of([endpoints("a", 1)]);
    let initial_resource_versions = versions([endpoints("a", 1), endpoints("b", 1)]);
    client.say(DeltaDiscoveryRequest { initial_resource_versions, ..request(ENDPOINTS, &["a"], &[]) });
    client.expect_nothing();
}

#[test]
fn a_name_asked_for_again_is_sent_again() {
    let mut client = Client::of([endpoints("a", 1)]);
    client.ask(ENDPOINTS, &["a"], &[]);
    client.accept(ENDPOINTS, &[endpoints("a", 1)], &[]);
    client.ask(ENDPOINTS, &["a"], &[]);
    client.expect(ENDPOINTS, &[endpoints("a", 1)], &[]);
}

#[test]
fn what_is_unsubscribed_from_is_not_sent() {
    let mut client = Client::of([endpoints("a", 1)]);
    client.ask(ENDPOINTS, &["a"], &[]);
    client.accept(ENDPOINTS, &[endpoints("a", 1)], &[]);
    client.ask(ENDPOINTS, &[], &["a"]);
    client.change([endpoints("a", 2)]);
    client.expect_nothing();
}

#[test]
fn unsubscribing_from_a_name_under_the_wildcard_tells_how_it_stands() {
    let mut client = Client::of([cluster("a", 1)]);
    client.ask(CLUSTER, &["*", "a", "gone"], &[]);
    client.accept(CLUSTER, &[cluster("a", 1)], &["gone"]);
    client.ask(CLUSTER, &[], &["a", "gone"]);
    client.expect(CLUSTER, &[cluster("a", 1)], &["gone"]);
}

#[test]
fn without_the_wildcard_the_names_are_left() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &["*", "a"], &[]);
    client.accept(CLUSTER, &[cluster("b", 1), cluster("a", 1)], &[]);
    client.ask(CLUSTER, &[], &["*"]);
    client.change([cluster("a", 2), cluster("b", 2)]);
    client.expect(CLUSTER, &[cluster("a", 2)], &[]);
}

#[test]
fn a_subscription_counts_even_with_an_unknown_nonce() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a"], &[]);
    client.accept(ENDPOINTS, &[endpoints("a", 1)], &[]);
    client.say(DeltaDiscoveryRequest {
        response_nonce: "never sent".into(),
        ..request(ENDPOINTS, &["b"], &[])
    });
    client.expect(ENDPOINTS, &[endpoints("b", 1)], &[]);
}

#[test]
fn the_nack_of_an_older_response_is_kept() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a"], &[]);
    let first = client.expect(ENDPOINTS, &[endpoints("a", 1)], &[]);
    client.ask(ENDPOINTS, &["b"], &[]);
    client.expect(ENDPOINTS, &[endpoints("b", 1)], &[]);
    client.say(DeltaDiscoveryRequest {
        response_nonce: first.nonce,
        error_detail: Some(Status { message: "no".into(), ..Default::default() }),
        ..request(ENDPOINTS, &[], &[])
    });
    let subscription = client.sequence.iter().next().expect("a subscription");
    assert_eq!(subscription.nacked().map(|nacked| nacked.refusal.error.as_str()), Some("no"));
    assert!(subscription.outstanding().is_some());
}

#[test]
fn a_cluster_and_its_endpoints_go_only_after_the_routes_that_used_them() {
    let mut client = Client::of([eds_cluster("a", 1), endpoints("a", 1), routes("r", &["a"])]);
    client.ask(CLUSTER, &[], &[]);
    client.accept(CLUSTER, &[eds_cluster("a", 1)], &[]);
    client.ask(ENDPOINTS, &["a"], &[]);
    client.accept(ENDPOINTS, &[endpoints("a", 1)], &[]);
    client.ask(ROUTE, &["r"], &[]);
    client.accept(ROUTE, &[routes("r", &["a"])], &[]);
    client.change([cluster("b", 1), routes("r", &["b"])]);
    client.accept(CLUSTER, &[cluster("b", 1)], &[]);
    client.accept(ROUTE, &[routes("r", &["b"])], &[]);
    client.accept(CLUSTER, &[], &["a"]);
    client.accept(ENDPOINTS, &[], &["a"]);
    client.expect_nothing();
}

#[test]
fn a_changed_cluster_gets_its_endpoints_again_without_an_ack() {
    let mut client = Client::of([eds_cluster("a", 1), endpoints("a", 1)]);
    client.ask(CLUSTER, &[], &[]);
    client.accept(CLUSTER, &[eds_cluster("a", 1)], &[]);
    client.ask(ENDPOINTS, &["a"], &[]);
    client.accept(ENDPOINTS, &[endpoints("a", 1)], &[]);
    client.change([eds_cluster("a", 2), endpoints("a", 1)]);
    client.expect(CLUSTER, &[eds_cluster("a", 2)], &[]);
    client.expect(ENDPOINTS, &[endpoints("a", 1)], &[]);
}

#[test]
fn a_first_request_without_names_gets_all_virtual_hosts() {
    let mut client = Client::of([virtual_host("r/a"), virtual_host("s/a")]);
    client.ask(VIRTUAL_HOST, &[], &[]);
    client.accept(VIRTUAL_HOST, &[virtual_host("r/a"), virtual_host("s/a")], &[]);
    client.change([virtual_host("s/a")]);
    client.accept(VIRTUAL_HOST, &[], &["r/a"]);
}

#[test]
fn a_resource_that_comes_only_by_name_is_not_among_all() {
    let mut client = Client::of([virtual_host("r/a"), virtual_host("r/b").only_by_name()]);
    client.ask(VIRTUAL_HOST, &[], &[]);
    client.accept(VIRTUAL_HOST, &[virtual_host("r/a")], &[]);
    client.ask(VIRTUAL_HOST, &["r/b"], &[]);
    client.accept(VIRTUAL_HOST, &[virtual_host("r/b").only_by_name()], &[]);
    client.change([virtual_host("r/a")]);
    client.accept(VIRTUAL_HOST, &[], &["r/b"]);
}

#[test]
fn a_virtual_host_that_does_not_exist_is_an_alias_of_nothing() {
    let mut client = Client::of([]);
    client.ask(VIRTUAL_HOST, &["r/gone"], &[]);
    let response = next(&mut client.sequence, client.now).expect("a response is due");
    assert_eq!(response.resources, [unresolved("r/gone".into())]);
    assert_eq!(response.removed_resources, [""; 0]);
}

#[test]
fn a_virtual_host_that_was_asked_for_is_removed_when_it_goes() {
    let mut client = Client::of([virtual_host("r/a")]);
    client.ask(VIRTUAL_HOST, &["r/a"], &[]);
    client.accept(VIRTUAL_HOST, &[virtual_host("r/a")], &[]);
    client.change([]);
    client.accept(VIRTUAL_HOST, &[], &["r/a"]);
}

fn virtual_host(name: &str) -> Resource {
    let body = envoy_types::pb::google::protobuf::Any { type_url: VIRTUAL_HOST.into(), value: vec![] };
    Resource::new(name, body)
}

#[test]
fn a_stream_settles_on_the_last_ack() {
    let mut client = Client::of([listener("web", "elsewhere")]);
    client.ask(LISTENER, &[], &[]);
    let response = client.expect(LISTENER, &[listener("web", "elsewhere")], &[]);
    assert!(!client.sequence.is_settled());
    client.ack(&response);
    assert!(client.sequence.is_settled());
}

#[test]
fn a_time_to_live_is_renewed_without_the_resource() {
    let short = endpoints("a", 1).with_ttl(Duration::from_secs(4));
    let mut client = Client::of([short.clone(), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a", "b"], &[]);
    client.accept(ENDPOINTS, &[short.clone(), endpoints("b", 1)], &[]);
    client.expect_nothing();
    client.now += Duration::from_secs(2);
    let renewal = next(&mut client.sequence, client.now).expect("a renewal is due");
    assert_eq!(renewal.resources, [short.heartbeat()]);
}
