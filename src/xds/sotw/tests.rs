use std::time::Duration;

use dragoman_proto::rejected::RejectedResources;

use super::super::message::type_url::{CLUSTER, LISTENER};
use super::super::testing::{any, heartbeat, in_any, names, resource_names, set, sotw, wrapped};
use super::*;

fn nack(error: &str) -> Verdict {
    Verdict::Nack { error: error.into(), details: RejectedResources::default(), rejected: Vec::new() }
}

/// What a request says: version, nonce, names, error.
fn said(request: &DiscoveryRequest) -> (&str, &str, Vec<&str>, &str) {
    let names = request.resource_names.iter().map(|name| &name[..]).collect();
    let error = request.error_detail.as_ref().map_or("", |status| &status.message[..]);
    (&request.version_info, &request.response_nonce, names, error)
}

fn delivered(state: &mut Sotw, response: DiscoveryResponse) -> Response {
    match state.receive(response, Instant::now()) {
        Received::Delivered(response) => response,
        other => panic!("not delivered: {other:?}"),
    }
}

fn wildcard() -> Sotw {
    let mut state = Sotw::new(CLUSTER, Interest::Wildcard);
    assert_eq!(said(&state.connect().unwrap()), ("", "", vec![], ""));
    state
}

#[test]
fn an_accepted_response_is_acknowledged_with_its_version_and_nonce() {
    let mut state = wildcard();
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1), any("b", 1)]));
    assert!(response.full);
    assert_eq!(resource_names(&response), ["a", "b"]);
    assert_eq!(said(&state.settle(response.token, Verdict::Ack).unwrap()), ("1", "n1", vec![], ""));
}

#[test]
fn nack_keeps_the_last_good_version() {
    let mut state = wildcard();
    let first = delivered(&mut state, sotw("1", "n1", vec![any("a", 1)]));
    state.settle(first.token, Verdict::Ack);
    let second = delivered(&mut state, sotw("2", "n2", vec![any("a", 2)]));
    assert_eq!(said(&state.settle(second.token, nack("bad")).unwrap()), ("1", "n2", vec![], "bad"));
    state.disconnect();
    assert_eq!(said(&state.connect().unwrap()), ("1", "", vec![], ""));
}

#[test]
fn a_nack_carries_its_details_and_the_names_that_came_twice() {
    let mut state = wildcard();
    let resource = RejectedResource { name: "b".into(), ..RejectedResource::default() };
    let details = RejectedResources { resources: vec![resource], ..RejectedResources::default() };
    let verdict = Verdict::Nack { error: "bad b".into(), details, rejected: vec!["b".into()] };
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1), any("a", 2), any("b", 1)]));
    let nack = state.settle(response.token, verdict).and_then(|request| request.error_detail);
    let details = nack.map(|status| status.details).unwrap_or_default();
    assert_eq!(details[0].type_url, "type.googleapis.com/dragoman.xds.v1.RejectedResources");
    let told: RejectedResources = prost::Message::decode(&*details[0].value).unwrap();
    let names: Vec<_> = told.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(told.resources[1].errors[0].reason, "duplicate cluster a found");
}

#[test]
fn an_answer_can_come_late_and_only_once() {
    let mut state = wildcard();
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1)]));
    assert!(state.settle(response.token, Verdict::Ack).is_some());
    assert!(state.settle(response.token, Verdict::Ack).is_none());
}

#[test]
fn an_answer_after_the_stream_is_gone_is_only_remembered() {
    let mut state = wildcard();
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1)]));
    state.disconnect();
    assert_eq!(said(&state.connect().unwrap()), ("", "", vec![], ""));
    assert_eq!(state.settle(response.token, Verdict::Ack), None);
    state.disconnect();
    assert_eq!(said(&state.connect().unwrap()), ("1", "", vec![], ""));
}

#[test]
fn a_response_that_was_overtaken_needs_no_answer() {
    let mut state = wildcard();
    let first = delivered(&mut state, sotw("1", "n1", vec![any("a", 1)]));
    let second = delivered(&mut state, sotw("2", "n2", vec![any("a", 2)]));
    assert_eq!(said(&state.settle(second.token, Verdict::Ack).unwrap()), ("2", "n2", vec![], ""));
    assert_eq!(state.settle(first.token, Verdict::Ack), None);
    state.disconnect();
    assert_eq!(said(&state.connect().unwrap()).0, "2");
}

