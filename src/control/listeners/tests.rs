use super::*;
use crate::base::random::Rng;
use crate::control::testing::{Recorder, inline, listener, rds};

fn listeners() -> Listeners<Recorder> {
    let mut listeners = Listeners::new(Recorder::default(), &Registry::new(0));
    listeners.start_serving(|_| false);
    listeners
}

/// Plays a response; the messages of what is wrong.
fn push(listeners: &mut Listeners<Recorder>, changes: Vec<Change<config::Listener>>) -> Vec<String> {
    let problems = listeners.update(changes, &KnownClusters::of(&|cluster| cluster != "missing"));
    problems.into_iter().map(|problem| problem.text()).collect()
}

fn serving(listeners: &Listeners<Recorder>) -> Vec<&str> {
    listeners.serve.serving.keys().map(String::as_str).collect()
}

#[test]
fn a_listener_waits_for_its_route_tables() {
    let mut listeners = listeners();
    assert!(push(&mut listeners, vec![listener("l", 80, &rds("r"))]).is_empty());
    assert_eq!(listeners.references().len(), 1);
    listeners.advance(|_| false);
    assert!(serving(&listeners).is_empty() && listeners.is_warming(|_| false));
    listeners.advance(|name| name == "r");
    assert_eq!(serving(&listeners), ["l"]);
}

#[test]
fn a_replaced_listener_serves_until_the_new_one_is_ready() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(|_| false);
    push(&mut listeners, vec![listener("l", 81, &rds("r"))]);
    listeners.advance(|_| false);
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:80");
    listeners.advance(|_| true);
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:81");
}

#[test]
fn an_equal_listener_is_left_alone() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(|_| true);
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    assert!(!listeners.advance(|_| true));
}

#[test]
fn going_back_to_the_serving_version_gives_up_the_warming_one() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(|_| true);
    push(&mut listeners, vec![listener("l", 81, &rds("r"))]);
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    assert!(!listeners.is_warming(|_| false) && !listeners.advance(|_| true));
    assert!(listeners.references().is_empty());
}

#[test]
fn nothing_serves_before_the_start_is_over() {
    let mut listeners = Listeners::new(Recorder::default(), &Registry::new(0));
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    assert!(!listeners.advance(|_| true));
    listeners.start_serving(|_| true);
    assert_eq!(serving(&listeners), ["l"]);
}

#[test]
fn an_address_that_cannot_be_bound_is_a_problem_and_the_old_listener_stays() {
    let mut listeners = listeners();
    push(&mut listeners, vec![listener("l", 80, &inline("a"))]);
    listeners.advance(|_| true);
    assert_eq!(push(&mut listeners, vec![listener("l", 666, &inline("a"))]), ["cannot bind"]);
    listeners.advance(|_| true);
    assert_eq!(listeners.serve.serving["l"].addresses[0].address.to_string(), "127.0.0.1:80");
    assert!(listeners.resources().find("l").is_some_and(|states| states.error.is_some()));
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
    listeners.advance(|_| true);
    assert!(push(&mut listeners, vec![listener("l", 81, &inline("a"))]).is_empty());
    listeners.remove(&["l".to_owned()]);
    listeners.advance(|_| true);
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
                listeners.advance(|name| name == settled);
            }
        }
        for name in served.iter().filter(|name| Some(name.as_str()) != removed) {
            assert!(listeners.serve.serving.contains_key(name), "{name} served and was not removed");
        }
        assert!(removed.is_none_or(|name| !listeners.serve.serving.contains_key(name)));
    }
}
