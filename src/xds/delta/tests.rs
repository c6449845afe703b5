use dragoman_proto::rejected::RejectedResources;

use super::super::message::type_url::CLUSTER;
use super::super::testing::{delta, heartbeat, names, resource_names, set, wrapped};
use super::*;

fn delivered(state: &mut Delta, response: DeltaDiscoveryResponse) -> Response {
    match state.receive(response, Instant::now()) {
        Received::Delivered(response) => response,
        other => panic!("not delivered: {other:?}"),
    }
}

/// Names subscribed to, unsubscribed from, versions in hand.
fn asked(request: &DeltaDiscoveryRequest) -> (Vec<&str>, Vec<&str>, Vec<(&str, &str)>) {
    fn text(names: &[String]) -> Vec<&str> {
        names.iter().map(|name| &name[..]).collect()
    }
    let mut versions: Vec<_> =
        request.initial_resource_versions.iter().map(|(name, version)| (&name[..], &version[..])).collect();
    versions.sort_unstable();
    (text(&request.resource_names_subscribe), text(&request.resource_names_unsubscribe), versions)
}

fn wildcard() -> Delta {
    let mut state = Delta::new(CLUSTER, Interest::Wildcard);
    assert_eq!(asked(&state.connect().unwrap()), (vec![], vec![], vec![]));
    state
}