#[test]
fn names_are_told_as_they_change() {
    let mut state = Sotw::new(CLUSTER, names(&[]));
    assert_eq!(state.connect(), None);
    assert_eq!(said(&state.set_names(set(&["a"])).unwrap()), ("", "", vec!["a"], ""));
    assert_eq!(state.set_names(set(&["a"])), None);
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1)]));
    assert!(!response.full);
    state.settle(response.token, Verdict::Ack);
    assert_eq!(said(&state.set_names(set(&["a", "b"])).unwrap()), ("1", "n1", vec!["a", "b"], ""));
    assert_eq!(said(&state.set_names(set(&[])).unwrap()), ("1", "n1", vec![], ""));
}

#[test]
fn a_change_of_names_does_not_answer_a_response_that_is_being_worked_on() {
    let mut state = Sotw::new(CLUSTER, names(&["a"]));
    state.connect();
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1)]));
    assert_eq!(state.set_names(set(&["a", "b"])), None);
    assert_eq!(said(&state.settle(response.token, nack("bad")).unwrap()), ("", "n1", vec!["a", "b"], "bad"));
}

#[test]
fn resources_that_were_not_asked_for_are_left_out() {
    let mut state = Sotw::new(CLUSTER, names(&["a"]));
    state.connect();
    let response = delivered(&mut state, sotw("1", "n1", vec![any("a", 1), any("b", 1)]));
    assert_eq!(resource_names(&response), ["a"]);
}

#[test]
fn a_wrong_type_rejects_the_whole_response() {
    let mut state = wildcard();
    let mut wrong = any("b", 1);
    wrong.type_url = LISTENER.into();
    match state.receive(sotw("1", "n1", vec![any("a", 1), wrong]), Instant::now()) {
        Received::Rejected { request, version, error } => {
            assert_eq!(said(&request), ("", "n1", vec![], &error[..]));
            assert_eq!(version, "1");
        }
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn heartbeats_prolong_lives_and_empty_nothing() {
    let (mut state, start) = (wildcard(), Instant::now());
    let mut mortal = wrapped("a", "1");
    mortal.ttl = heartbeat("a", 10).ttl;
    let Received::Delivered(response) =
        state.receive(sotw("1", "n1", vec![in_any(&mortal), any("b", 1)]), start)
    else {
        panic!("not delivered")
    };
    state.settle(response.token, Verdict::Ack);
    let later = start + Duration::from_secs(8);
    match state.receive(sotw("1", "n2", vec![in_any(&heartbeat("a", 10))]), later) {
        Received::Refreshed(request) => assert_eq!(said(&request), ("1", "n2", vec![], "")),
        other => panic!("no heartbeat: {other:?}"),
    }
    assert_eq!(state.expire(start + Duration::from_secs(12)), Vec::<String>::new());
    assert_eq!(state.expire(start + Duration::from_secs(18)), ["a"]);
}

#[test]
fn names_without_a_body_are_kept_beside_others() {
    let mut state = wildcard();
    let response = delivered(&mut state, sotw("2", "n", vec![in_any(&heartbeat("a", 1)), any("b", 1)]));
    assert!(response.full);
    assert_eq!((resource_names(&response), &response.kept[..]), (vec!["b"], &["a".to_owned()][..]));
}

#[test]
fn a_resource_that_comes_again_is_rejected_and_the_first_one_counts() {
    let mut state = wildcard();
    let twice = || sotw("1", "n1", vec![any("a", 1), any("b", 1), any("a", 2)]);
    let response = delivered(&mut state, twice());
    assert_eq!(resource_names(&response), ["a", "b"]);
    assert_eq!(response.resources[0].value, any("a", 1).value);
    let complaint = "Error adding/updating cluster(s) a: duplicate cluster a found";
    assert_eq!(said(&state.settle(response.token, Verdict::Ack).unwrap()), ("", "n1", vec![], complaint));
    let response = delivered(&mut state, twice());
    let both = "bad b, a: duplicate cluster a found";
    assert_eq!(said(&state.settle(response.token, nack("bad b")).unwrap()), ("", "n1", vec![], both));
}
