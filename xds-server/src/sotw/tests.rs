use std::time::Duration;

use envoy_types::pb::google::rpc::Status;

use super::*;
use crate::kind::{CLUSTER, ENDPOINTS, LISTENER, ROUTE};
use crate::snapshot::Snapshot;
use crate::testing::{cluster, eds_cluster, endpoints, listener, routes};

const PATIENCE: Duration = Duration::from_secs(5);

/// A client's end of a stream: it says things and looks at what comes.
struct Client {
    sequence: Sequence,
    now: Instant,
}

impl Client {
    fn of<const N: usize>(resources: [Resource; N]) -> Self {
        let mut client = Self { sequence: Sequence::new(true, PATIENCE), now: Instant::now() };
        client.change(resources);
        client
    }

    fn change<const N: usize>(&mut self, resources: [Resource; N]) {
        let generation = self.sequence.generation() + 1;
        self.sequence.serve(Arc::new(Snapshot::new(resources)), generation);
    }

    fn say(&mut self, type_url: &str, names: &[&str], nonce: &str, error: Option<&str>) {
        let request = DiscoveryRequest {
            type_url: type_url.into(),
            resource_names: names.iter().map(|name| name.to_string()).collect(),
            response_nonce: nonce.into(),
            error_detail: error.map(|message| Status { message: message.into(), ..Default::default() }),
            ..Default::default()
        };
        receive(&mut self.sequence, &request, self.now);
    }

    fn ask(&mut self, type_url: &str, names: &[&str]) {
        self.say(type_url, names, "", None);
    }

    fn ack(&mut self, response: &DiscoveryResponse, names: &[&str]) {
        self.say(&response.type_url, names, &response.nonce, None);
    }

    fn nack(&mut self, response: &DiscoveryResponse, names: &[&str]) {
        self.say(&response.type_url, names, &response.nonce, Some("no"));
    }

    fn next(&mut self) -> Option<DiscoveryResponse> {
        next(&mut self.sequence, self.now)
    }

    #[track_caller]
    fn expect(&mut self, type_url: &str, expected: &[Resource]) -> DiscoveryResponse {
        let response = self.next().expect("a response is due");
        assert_eq!(response.type_url, type_url);
        let expected: Vec<_> = expected.iter().map(Resource::bare).collect();
        assert_eq!(response.resources, expected);
        response
    }

    #[track_caller]
    fn expect_nothing(&mut self) {
        assert_eq!(self.next(), None);
    }

    /// A client that has subscribed to everything there is and accepted it.
    fn settled<const N: usize>(resources: [Resource; N]) -> Self {
        let mut client = Self::of(resources);
        for (type_url, names) in SUBSCRIPTIONS {
            client.ask(type_url, names);
        }
        client.accept_all();
        client
    }

    /// Accepts whatever comes; the types in their order.
    fn accept_all(&mut self) -> Vec<DiscoveryResponse> {
        let mut seen = Vec::new();
        while let Some(response) = self.next() {
            let names = SUBSCRIPTIONS.iter().find(|(type_url, _)| *type_url == response.type_url);
            self.ack(&response, names.map_or(&[], |(_, names)| names));
            seen.push(response);
        }
        seen
    }
}

const SUBSCRIPTIONS: [(&str, &[&str]); 4] =
    [(CLUSTER, &[]), (ENDPOINTS, &["app"]), (LISTENER, &[]), (ROUTE, &["r"])];

fn all(revision: u32) -> [Resource; 4] {
    [eds_cluster("app", revision), endpoints("app", 1), listener("web", "r"), routes("r", &["app"])]
}

fn types(responses: &[DiscoveryResponse]) -> Vec<&str> {
    responses.iter().map(|response| response.type_url.as_str()).collect()
}

#[test]
fn a_first_request_without_names_gets_all_clusters() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &[]);
    client.expect(CLUSTER, &[cluster("a", 1), cluster("b", 1)]);
}

#[test]
fn a_first_request_without_names_gets_no_endpoints() {
    let mut client = Client::of([endpoints("a", 1)]);
    client.ask(ENDPOINTS, &[]);
    let response = client.next();
    assert!(response.is_none_or(|response| response.resources.is_empty()));
}

#[test]
fn a_wildcard_without_resources_is_answered() {
    let mut client = Client::of([]);
    client.ask(LISTENER, &[]);
    client.expect(LISTENER, &[]);
}

#[test]
fn an_ack_gets_no_answer() {
    let mut client = Client::of([cluster("a", 1)]);
    client.ask(CLUSTER, &[]);
    let response = client.expect(CLUSTER, &[cluster("a", 1)]);
    client.ack(&response, &[]);
    client.expect_nothing();
    assert!(client.sequence.is_settled());
}

#[test]
fn a_nack_is_kept_and_gets_no_answer_until_something_changes() {
    let mut client = Client::of([cluster("a", 1)]);
    client.ask(CLUSTER, &[]);
    let response = client.expect(CLUSTER, &[cluster("a", 1)]);
    client.nack(&response, &[]);
    client.expect_nothing();
    let nacked = client.sequence.iter().next().and_then(Subscription::nacked).expect("a NACK");
    assert_eq!(
        (nacked.refusal.error.as_str(), nacked.sent.version.as_str()),
        ("no", &*response.version_info)
    );
    client.change([cluster("a", 2)]);
    client.expect(CLUSTER, &[cluster("a", 2)]);
}

