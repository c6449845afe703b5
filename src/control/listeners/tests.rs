use std::time::{Duration, Instant};

use super::*;
use crate::base::random::Rng;
use crate::config::source::{ConfigSource, SourceKind};
use crate::control::extensions::Extensions;
use crate::control::filter_chains::FilterChains;
use crate::control::routes::Routes;
use crate::control::testing::{Recorder, chain, change, inline, listener, rds};

fn listeners() -> Listeners<Recorder> {
    let mut listeners = Listeners::new(Recorder::default(), &Registry::new(0));
    listeners.start_serving(&there(&[]).settled());
    listeners
}

/// What listeners may wait for.
struct There {
    routes: Routes,
    scopes: Scopes,
    extensions: Extensions,
    secrets: Secrets,
    chains: FilterChains,
}

/// The route tables of these names are there, and no scopes.
fn there(tables: &[&str]) -> There {
    let registry = Registry::new(0);
    let mut routes = Routes::new(registry.clone(), Duration::ZERO);
    let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO };
    let reference = |name: &&str| RouteReference {
        name: (*name).to_owned(),
        source: source.clone(),
        stat_prefix: "web".to_owned(),
    };
    routes.refer(&tables.iter().map(reference).collect::<Vec<_>>(), Instant::now());
    routes.give_up(0, &tables.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    There {
        routes,
        scopes: Scopes::new(registry.clone()),
        extensions: Extensions::new(registry.clone()),
        secrets: Secrets::new(registry.clone(), Default::default()),
        chains: FilterChains::new(registry),
    }
}

impl There {
    fn settled(&self) -> Settled<'_> {
        let There { routes, scopes, extensions, secrets, chains } = self;
        Settled { routes, scopes, extensions, secrets, chains }
    }
}

/// Plays a response; the messages of what is wrong.
fn push(listeners: &mut Listeners<Recorder>, changes: Vec<Change<config::Listener>>) -> Vec<String> {
    let known = |cluster: &str| cluster != "missing";
    let problems =
        changes.into_iter().filter_map(|change| listeners.update(change, &KnownClusters::of(&known)));
    problems.map(|problem| problem.text()).collect()
}

fn serving(listeners: &Listeners<Recorder>) -> Vec<&str> {
    listeners.serve.serving.keys().map(String::as_str).collect()
}

#[test]
fn a_listener_waits_for_its_route_tables() {
    let mut listeners = listeners();
    assert!(push(&mut listeners, vec![listener("l", 80, &rds("r"))]).is_empty());
    assert_eq!(listeners.references(&there(&[]).scopes).len(), 1);
    listeners.advance(&there(&[]).settled());
    assert!(serving(&listeners).is_empty() && listeners.is_warming(&there(&[]).settled()));
    listeners.advance(&there(&["r"]).settled());
    assert_eq!(serving(&listeners), ["l"]);
}

#[test]
fn a_replaced_listener_serves_until_the_new_one_is_ready() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(&there(&[]).settled());
    push(&mut listeners, vec![listener("l", 81, &rds("r"))]);
    listeners.advance(&there(&[]).settled());
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:80");
    listeners.advance(&there(&["r"]).settled());
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:81");
}

#[test]
fn an_equal_listener_is_left_alone() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(&there(&["r"]).settled());
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    assert!(!listeners.advance(&there(&["r"]).settled()));
}

#[test]
fn going_back_to_the_serving_version_gives_up_the_warming_one() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(&there(&["r"]).settled());
    push(&mut listeners, vec![listener("l", 81, &rds("r"))]);
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    assert!(!listeners.is_warming(&there(&[]).settled()) && !listeners.advance(&there(&["r"]).settled()));
    assert!(listeners.references(&there(&[]).scopes).is_empty());
}

#[test]
fn nothing_serves_before_the_start_is_over() {
    let mut listeners = Listeners::new(Recorder::default(), &Registry::new(0));
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    assert!(!listeners.advance(&there(&["r"]).settled()));
    listeners.start_serving(&there(&["r"]).settled());
    assert_eq!(serving(&listeners), ["l"]);
}

/// A listener on a port whose only filter chain, `found`, is discovered.
fn discovering(port: u16) -> Change<config::Listener> {
    change::<config::Listener>(
        "l",
        &format!(
            "name: l\naddress: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\n\
             fcds_config: {{config_source: {{ads: {{}}, resource_api_version: V3}}}}\n\
             filter_chain_matcher:\n  on_no_match:\n    action:\n      name: a\n      typed_config:\n        \
             '@type': type.googleapis.com/google.protobuf.StringValue\n        value: found\n"
        ),
    )
}

/// The chain `found` has come for the listeners.
fn there_with_chain(listeners: &Listeners<Recorder>) -> There {
    let mut there = there(&[]);
    bring_chain(&mut there, listeners, "one");
    there
}

/// Another version of it.
fn bring_chain(there: &mut There, listeners: &Listeners<Recorder>, cluster: &str) {
    there.chains.refer(&listeners.chain_references());
    let change = chain("found", &inline(cluster));
    let problem = there.chains.update(0, change, &KnownClusters::of(&|_| true));
    assert_eq!(problem.map(|problem| problem.text()), None);
    assert!(there.chains.advance(|_| true));
}

