use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};

use super::test::Test;
use super::unparsed::Unparsed;
use super::*;
use crate::base::headers::{Headers, Known};
use crate::config::matcher::{CidrRange, StringMatcher, StringPattern};
use crate::config::runtime::{Fraction, RuntimeFraction, Values};
use crate::config::value_matcher::ValueMatcher;

static NOTHING: LazyLock<Values> = LazyLock::new(Values::default);

fn header(name: &str) -> Input {
    Input::RequestHeader(name.to_owned())
}

fn is(name: &str, value: &str) -> Predicate {
    let pattern = StringPattern::Exact(value.to_owned());
    Predicate::Single(header(name), Test::Value(StringMatcher { pattern, ignore_case: false }))
}

fn tree(choice: Choice<u8>, on_no_match: Option<u8>) -> MatchTree<u8> {
    MatchTree { choice, on_no_match: on_no_match.map(OnMatch::Action) }
}

fn found(tree: &MatchTree<u8>, received: &[(&str, &str)]) -> Option<u8> {
    let mut headers = Headers::new();
    received.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
    tree.find(&Subject::of_headers(&headers, &NOTHING)).copied()
}

#[test]
fn a_condition_whose_tree_leads_nowhere_lets_the_next_one_have_it() {
    let nested = tree(Choice::List(vec![(is("b", "1"), OnMatch::Action(1))]), None);
    let list = vec![(is("a", "1"), OnMatch::Tree(Box::new(nested))), (is("a", "1"), OnMatch::Action(2))];
    let tree = tree(Choice::List(list), Some(3));
    assert_eq!(found(&tree, &[("a", "1"), ("b", "1")]), Some(1));
    assert_eq!(found(&tree, &[("a", "1")]), Some(2));
    assert_eq!(found(&tree, &[]), Some(3));
    assert_eq!(tree.actions(), [&1, &2, &3]);
}

/// A counter of a prefix.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<Mutex<Vec<String>>>, String);

impl Count for Counted {
    fn inc(&self) {
        self.0.lock().expect("nobody panics").push(self.1.clone());
    }
}

#[test]
fn what_is_no_address_is_counted_and_what_is_empty_is_not() {
    let ip = |stat_prefix| {
        let cidr_ranges = vec![CidrRange::around([10, 0, 0, 0].into(), 8)];
        Predicate::Single(header("a"), Test::Ip { cidr_ranges, unparsed: Unparsed::new(stat_prefix) })
    };
    let nested = tree(Choice::List(vec![(ip("in"), OnMatch::Action(1))]), Some(2));
    let outer = Predicate::Not(Box::new(Predicate::And(vec![ip("out"), Predicate::Or(vec![ip("or")])])));
    let tree = tree(Choice::List(vec![(outer, OnMatch::Tree(Box::new(nested)))]), Some(3));
    let counted = Counted::default();
    assert_eq!(found(&tree, &[("a", "x")]), Some(2));
    tree.count_with(&|prefix| Box::new(Counted(Arc::clone(&counted.0), prefix.to_owned())));
    for (value, expected) in [("10.1.1.1", 3), ("11.1.1.1", 2), ("", 2), ("10.1.1.1:80", 2)] {
        assert_eq!(found(&tree, &[("a", value)]), Some(expected), "{value}");
    }
    assert_eq!(*counted.0.lock().expect("nobody panics"), ["out", "in"]);
}

#[test]
fn the_longest_prefix_that_leads_somewhere_wins() {
    let nowhere = OnMatch::Tree(Box::new(tree(Choice::None, None)));
    let map = [("/a", OnMatch::Action(1)), ("/a/b", nowhere), ("/ä", OnMatch::Action(2))];
    let map = map.map(|(prefix, on_match)| (prefix.to_owned(), on_match)).into();
    let tree = tree(Choice::Prefix(header("p"), map, [4, 3, 2].into()), None);
    for (value, expected) in
        [("/a/b/c", Some(1)), ("/ab", Some(1)), ("/äö", Some(2)), ("/", None), ("", None)]
    {
        assert_eq!(found(&tree, &[("p", value)]), expected, "{value}");
    }
}

#[test]
fn of_a_long_value_only_beginnings_as_long_as_some_prefix_are_looked_up() {
    let value = "ä".repeat(1000);
    let tried =
        |value: &[u8]| -> Vec<usize> { find::prefixes(value, &[900, 7, 4, 2, 0]).map(str::len).collect() };
    assert_eq!(tried(value.as_bytes()), [900, 4, 2, 0]);
    assert_eq!(tried(b"abc\xffdef"), [2, 0]);
    assert_eq!(tried(b""), [0]);
}

#[test]
fn what_has_no_value_holds_only_inverted() {
    let not = Predicate::Not(Box::new(is("a", "1")));
    let headers = Headers::new();
    let subject = Subject::of_headers(&headers, &NOTHING);
    assert_eq!((is("a", "").holds(&subject), not.holds(&subject)), (Ok(false), Ok(true)));
    assert_eq!(Predicate::And(vec![not.clone(), is("a", "1")]).holds(&subject), Ok(false));
    assert_eq!(Predicate::Or(vec![is("a", "1"), not]).holds(&subject), Ok(true));
}