#[test]
fn a_change_of_one_cluster_sends_all_of_them() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &[]);
    client.accept_all();
    client.change([cluster("a", 2), cluster("b", 1)]);
    client.expect(CLUSTER, &[cluster("a", 2), cluster("b", 1)]);
}

#[test]
fn a_change_of_one_assignment_sends_only_that() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a", "b"]);
    let response = client.expect(ENDPOINTS, &[endpoints("a", 1), endpoints("b", 1)]);
    client.ack(&response, &["a", "b"]);
    client.change([endpoints("a", 2), endpoints("b", 1)]);
    client.expect(ENDPOINTS, &[endpoints("a", 2)]);
}

#[test]
fn what_nobody_asked_for_is_not_sent() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a"]);
    let response = client.expect(ENDPOINTS, &[endpoints("a", 1)]);
    client.ack(&response, &["a"]);
    client.change([endpoints("a", 1), endpoints("b", 2)]);
    client.expect_nothing();
}

#[test]
fn a_new_name_is_answered_with_what_is_new() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a"]);
    let response = client.expect(ENDPOINTS, &[endpoints("a", 1)]);
    client.ack(&response, &["a", "b"]);
    client.expect(ENDPOINTS, &[endpoints("b", 1)]);
}

#[test]
fn a_name_that_was_dropped_is_sent_again_when_it_comes_back() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a", "b"]);
    let response = client.expect(ENDPOINTS, &[endpoints("a", 1), endpoints("b", 1)]);
    client.ack(&response, &["a"]);
    client.expect_nothing();
    client.say(ENDPOINTS, &["a", "b"], &response.nonce, None);
    client.expect(ENDPOINTS, &[endpoints("b", 1)]);
}

#[test]
fn a_stale_nonce_changes_nothing() {
    let mut client = Client::of([endpoints("a", 1), endpoints("b", 1)]);
    client.ask(ENDPOINTS, &["a"]);
    let first = client.expect(ENDPOINTS, &[endpoints("a", 1)]);
    client.ack(&first, &["a"]);
    client.change([endpoints("a", 2), endpoints("b", 1)]);
    let second = client.expect(ENDPOINTS, &[endpoints("a", 2)]);
    client.ack(&first, &["a", "b"]);
    client.expect_nothing();
    assert!(!client.sequence.is_settled());
    client.ack(&second, &["a", "b"]);
    client.expect(ENDPOINTS, &[endpoints("b", 1)]);
}

#[test]
fn a_repeated_request_gets_the_endpoints_again() {
    let mut client = Client::of([endpoints("a", 1)]);
    client.ask(ENDPOINTS, &["a"]);
    let response = client.expect(ENDPOINTS, &[endpoints("a", 1)]);
    client.ack(&response, &["a"]);
    client.expect_nothing();
    client.ack(&response, &["a"]);
    client.expect(ENDPOINTS, &[endpoints("a", 1)]);
}

#[test]
fn an_explicit_wildcard_is_dropped_when_only_names_are_left() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &["*", "a"]);
    let response = client.expect(CLUSTER, &[cluster("a", 1), cluster("b", 1)]);
    client.ack(&response, &["a"]);
    client.change([cluster("a", 1), cluster("b", 2)]);
    client.expect_nothing();
}

#[test]
fn an_empty_list_after_names_asks_for_nothing() {
    let mut client = Client::of([listener("a", "r")]);
    client.ask(LISTENER, &["a"]);
    let response = client.expect(LISTENER, &[listener("a", "r")]);
    client.ack(&response, &[]);
    client.change([listener("a", "s")]);
    client.expect_nothing();
}

#[test]
fn the_legacy_wildcard_ends_with_the_first_name() {
    let mut client = Client::of([cluster("a", 1), cluster("b", 1)]);
    client.ask(CLUSTER, &[]);
    let response = client.expect(CLUSTER, &[cluster("a", 1), cluster("b", 1)]);
    client.ack(&response, &["a"]);
    let response = client.expect(CLUSTER, &[cluster("a", 1)]);
    client.ack(&response, &["a"]);
    client.change([cluster("a", 1), cluster("b", 2)]);
    client.expect_nothing();
}

#[test]
fn a_listener_that_does_not_exist_is_answered_at_once() {
    let mut client = Client::of([]);
    client.ask(LISTENER, &["gone"]);
    client.expect(LISTENER, &[]);
}

#[test]
fn a_resource_that_appears_later_is_sent_then() {
    let mut client = Client::of([]);
    client.ask(ROUTE, &["r"]);
    client.accept_all();
    client.change([routes("r", &[])]);
    client.expect(ROUTE, &[routes("r", &[])]);
}