#[test]
fn filter_chains_that_came_are_looked_at_before_the_start_is_over() {
    let mut listeners = Listeners::new(Recorder::default(), &Registry::new(0));
    assert_eq!(push(&mut listeners, vec![discovering(80)]), [""; 0]);
    assert!(!listeners.advance(&there(&[]).settled()) && listeners.is_warming(&there(&[]).settled()));
    let there = there_with_chain(&listeners);
    assert!(listeners.advance(&there.settled()), "it may refer to secrets now");
    assert!(serving(&listeners).is_empty() && !listeners.is_warming(&there.settled()));
    listeners.start_serving(&there.settled());
    assert_eq!((serving(&listeners), listeners.serve.composed), (vec!["l"], 1));
    assert_eq!(listeners.serve.serving["l"].filter_chains.len(), 1);
}

#[test]
fn filter_chains_that_cannot_be_made_are_tried_again_when_others_come() {
    let mut listeners = Listeners::new(Recorder::default(), &Registry::new(0));
    push(&mut listeners, vec![discovering(668)]);
    let mut there = there_with_chain(&listeners);
    assert!(listeners.advance(&there.settled()));
    assert!(!listeners.advance(&there.settled()));
    assert_eq!(listeners.serve.composed, 1);
    bring_chain(&mut there, &listeners, "two");
    assert!(listeners.advance(&there.settled()));
    assert!(!listeners.advance(&there.settled()));
    assert_eq!(listeners.serve.composed, 2);
    listeners.start_serving(&there.settled());
    assert!(!listeners.advance(&there.settled()));
    assert_eq!((serving(&listeners), listeners.serve.composed), (vec!["l"], 2));
}

#[test]
fn an_address_that_cannot_be_bound_is_a_problem_and_the_old_listener_stays() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(&there(&["r"]).settled());
    assert_eq!(push(&mut listeners, vec![listener("l", 666, &inline("a"))]), ["cannot bind"]);
    listeners.advance(&there(&["r"]).settled());
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:80");
    assert!(listeners.resources().find("l").is_some_and(|states| states.error.is_some()));
}

#[test]
fn a_listener_that_cannot_listen_is_given_up_and_the_old_one_stays() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(&there(&[]).settled());
    assert!(push(&mut listeners, vec![listener("l", 667, &inline("a"))]).is_empty());
    listeners.advance(&there(&[]).settled());
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:80");
    let states = listeners.resources().find("l").expect("it came");
    assert!(states.warming.is_none() && states.active.is_some());
    assert_eq!(states.error.as_ref().map(|error| &error.details[..]), Some("cannot listen"));
    assert_eq!(listeners.stats.listener_create_failure().value(), 1);
    // The address is not kept for it, and one that never served leaves nothing.
    assert!(push(&mut listeners, vec![listener("m", 667, &inline("a"))]).is_empty());
    listeners.advance(&there(&[]).settled());
    assert_eq!(listeners.listeners.keys().collect::<Vec<_>>(), ["l"]);
    assert_eq!(serving(&listeners), ["l"]);
}

#[test]
fn an_address_that_another_listener_has_is_a_problem() {
    let mut listeners = listeners();
    let problems =
        push(&mut listeners, vec![listener("a", 80, &inline("a")), listener("b", 80, &inline("a"))]);
    assert!(problems[0].contains("'b' has duplicate address '127.0.0.1:80'"), "{problems:?}");
    assert!(
        push(&mut listeners, vec![listener("c", 0, &inline("a")), listener("d", 0, &inline("a"))]).is_empty()
    );
}

#[test]
fn an_inline_route_to_an_unknown_cluster_is_a_problem() {
    let problems = push(&mut listeners(), vec![listener("l", 80, &inline("missing"))]);
    assert_eq!(
        problems,
        [
            "filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster: route: \
          unknown cluster 'missing'"
        ]
    );
}

#[test]
fn listeners_of_the_bootstrap_are_neither_changed_nor_removed() {
    let mut listeners = listeners();
    let Body::New(fixed) = listener("l", 80, &inline("a")).body else { panic!("a good listener") };
    assert_eq!(listeners.add_fixed(fixed, &KnownClusters::of(&|_| true)), Ok(()));
    listeners.advance(&there(&["r"]).settled());
    assert!(push(&mut listeners, vec![listener("l", 81, &inline("a"))]).is_empty());
    listeners.remove(&["l".to_owned()]);
    listeners.advance(&there(&["r"]).settled());
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:80");
}

#[test]
fn whatever_is_pushed_a_listener_serves_until_it_is_removed() {
    let mut rng = Rng::seeded(33);
    let mut listeners = listeners();
    let names = ["a", "b", "c"];
    for _ in 0..400 {
        let index = rng.below(3) as usize;
        let served: Vec<String> = listeners.serve.serving.keys().cloned().collect();
        let mut removed = None;
        match rng.below(5) {
            0..=2 => {
                let port =
                    [80, 666, 0][rng.below(3) as usize] + if rng.below(2) == 0 { 0 } else { index as u16 };
                let tables = [rds("r"), rds("s"), inline("a"), inline("missing")];
                push(&mut listeners, vec![listener(names[index], port, &tables[rng.below(4) as usize])]);
            }
            3 => {
                listeners.remove(&[names[index].to_owned()]);
                removed = Some(names[index]);
            }
            _ => {
                let settled = ["r", "s"][rng.below(2) as usize];
                listeners.advance(&there(&[settled]).settled());
            }
        }
        for name in served.iter().filter(|name| Some(name.as_str()) != removed) {
            assert!(listeners.serve.serving.contains_key(name), "{name} served and was not removed");
        }
        assert!(removed.is_none_or(|name| !listeners.serve.serving.contains_key(name)));
    }
}
