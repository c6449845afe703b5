use super::*;
use crate::base::headers::{Headers, Known};
use crate::config::matcher::{StringMatcher, StringPattern};

fn header(name: &str) -> Input {
    Input::RequestHeader(name.to_owned())
}

fn is(name: &str, value: &str) -> Predicate {
    let pattern = StringPattern::Exact(value.to_owned());
    Predicate::Single(header(name), predicate::Test::Value(StringMatcher { pattern, ignore_case: false }))
}

fn tree(choice: Choice<u8>, on_no_match: Option<u8>) -> MatchTree<u8> {
    MatchTree { choice, on_no_match: on_no_match.map(OnMatch::Action) }
}

fn found(tree: &MatchTree<u8>, received: &[(&str, &str)]) -> Option<u8> {
    let mut headers = Headers::new();
    received.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
    tree.find(&Subject { headers: &headers, peers: Peers::default() }).copied()
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

#[test]
fn the_longest_prefix_that_leads_somewhere_wins() {
    let nowhere = OnMatch::Tree(Box::new(tree(Choice::None, None)));
    let map = [("/a", OnMatch::Action(1)), ("/a/b", nowhere), ("/ä", OnMatch::Action(2))];
    let map = map.map(|(prefix, on_match)| (prefix.to_owned(), on_match)).into();
    let tree = tree(Choice::Prefix(header("p"), map, 4), None);
    for (value, expected) in
        [("/a/b/c", Some(1)), ("/ab", Some(1)), ("/äö", Some(2)), ("/", None), ("", None)]
    {
        assert_eq!(found(&tree, &[("p", value)]), expected, "{value}");
    }
}

#[test]
fn what_has_no_value_holds_only_inverted() {
    let not = Predicate::Not(Box::new(is("a", "1")));
    let headers = Headers::new();
    let subject = Subject { headers: &headers, peers: Peers::default() };
    assert!(!is("a", "").holds(&subject) && not.holds(&subject));
    assert!(!Predicate::And(vec![not.clone(), is("a", "1")]).holds(&subject));
    assert!(Predicate::Or(vec![is("a", "1"), not]).holds(&subject));
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
    };
    let subject = Subject { headers: &headers, peers };
    let nowhere = Subject { peers: Peers::default(), ..subject };
    let cases = [
        (Input::QueryParameter("a".to_owned()), "1"),
        (Input::SourceIp, "10.0.0.1"),
        (Input::SourcePort, "1"),
        (Input::DirectSourceIp, "2001:db8::1"),
        (Input::DestinationIp, "10.0.0.3"),
        (Input::DestinationPort, "3"),
        (Input::ServerName, "sni"),
    ];
    for (input, expected) in cases {
        assert_eq!(input.value(&subject).as_deref(), Some(expected.as_bytes()), "{input:?}");
        assert_eq!(input.value(&nowhere).is_some(), matches!(input, Input::QueryParameter(_)), "{input:?}");
    }
    assert_eq!(Input::QueryParameter("c".to_owned()).value(&subject), None);
}