#[test]
fn a_change_of_everything_goes_type_by_type_after_each_ack() {
    let mut client = Client::settled(all(1));
    client.change([
        eds_cluster("app", 1),
        cluster("new", 1),
        endpoints("app", 2),
        listener("web", "r"),
        listener("web2", "r"),
        routes("r", &["app", "new"]),
    ]);
    let clusters = client.next().expect("clusters");
    assert_eq!(clusters.type_url, CLUSTER);
    client.expect_nothing();
    client.ack(&clusters, &[]);
    assert_eq!(types(&client.accept_all()), [ENDPOINTS, LISTENER, ROUTE]);
}

#[test]
fn a_verdict_that_never_comes_holds_the_rest_up_only_for_a_while() {
    let mut client = Client::settled(all(1));
    client.change([eds_cluster("app", 1), cluster("new", 1), endpoints("app", 2)]);
    assert_eq!(client.next().expect("clusters").type_url, CLUSTER);
    client.expect_nothing();
    assert_eq!(client.sequence.deadline(client.now), Some(client.now + PATIENCE));
    client.now += PATIENCE;
    client.expect(ENDPOINTS, &[endpoints("app", 2)]);
}

#[test]
fn a_cluster_goes_only_after_the_routes_that_used_it() {
    let mut client = Client::settled(all(1));
    client.change([cluster("new", 1), listener("web", "r"), routes("r", &["new"])]);
    let added = client.expect(CLUSTER, &[eds_cluster("app", 1), cluster("new", 1)]);
    client.ack(&added, &[]);
    let moved = client.expect(ROUTE, &[routes("r", &["new"])]);
    client.expect_nothing();
    client.ack(&moved, &["r"]);
    client.expect(CLUSTER, &[cluster("new", 1)]);
}

#[test]
fn a_cluster_stays_while_the_routes_that_replace_its_own_are_rejected() {
    let mut client = Client::settled(all(1));
    client.change([listener("web", "r"), routes("r", &[])]);
    let moved = client.expect(ROUTE, &[routes("r", &[])]);
    client.nack(&moved, &["r"]);
    client.expect_nothing();
}

#[test]
fn a_verdict_on_other_routes_does_not_let_the_cluster_go() {
    let mut client = Client::settled(all(1));
    client.ask(ROUTE, &["r", "s"]);
    let first = client.expect(ROUTE, &[routes("r", &["app"])]);
    client.ack(&first, &["r", "s"]);
    client.change([listener("web", "r"), routes("r", &[]), routes("s", &[])]);
    let both = client.expect(ROUTE, &[routes("r", &[]), routes("s", &[])]);
    client.nack(&both, &["r", "s"]);
    client.change([listener("web", "r"), routes("r", &[]), routes("s", &["elsewhere"])]);
    let other = client.expect(ROUTE, &[routes("s", &["elsewhere"])]);
    client.ack(&other, &["r", "s"]);
    client.expect_nothing();
}

#[test]
fn a_changed_cluster_gets_its_endpoints_again_without_an_ack() {
    let mut client = Client::settled(all(1));
    client.change(all(2));
    client.expect(CLUSTER, &[eds_cluster("app", 2)]);
    client.expect(ENDPOINTS, &[endpoints("app", 1)]);
}

#[test]
fn new_names_are_answered_though_another_type_is_not_acked() {
    let mut client = Client::of(all(1));
    client.ask(CLUSTER, &[]);
    client.expect(CLUSTER, &[eds_cluster("app", 1)]);
    client.ask(ENDPOINTS, &["app"]);
    client.expect(ENDPOINTS, &[endpoints("app", 1)]);
}

#[test]
fn a_stream_is_settled_once_what_is_referred_to_was_asked_for() {
    let mut client = Client::of([listener("web", "r"), routes("r", &[])]);
    client.ask(LISTENER, &[]);
    client.accept_all();
    assert!(!client.sequence.is_settled());
    client.ask(ROUTE, &["r"]);
    client.accept_all();
    assert!(client.sequence.is_settled());
}

#[test]
fn a_listener_with_a_time_to_live_is_renewed_with_all_others() {
    let short = listener("short", "r").with_ttl(Duration::from_secs(4));
    let mut client = Client::of([short.clone(), listener("web", "r")]);
    client.ask(LISTENER, &[]);
    client.accept_all();
    assert_eq!(client.sequence.deadline(client.now), Some(client.now + Duration::from_secs(2)));
    client.now += Duration::from_secs(2);
    client.expect(LISTENER, &[short, listener("web", "r")]);
    client.expect_nothing();
}

#[test]
fn what_is_gone_or_no_longer_wanted_is_not_renewed() {
    let short = endpoints("app", 1).with_ttl(Duration::from_secs(4));
    for unsubscribes in [false, true] {
        let mut client = Client::of([short.clone()]);
        client.ask(ENDPOINTS, &["app"]);
        let response = client.expect(ENDPOINTS, std::slice::from_ref(&short));
        client.ack(&response, if unsubscribes { &["other"] } else { &["app"] });
        client.change([]);
        client.accept_all();
        client.now += Duration::from_secs(2);
        client.expect_nothing();
        assert_eq!(client.sequence.deadline(client.now), None);
    }
}
