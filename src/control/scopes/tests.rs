use tokio::sync::oneshot;

use super::*;
use crate::control::testing::change;

fn source(initial_fetch_timeout: u64) -> ConfigSource {
    ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::from_secs(initial_fetch_timeout) }
}

fn referred() -> Scopes {
    let mut scopes = Scopes::new(Registry::new(0));
    let reference = ScopeReference {
        name: "scopes".to_owned(),
        stat_prefix: "web".to_owned(),
        scopes: source(15),
        tables: source(15),
    };
    scopes.refer(&[reference]);
    scopes
}

/// A scope whose requests have this key, and the table of this name.
fn scope(name: &str, key: &str, table: &str) -> Change<ScopedRoute> {
    change::<ScopedRoute>(
        name,
        &format!(
            "name: {name}\nroute_configuration_name: {table}\nkey: {{fragments: [{{string_key: '{key}'}}]}}\n"
        ),
    )
}

fn tables(scopes: &Scopes) -> Vec<&str> {
    scopes.tables_of(&SourceKind::Ads).collect()
}

#[test]
fn a_source_is_asked_while_it_is_referred_to() {
    let mut scopes = referred();
    assert_eq!(scopes.take_wishes(), [Wish::Subscribe(0)]);
    assert_eq!(scopes.take_wishes(), []);
    scopes.refer(&[]);
    assert_eq!(scopes.take_wishes(), [Wish::Unsubscribe(0)]);
}

#[test]
fn scopes_name_the_tables_that_are_wanted() {
    let mut scopes = referred();
    assert!(!scopes.is_settled(&SourceKind::Ads));
    let changes = vec![scope("a", "1", "x"), scope("b", "2", "w")];
    assert_eq!(scopes.update(0, changes, &[], &KnownClusters::of(&|_| true)), []);
    assert!(scopes.is_settled(&SourceKind::Ads));
    assert_eq!(tables(&scopes), ["x", "w"]);
    assert_eq!(
        scopes.update(0, vec![scope("b", "2", "z")], &["a".to_owned()], &KnownClusters::of(&|_| true)),
        []
    );
    assert_eq!(tables(&scopes), ["z"]);
}

#[test]
fn two_scopes_with_one_key_are_refused_and_the_last_good_ones_stay() {
    let mut scopes = referred();
    scopes.update(0, vec![scope("a", "1", "x")], &[], &KnownClusters::of(&|_| true));
    let good = Arc::clone(scopes.compiled());
    let problems = scopes.update(
        0,
        vec![scope("b", "1", "w"), scope("c", "2", "z")],
        &[],
        &KnownClusters::of(&|_| true),
    );
    let told: Vec<_> = problems.iter().map(Problem::text).collect();
    assert_eq!(told, ["key: scope key conflict found, first scope is 'a', second scope is 'b'"]);
    assert!(Arc::ptr_eq(&good, scopes.compiled()));
    assert_eq!(tables(&scopes), ["x"]);
}

#[test]
fn a_key_may_go_from_one_scope_to_another_in_one_response() {
    let mut scopes = referred();
    scopes.update(0, vec![scope("a", "1", "x")], &[], &KnownClusters::of(&|_| true));
    assert_eq!(
        scopes.update(0, vec![scope("b", "1", "w")], &["a".to_owned()], &KnownClusters::of(&|_| true)),
        []
    );
    assert_eq!(tables(&scopes), ["w"]);
}

#[test]
fn one_bad_scope_refuses_the_response() {
    let mut scopes = referred();
    let bad = change::<ScopedRoute>("b", "name: b\nkey: {fragments: [{string_key: x}]}\n");
    assert_eq!(
        scopes.update(0, vec![scope("a", "1", "x"), bad], &[], &KnownClusters::of(&|_| true)).len(),
        1
    );
    assert_eq!(tables(&scopes), Vec::<&str>::new());
    assert!(scopes.is_settled(&SourceKind::Ads), "a listener does not wait for a better version");
}

#[test]
fn scopes_outlast_the_listener_that_asked_for_them() {
    let mut scopes = referred();
    assert_eq!(scopes.take_wishes(), [Wish::Subscribe(0)]);
    scopes.update(0, vec![scope("a", "1", "x")], &[], &KnownClusters::of(&|_| true));
    scopes.refer(&[]);
    assert_eq!(scopes.take_wishes(), [Wish::Unsubscribe(0)]);
    assert_eq!(scopes.compiled().len(), 1);
    assert!(!scopes.is_settled(&SourceKind::Ads), "the next listener waits for what is true then");
}

#[test]
fn a_refused_response_is_refused_as_a_whole() {
    let mut scopes = referred();
    let changes = vec![scope("a", "1", "x"), scope("b", "1", "w"), scope("c", "2", "z")];
    let problems = scopes.update(0, changes, &[], &KnownClusters::of(&|_| true));
    let Verdict::Nack { error, rejected, .. } = scopes.answer(0, "1".to_owned(), &problems) else {
        panic!("two scopes have one key");
    };
    assert_eq!(error, "b: key: scope key conflict found, first scope is 'a', second scope is 'b'");
    assert_eq!(rejected, [""; 0], "which stands for all, those without a fault of their own too");
    assert_eq!(scopes.answer(0, "1".to_owned(), &[]), Verdict::Ack);
}

/// The same scope, whose table comes when a request asks for it.
fn sleeping(name: &str, key: &str, table: &str) -> Change<ScopedRoute> {
    change::<ScopedRoute>(
        name,
        &format!(
            "name: {name}\non_demand: true\nroute_configuration_name: {table}\nkey: {{fragments: [{{string_key: '{key}'}}]}}\n"
        ),
    )
}

fn ask(scopes: &mut Scopes, key: &str) -> (bool, oneshot::Receiver<()>) {
    let (answer, answered) = oneshot::channel();
    let key = [key.as_bytes()].into_iter().collect();
    (scopes.ask(&SourceKind::Ads, SourceKind::Ads, &key, answer), answered)
}

fn is_answered(waiting: &mut oneshot::Receiver<()>) -> bool {
    waiting.try_recv() == Err(oneshot::error::TryRecvError::Closed)
}

#[test]
fn a_table_on_demand_is_wanted_when_a_request_asks_for_it() {
    let mut scopes = referred();
    let all = |_: &str| true;
    let known = KnownClusters::of(&all);
    assert_eq!(scopes.update(0, vec![sleeping("a", "1", "x"), sleeping("b", "2", "w")], &[], &known), []);
    assert!(tables(&scopes).is_empty());
    let (wakes, mut first) = ask(&mut scopes, "1");
    let (again, mut second) = ask(&mut scopes, "1");
    assert!(wakes && !again);
    assert_eq!(tables(&scopes), ["x"]);
    drop(scopes.take_served(&RouteTables::default()));
    assert!(!is_answered(&mut first));
    // A request whose scope goes waits no longer.
    assert_eq!(scopes.update(0, vec![], &["a".to_owned()], &known), []);
    drop(scopes.take_served(&RouteTables::default()));
    assert!(is_answered(&mut first) && is_answered(&mut second));
    // One whose scope does not exist does not wait.
    assert!(is_answered(&mut ask(&mut scopes, "3").1));
}