#[test]
fn what_is_not_there_yet_leaves_open_what_does_not_hold_without_it() {
    let later = Predicate::Single(
        Input::Later("envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput"),
        Test::Value(StringMatcher { pattern: StringPattern::Exact("200".to_owned()), ignore_case: false }),
    );
    let headers = Headers::new();
    let subject = Subject::of_headers(&headers, &NOTHING);
    let (holds, fails) = (Predicate::Not(Box::new(is("a", "1"))), is("a", "1"));
    assert_eq!(Predicate::Or(vec![later.clone(), holds.clone()]).holds(&subject), Ok(true));
    assert_eq!(Predicate::Or(vec![later.clone(), fails.clone()]).holds(&subject), Err(NotYet));
    assert_eq!(Predicate::And(vec![fails, later.clone()]).holds(&subject), Ok(false));
    assert_eq!(Predicate::And(vec![holds.clone(), later.clone()]).holds(&subject), Err(NotYet));
    assert_eq!(Predicate::Not(Box::new(later.clone())).holds(&subject), Err(NotYet));
    let list = vec![(later, OnMatch::Action(1)), (holds, OnMatch::Action(2))];
    assert_eq!(found(&tree(Choice::List(list), Some(3)), &[]), None);
}

#[test]
fn the_values_of_a_header_are_joined() {
    let map = [("1,2".to_owned(), OnMatch::Action(1))].into();
    let tree = tree(Choice::Exact(header("a"), map), None);
    assert_eq!(found(&tree, &[("a", "1"), ("a", "2")]), Some(1));
    assert_eq!(found(&tree, &[("a", "1")]), None);
}

#[test]
fn every_input_gives_the_text_of_what_it_looks_at() {
    let mut headers = Headers::new();
    headers.append(Known::Path, b"/p?a=1&b=2&a=3#f");
    let peers = Peers {
        source: "10.0.0.1:1".parse().ok(),
        direct_source: "[2001:db8::1]:2".parse().ok(),
        destination: "10.0.0.3:3".parse().ok(),
        server_name: "sni",
        is_tls: true,
        certificate: Some(PeerCertificate {
            uris: &["spiffe://a".to_owned(), "b".to_owned()],
            dns_names: &["a.example".to_owned()],
            subject: "CN=a",
            names: None,
        }),
        ..Peers::default()
    };
    let notes = Notes(json!({"ns": {"k": "v"}}));
    let subject = Subject { peers, notes: Some(&notes), ..Subject::of_headers(&headers, &NOTHING) };
    let nowhere = Subject::of_headers(&headers, &NOTHING);
    let cases = [
        (Input::QueryParameter("a".to_owned()), "1"),
        (Input::SourceIp, "10.0.0.1"),
        (Input::SourcePort, "1"),
        (Input::DirectSourceIp, "2001:db8::1"),
        (Input::DestinationIp, "10.0.0.3"),
        (Input::DestinationPort, "3"),
        (Input::ServerName, "sni"),
        (Input::UriSans, "spiffe://a,b"),
        (Input::DnsSans, "a.example"),
        (Input::CertificateSubject, "CN=a"),
        (Input::FilterState("s".to_owned()), "text"),
        (Input::Environment(Some("e".to_owned())), "e"),
    ];
    for (input, expected) in &cases {
        assert_eq!(input.value(&subject), Given::Text(expected.as_bytes().into()), "{input:?}");
        let elsewhere = match input {
            Input::QueryParameter(_) | Input::Environment(_) => Given::Text(expected.as_bytes().into()),
            // Without TLS there is nothing to look at.
            Input::UriSans | Input::DnsSans | Input::CertificateSubject => Given::NotYet,
            _ => Given::Nothing,
        };
        assert_eq!(input.value(&nowhere), elsewhere, "{input:?}");
    }
    assert_eq!(Input::QueryParameter("c".to_owned()).value(&subject), Given::Nothing);
    let metadata = Input::DynamicMetadata(vec!["ns".to_owned(), "k".to_owned()]);
    assert_eq!(metadata.value(&subject), Given::Metadata(Some(&json!("v"))));
    assert_eq!(metadata.value(&nowhere), Given::Metadata(None));
}

/// Metadata, and an object of the filter state that is called `s`.
#[derive(Debug)]
struct Notes(Value);

impl Noted for Notes {
    fn metadata(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&self.0, |value, key| value.get(key))
    }

    fn state(&self, name: &str) -> Option<&[u8]> {
        (name == "s").then_some(b"text")
    }
}

#[test]
fn a_client_of_this_machine_is_local() {
    let headers = Headers::new();
    for (source, destination, local) in [
        (Some("127.9.0.1:1"), Some("10.0.0.1:80"), true),
        (Some("[::1]:1"), None, true),
        (None, None, true),
        (Some("10.0.0.1:1"), Some("10.0.0.1:80"), true),
        (Some("10.0.0.2:1"), Some("10.0.0.1:80"), false),
    ] {
        let address = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        let peers = Peers { source: address(source), destination: address(destination), ..Peers::default() };
        let subject = Subject { peers, ..Subject::of_headers(&headers, &NOTHING) };
        let given = Input::SourceType.value(&subject);
        assert_eq!(given != Given::Nothing, local, "{source:?}");
    }
}

#[test]
fn a_hash_is_of_a_share_or_of_the_part_above_a_threshold() {
    let headers = Headers::new();
    let subject = Subject::of_headers(&headers, &NOTHING);
    let share = |numerator| {
        let default_value = Fraction { numerator, denominator: 100 };
        Test::Share { share: RuntimeFraction { default_value, runtime_key: String::new() }, seed: 0 }
    };
    let part = |threshold| Test::Hash { threshold, modulo: 10, seed: 3 };
    for (test, expected) in [(share(100), true), (share(0), false), (part(0), true), (part(10), false)] {
        let given = Given::Text(b"v"[..].into());
        assert_eq!(test.passes(given, &subject), Ok(expected), "{test:?}");
        assert_eq!(test.passes(Given::Nothing, &subject), Ok(false), "{test:?}");
    }
    let missing = Test::Metadata { value: ValueMatcher::Present(true), invert: true };
    assert_eq!(missing.passes(Given::Metadata(None), &subject), Ok(true));
}
