use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;

use super::super::message::type_url::{CLUSTER, ENDPOINTS, LISTENER};
use super::super::sotw::Sotw;
use super::super::testing::{any, names, set, sotw};
use super::*;

const CDS: SubscriptionId = SubscriptionId(1);
const LDS: SubscriptionId = SubscriptionId(2);
const EDS: SubscriptionId = SubscriptionId(3);
const TIMEOUT: Duration = Duration::from_secs(15);

fn ads(first_message_only: bool) -> Ads<Sotw> {
    let node = Node { id: "me".into(), ..Node::default() };
    let mut ads = Ads::new(node, first_message_only);
    ads.subscribe(CDS, CLUSTER, Interest::Wildcard, TIMEOUT, Instant::now());
    ads
}

fn sent(ads: &mut Ads<Sotw>) -> Vec<DiscoveryRequest> {
    std::iter::from_fn(|| ads.next_request()).collect()
}

fn types(requests: &[DiscoveryRequest]) -> Vec<&str> {
    requests.iter().map(|request| &request.type_url[..]).collect()
}

#[test]
fn nothing_is_sent_without_a_stream() {
    let mut ads = ads(true);
    assert_eq!(sent(&mut ads), []);
    ads.connect();
    assert_eq!(types(&sent(&mut ads)), [CLUSTER]);
}

#[test]
fn a_new_stream_asks_for_the_types_in_the_order_of_subscription() {
    let mut ads = ads(true);
    ads.subscribe(EDS, ENDPOINTS, names(&["x"]), TIMEOUT, Instant::now());
    ads.subscribe(LDS, LISTENER, Interest::Wildcard, TIMEOUT, Instant::now());
    for _ in 0..2 {
        ads.connect();
        assert_eq!(types(&sent(&mut ads)), [CLUSTER, ENDPOINTS, LISTENER]);
        ads.disconnect();
    }
}

#[test]
fn the_node_goes_with_the_first_message_or_with_all() {
    for (first_only, expected) in [(true, [true, false]), (false, [true, true])] {
        let mut ads = ads(first_only);
        ads.connect();
        ads.subscribe(LDS, LISTENER, Interest::Wildcard, TIMEOUT, Instant::now());
        let with_node: Vec<bool> = sent(&mut ads).iter().map(|request| request.node.is_some()).collect();
        assert_eq!(with_node, expected);
    }
}

#[test]
fn responses_of_types_not_asked_for_are_dropped() {
    let mut ads = ads(true);
    ads.connect();
    sent(&mut ads);
    let mut response = sotw("1", "n1", vec![]);
    response.type_url = LISTENER.into();
    assert_eq!(ads.receive(response, Instant::now()), None);
    assert_eq!(sent(&mut ads), []);
}

#[test]
fn an_acknowledgement_can_be_withheld_while_others_go_out() {
    let mut ads = ads(true);
    ads.connect();
    sent(&mut ads);
    let notice = ads.receive(sotw("1", "n1", vec![any("a", 1)]), Instant::now()).unwrap();
    let Event::Response(response) = notice.event else { panic!("no response") };
    ads.subscribe(EDS, ENDPOINTS, names(&["a"]), TIMEOUT, Instant::now());
    assert_eq!(types(&sent(&mut ads)), [ENDPOINTS]);
    ads.settle(CDS, response.token, Verdict::Ack);
    let acknowledgement = sent(&mut ads);
    assert_eq!(types(&acknowledgement), [CLUSTER]);
    assert_eq!(acknowledgement[0].response_nonce, "n1");
}

#[test]
fn names_are_unsubscribed_from_when_a_subscription_ends() {
    let mut ads = ads(true);
    ads.subscribe(EDS, ENDPOINTS, names(&["a"]), TIMEOUT, Instant::now());
    ads.connect();
    sent(&mut ads);
    ads.unsubscribe(EDS);
    ads.unsubscribe(CDS);
    let last = sent(&mut ads);
    assert_eq!((types(&last), last[0].resource_names.len()), (vec![ENDPOINTS], 0));
    assert!(ads.is_idle());
}

#[test]
fn first_answers_are_waited_for_even_without_a_stream() {
    let (mut ads, start) = (Ads::<Sotw>::new(Node::default(), true), Instant::now());
    ads.subscribe(CDS, CLUSTER, Interest::Wildcard, TIMEOUT, start);
    ads.subscribe(EDS, ENDPOINTS, names(&["a"]), TIMEOUT, start);
    ads.set_names(EDS, set(&["a", "b"]), start + TIMEOUT / 3);
    ads.set_names(EDS, set(&["b"]), start + TIMEOUT / 2);
    assert_eq!(ads.next_deadline(), Some(start + TIMEOUT));
    let late = |subscription, names: &[&str]| Notice {
        subscription,
        event: Event::FetchTimedOut { names: names.iter().map(|name| (*name).to_owned()).collect() },
    };
    assert_eq!(ads.expire(start + TIMEOUT), [late(CDS, &[])]);
    assert_eq!(ads.expire(start + TIMEOUT * 2), [late(EDS, &["b"])]);
    assert_eq!(ads.next_deadline(), None);
}

#[test]
fn a_new_subscription_takes_over_the_type() {
    let mut ads = ads(true);
    ads.connect();
    sent(&mut ads);
    ads.subscribe(LDS, CLUSTER, Interest::Wildcard, TIMEOUT, Instant::now());
    ads.unsubscribe(CDS);
    let notice = ads.receive(sotw("1", "n1", vec![]), Instant::now()).unwrap();
    assert_eq!(notice.subscription, LDS);
}
