use super::*;
use crate::config::source::SourceKind;
use crate::control::testing::{chain, inline, rds};

fn source() -> ConfigSource {
    ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: std::time::Duration::ZERO }
}

fn refer(chains: &mut FilterChains, names: &[&str]) {
    let reference = |name: &&str| ChainReference { name: (*name).to_owned(), source: source() };
    chains.refer(&names.iter().map(reference).collect::<Vec<_>>());
}

/// Two chains are asked for.
fn chains() -> FilterChains {
    let mut chains = FilterChains::new(Registry::new(0));
    refer(&mut chains, &["one", "two"]);
    let names = BTreeSet::from(["one".to_owned(), "two".to_owned()]);
    assert_eq!(chains.take_changed(), [(0, names)]);
    chains
}

fn update(chains: &mut FilterChains, change: Change<DiscoveredChain>) -> Option<String> {
    let problem = chains.update(0, change, &KnownClusters::of(&|cluster| cluster != "missing"));
    problem.map(|problem| problem.text())
}

#[test]
fn a_chain_serves_once_what_it_refers_to_is_there_and_the_one_before_until_then() {
    let mut chains = chains();
    assert_eq!(update(&mut chains, chain("one", &inline("app"))), None);
    assert!(!chains.is_settled(&source(), "one"));
    assert!(chains.advance(|_| true) && chains.is_settled(&source(), "one"));
    let before = chains.find(&source(), "one").cloned();
    assert_eq!(update(&mut chains, chain("one", &rds("table"))), None);
    assert!(!chains.advance(|_| false));
    assert_eq!((chains.find(&source(), "one"), chains.all().count()), (before.as_ref(), 2));
    assert!(chains.advance(|_| true));
    assert_ne!(chains.find(&source(), "one"), before.as_ref());
}

#[test]
fn nack_keeps_the_last_good_version() {
    let mut chains = chains();
    update(&mut chains, chain("one", &inline("app")));
    chains.advance(|_| true);
    let problem = update(&mut chains, chain("one", &inline("missing"))).expect("a problem");
    assert!(problem.contains("missing"), "{problem}");
    assert!(!chains.advance(|_| true) && chains.find(&source(), "one").is_some());
}

#[test]
fn what_is_removed_is_there_no_more_and_what_nobody_names_is_not_asked_for() {
    let mut chains = chains();
    update(&mut chains, chain("one", &inline("app")));
    chains.advance(|_| true);
    let version = chains.version();
    chains.remove(0, "2", &["one".to_owned(), "two".to_owned(), "three".to_owned()]);
    assert!(chains.version() > version && chains.find(&source(), "one").is_none());
    assert!(chains.is_settled(&source(), "two"));
    refer(&mut chains, &["two"]);
    assert_eq!(chains.take_changed(), [(0, BTreeSet::from(["two".to_owned()]))]);
    refer(&mut chains, &[]);
    assert_eq!(chains.take_changed(), [(0, BTreeSet::new())]);
    assert_eq!(update(&mut chains, chain("one", &inline("app"))), None);
    assert!(!chains.advance(|_| true), "nobody has asked for it");
}

#[test]
fn chains_that_do_not_come_are_waited_for_no_longer() {
    let mut chains = chains();
    chains.give_up(0, &["one".to_owned()]);
    assert!(chains.is_settled(&source(), "one") && !chains.is_settled(&source(), "two"));
    chains.rejected(0);
    assert!(chains.is_settled(&source(), "two"));
}