fn versions(state: &mut Delta) -> Vec<(String, String)> {
    state.disconnect();
    let request = state.connect().unwrap();
    asked(&request).2.into_iter().map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

#[test]
fn a_new_stream_tells_the_versions_in_hand() {
    let mut state = wildcard();
    let first = delivered(&mut state, delta("n1", vec![wrapped("a", "1"), wrapped("b", "1")], &[]));
    let answer = state.settle(first.token, Verdict::Ack).unwrap();
    assert_eq!((&answer.response_nonce[..], answer.error_detail), ("n1", None));
    let second = delivered(&mut state, delta("n2", vec![wrapped("a", "2")], &["b"]));
    assert_eq!(second.removed, ["b"]);
    state.settle(second.token, Verdict::Ack);
    assert_eq!(versions(&mut state), pairs(&[("a", "2")]));
}

#[test]
fn a_rejected_resource_is_not_claimed() {
    let mut state = wildcard();
    let first = delivered(&mut state, delta("n1", vec![wrapped("a", "1")], &[]));
    state.settle(first.token, Verdict::Ack);
    let second = delivered(&mut state, delta("n2", vec![wrapped("a", "2"), wrapped("b", "2")], &[]));
    let verdict = Verdict::Nack {
        error: "bad a".into(),
        details: RejectedResources::default(),
        rejected: vec!["a".into()],
    };
    let answer = state.settle(second.token, verdict).unwrap();
    assert_eq!(answer.error_detail.unwrap().message, "bad a");
    assert_eq!(versions(&mut state), pairs(&[("a", "1"), ("b", "2")]));
}

#[test]
fn nothing_of_a_response_rejected_as_a_whole_is_claimed() {
    let mut state = wildcard();
    let first = delivered(&mut state, delta("n1", vec![wrapped("a", "1")], &[]));
    state.settle(
        first.token,
        Verdict::Nack { error: "bad".into(), details: RejectedResources::default(), rejected: Vec::new() },
    );
    assert_eq!(versions(&mut state), []);
}

#[test]
fn what_is_not_yet_settled_is_mentioned_without_its_version() {
    let mut state = wildcard();
    let first = delivered(&mut state, delta("n1", vec![wrapped("a", "1")], &[]));
    assert_eq!(versions(&mut state), pairs(&[("a", "")]));
    assert_eq!(state.settle(first.token, Verdict::Ack), None);
    assert_eq!(versions(&mut state), pairs(&[("a", "1")]));
}

#[test]
fn a_late_verdict_does_not_undo_a_later_one() {
    let mut state = wildcard();
    let first = delivered(&mut state, delta("n1", vec![wrapped("a", "1")], &["b"]));
    let second = delivered(&mut state, delta("n2", vec![wrapped("a", "2"), wrapped("b", "2")], &[]));
    state.settle(second.token, Verdict::Ack);
    assert!(state.settle(first.token, Verdict::Ack).is_some());
    assert_eq!(versions(&mut state), pairs(&[("a", "2"), ("b", "2")]));
}

#[test]
fn names_are_told_as_differences_at_once() {
    let mut state = Delta::new(CLUSTER, names(&[]));
    assert_eq!(state.connect(), None);
    assert_eq!(asked(&state.set_names(set(&["a", "b"])).unwrap()).0, ["a", "b"]);
    let response = delivered(&mut state, delta("n1", vec![wrapped("a", "1")], &["b"]));
    let request = state.set_names(set(&["b", "c"])).unwrap();
    assert_eq!(asked(&request), (vec!["c"], vec!["a"], vec![]));
    assert_eq!(request.response_nonce, "");
    state.settle(response.token, Verdict::Ack);
    assert_eq!(versions(&mut state), []);
}

#[test]
fn resources_that_were_not_asked_for_are_left_out() {
    let mut state = Delta::new(CLUSTER, names(&["a", "b"]));
    state.connect();
    let response =
        delivered(&mut state, delta("n1", vec![wrapped("a", "1"), wrapped("x", "1")], &["b", "y"]));
    assert_eq!((resource_names(&response), &response.removed[..]), (vec!["a"], &["b".to_owned()][..]));
}

#[test]
fn the_same_resource_twice_in_a_response_is_rejected() {
    let mut state = wildcard();
    let twice = delta("n1", vec![wrapped("a", "1"), wrapped("a", "2")], &[]);
    match state.receive(twice, Instant::now()) {
        Received::Rejected { request, error, .. } => {
            assert_eq!((request.response_nonce, request.error_detail.unwrap().message), ("n1".into(), error));
        }
        other => panic!("not rejected: {other:?}"),
    }
    assert_eq!(versions(&mut state), []);
}

#[test]
fn an_expired_resource_is_no_longer_claimed() {
    let (mut state, start) = (wildcard(), Instant::now());
    let mut mortal = wrapped("a", "1");
    mortal.ttl = heartbeat("a", 10).ttl;
    let Received::Delivered(response) = state.receive(delta("n1", vec![mortal], &[]), start) else {
        panic!("not delivered")
    };
    state.settle(response.token, Verdict::Ack);
    let later = start + std::time::Duration::from_secs(8);
    let refreshed = state.receive(delta("n2", vec![heartbeat("a", 10)], &[]), later);
    assert!(matches!(refreshed, Received::Refreshed(request) if request.response_nonce == "n2"));
    assert_eq!(state.next_expiry(), Some(start + std::time::Duration::from_secs(18)));
    assert_eq!(state.expire(start + std::time::Duration::from_secs(18)), ["a"]);
    assert_eq!(versions(&mut state), []);
}

#[test]
fn names_are_asked_for_beside_everything_and_again_with_everything_on_a_new_stream() {
    let mut state = Delta::new(type_url::VIRTUAL_HOST, Interest::WildcardAnd(BTreeSet::new()));
    assert_eq!(state.connect().unwrap().resource_names_subscribe, [""; 0]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let request = state.set_names(names(&["r/a", "r/b"])).unwrap();
    assert_eq!(request.resource_names_subscribe, ["r/a", "r/b"]);
    let request = state.set_names(names(&["r/b"])).unwrap();
    assert_eq!(request.resource_names_unsubscribe, ["r/a"]);
    state.disconnect();
    assert_eq!(state.connect().unwrap().resource_names_subscribe, ["*", "r/b"]);
}

#[test]
fn a_virtual_host_without_a_body_is_delivered_with_its_aliases() {
    use envoy_types::pb::envoy::service::discovery::v3::Resource;
    let mut state = Delta::new(type_url::VIRTUAL_HOST, Interest::WildcardAnd(BTreeSet::new()));
    state.connect();
    let nothing = Resource { name: "r/a".to_owned(), aliases: vec!["r/b".to_owned()], ..Default::default() };
    let response = DeltaDiscoveryResponse {
        type_url: type_url::VIRTUAL_HOST.to_owned(),
        resources: vec![nothing],
        nonce: "1".to_owned(),
        ..DeltaDiscoveryResponse::default()
    };
    let Received::Delivered(response) = state.receive(response, Instant::now()) else {
        panic!("not delivered");
    };
    assert_eq!((response.kept, response.aliases), (vec!["r/a".to_owned()], vec!["r/b".to_owned()]));
}
