use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Balancer, Choice};
use super::*;
use crate::config::cluster::{SelectorFallback, SubsetFallback, SubsetSelector, Subsets};
use crate::config::endpoint::HealthStatus;
use crate::config::metadata::{Labels, Metadata};
use crate::upstream::orca::Report;
use crate::upstream::testing::{ClusterBuilder, EndpointBuilder, client_side_weights, endpoint};

/// Metadata of this name alone.
fn labels(fields: Value) -> Metadata {
    Metadata { filter_metadata: BTreeMap::from([(Labels::NAME.to_owned(), fields)]), ..Metadata::default() }
}

fn labelled(port: u16, fields: Value) -> EndpointBuilder {
    let mut endpoint = endpoint(port);
    endpoint.0.metadata = labels(fields);
    endpoint
}

fn selector(keys: &[&str], fallback: Option<SelectorFallback>) -> SubsetSelector {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    SubsetSelector { keys, fallback, single_host_per_subset: false }
}

fn cluster(subsets: Subsets, endpoints: Vec<EndpointBuilder>) -> Arc<Cluster> {
    let builder = ClusterBuilder::new("c").lb(|lb| lb.subsets = Some(Box::new(subsets)));
    endpoints.into_iter().fold(builder, |builder, endpoint| builder.hosts([endpoint])).build()
}

/// A worker's choices.
struct Worker {
    cluster: Arc<Cluster>,
    balancer: Balancer,
    rng: Rng,
}

impl Worker {
    fn new(cluster: &Arc<Cluster>) -> Self {
        Worker { cluster: Arc::clone(cluster), balancer: Balancer::new(cluster), rng: Rng::seeded(3) }
    }

    /// The port of the host for a request.
    fn port(&mut self, asked: &Value) -> Option<u16> {
        let asked = Labels::of(&labels(asked.clone())).unwrap_or_default();
        let criteria: Vec<Criterion<'_>> = asked.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let choice = Choice { criteria: &criteria, ..Choice::default() };
        let host = self.balancer.choose(&self.cluster, &mut self.rng, &choice)?;
        host.address_text.rsplit(':').next()?.parse().ok()
    }
}

#[test]
fn a_request_gets_only_hosts_that_have_what_it_asks_for() {
    let subsets = Subsets { selectors: vec![selector(&["v"], None)], ..Subsets::default() };
    let hosts =
        vec![labelled(1, json!({"v": 1})), labelled(2, json!({"v": 2})), labelled(3, json!({"v": 2}))];
    let cluster = cluster(subsets, hosts);
    let mut worker = Worker::new(&cluster);
    let mut counts = BTreeMap::new();
    for _ in 0..100 {
        *counts.entry(worker.port(&json!({"v": 2}))).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([(Some(2), 50), (Some(3), 50)]));
    assert_eq!(worker.port(&json!({"v": 3})), None);
    assert_eq!(worker.port(&json!({"v": 1, "w": 1})), None);
    assert_eq!(cluster.membership.lb_subsets_selected().value(), 100);
}

#[test]
fn turns_within_a_subset_go_on_when_other_hosts_change() {
    let subsets = Subsets { selectors: vec![selector(&["v"], None)], ..Subsets::default() };
    let hosts = |last| [labelled(1, json!({"v": 1})), labelled(2, json!({"v": 1})), last];
    let cluster = cluster(subsets, hosts(labelled(3, json!({"v": 2}))).into());
    let mut worker = Worker::new(&cluster);
    let mut ports = Vec::new();
    for round in 4..10 {
        ports.push(worker.port(&json!({"v": 1})));
        cluster.update_endpoints(&ClusterBuilder::assignment(hosts(labelled(round, json!({"v": round})))));
    }
    assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
    let stats = &cluster.membership;
    assert_eq!(stats.lb_subsets_created().value() - stats.lb_subsets_removed().value(), 2);
    assert_eq!(stats.lb_subsets_created().value(), 8, "the first two, and one a round");
}

#[test]
fn lists_that_combine_to_more_than_can_be_held_end_in_time() {
    let keys = ["a", "b", "c", "d"];
    let list: Vec<u32> = (0..200).collect();
    let fields: serde_json::Map<String, Value> =
        keys.map(|key| (key.to_owned(), json!(list))).into_iter().collect();
    let subsets = Subsets { list_as_any: true, selectors: vec![selector(&keys, None)], ..Subsets::default() };
    let cluster = cluster(subsets, vec![labelled(1, Value::Object(fields))]);
    assert_eq!(cluster.membership.lb_subsets_active().value(), 1_000_000);
}

#[test]
fn a_subset_of_one_host_uses_it_whatever_its_health() {
    let mut single = selector(&["v"], None);
    single.single_host_per_subset = true;
    let subsets = Subsets { selectors: vec![single], ..Subsets::default() };
    let sick = labelled(1, json!({"v": 1})).health(HealthStatus::Unhealthy);
    let cluster = cluster(subsets, vec![sick, labelled(2, json!({"v": 1}))]);
    let mut worker = Worker::new(&cluster);
    assert!((0..10).all(|_| worker.port(&json!({"v": 1})) == Some(1)));
}

/// What a request gets, from the text of the API alone: the ports of hosts that it may go to, all healthy.
fn model(subsets: &Subsets, hosts: &[(u16, Value)], asked: &Value) -> Vec<u16> {
    let has = |fields: &Value, wanted: &Value| {
        let wanted = wanted.as_object().into_iter().flatten();
        wanted.into_iter().all(|(name, value)| fields.get(name) == Some(value))
    };
    let ports = |wanted: &Value| -> Vec<u16> {
        hosts.iter().filter(|(_, fields)| has(fields, wanted)).map(|(port, _)| *port).collect()
    };
    let mut asked = asked.clone();
    loop {
        let names: Vec<&String> = asked.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let selector =
            subsets.selectors.iter().find(|selector| selector.keys.iter().eq(names.iter().copied()));
        let found = selector.map(|_| ports(&asked)).unwrap_or_default();
        if !found.is_empty() {
            return found;
        }
        match selector.and_then(|selector| selector.fallback.as_ref()) {
            None => break,
            Some(SelectorFallback::None) => return Vec::new(),
            Some(SelectorFallback::Any) => return ports(&json!({})),
            Some(SelectorFallback::Default) => return ports(&json!({"a": 0})),
            Some(SelectorFallback::Keys(keys)) => {
                let kept = keys.iter().map(|key| (key.clone(), asked[key].clone()));
                asked = Value::Object(kept.collect());
            }
        }
    }
    match subsets.fallback_policy {
        SubsetFallback::None => Vec::new(),
        SubsetFallback::Any => ports(&json!({})),
        SubsetFallback::Default => ports(&json!({"a": 0})),
    }
}

#[test]
fn whatever_is_configured_and_asked_for_the_host_is_one_that_the_api_promises() {
    let mut rng = Rng::seeded(17);
    let object = |rng: &mut Rng| {
        let mut fields = serde_json::Map::new();
        for name in ["a", "b", "c"] {
            if rng.below(3) > 0 {
                fields.insert(name.to_owned(), json!(rng.below(3)));
            }
        }
        Value::Object(fields)
    };
    for _ in 0..300 {
        let fallback = |rng: &mut Rng, fewer: &[&str]| match rng.below(5) {
            0 => Some(SelectorFallback::None),
            1 => Some(SelectorFallback::Any),
            2 => Some(SelectorFallback::Default),
            3 if !fewer.is_empty() => {
                Some(SelectorFallback::Keys(fewer.iter().map(|key| (*key).to_owned()).collect()))
            }
            _ => None,
        };
        // Shorter selectors first: a longer one would hide what they fall back to.
        let lists: [(&[&str], &[&str]); 4] =
            [(&["a"], &[]), (&["b"], &[]), (&["a", "b"], &["b"]), (&["a", "b", "c"], &["a", "b"])];
        let selectors: Vec<_> = lists
            .into_iter()
            .filter_map(|(keys, fewer)| {
                let fallback = fallback(&mut rng, fewer);
                (rng.below(4) > 0).then(|| selector(keys, fallback))
            })
            .collect();
        let subsets = Subsets {
            selectors,
            fallback_policy: [SubsetFallback::None, SubsetFallback::Any, SubsetFallback::Default]
                [rng.below(3) as usize],
            default_subset: Labels::of(&labels(json!({"a": 0}))).unwrap_or_default(),
            ..Subsets::default()
        };
        let hosts: Vec<(u16, Value)> =
            (1..=rng.below(8) as u16).map(|port| (port, object(&mut rng))).collect();
        let endpoints = hosts.iter().map(|(port, fields)| labelled(*port, fields.clone())).collect();
        let mut worker = Worker::new(&cluster(subsets.clone(), endpoints));
        for _ in 0..20 {
            let asked = object(&mut rng);
            let allowed = model(&subsets, &hosts, &asked);
            let port = worker.port(&asked);
            let fits = port.map_or(allowed.is_empty(), |port| allowed.contains(&port));
            assert!(fits, "{port:?} for {asked} with {subsets:?} and {hosts:?}");
        }
    }
}

#[test]
fn in_a_subset_weights_are_what_its_hosts_report() {
    let subsets = Subsets {
        selectors: vec![selector(&["v"], None)],
        fallback_policy: SubsetFallback::Any,
        ..Subsets::default()
    };
    let builder = ClusterBuilder::new("c").lb(|lb| {
        lb.subsets = Some(Box::new(subsets));
        lb.client_side = Some(Box::new(client_side_weights()));
    });
    let hosts = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 4)];
    let hosts = hosts.map(|(port, subset)| labelled(port, json!({"v": subset})));
    let cluster = hosts.into_iter().fold(builder, |builder, host| builder.hosts([host])).build();
    let mut worker = Worker::new(&cluster);
    let mut shares = |asked: Value| {
        let mut counts = BTreeMap::new();
        (0..500).for_each(|_| *counts.entry(worker.port(&asked)).or_insert(0) += 1);
        counts
    };
    assert_eq!(shares(json!({"v": 1})), BTreeMap::from([(Some(1), 250), (Some(2), 250)]));
    let all: Vec<Arc<Host>> = cluster.hosts().iter().cloned().collect();
    for (host, rate) in all.iter().zip([100.0, 400.0, 7.0]) {
        let report = Report { rps_fractional: rate, cpu_utilization: 1.0, ..Report::default() };
        cluster.note_report(host, &report);
    }
    cluster.reweigh();
    let near = |share: Option<&i32>, expected: i32| share.is_some_and(|share| (share - expected).abs() <= 1);
    let first = shares(json!({"v": 1}));
    assert!(near(first.get(&Some(1)), 100) && near(first.get(&Some(2)), 400), "{first:?}");
    let second = shares(json!({"v": 2}));
    assert!(near(second.get(&Some(3)), 250) && near(second.get(&Some(4)), 250), "{second:?}");
    let weights: Vec<u32> = all.iter().map(|host| host.weight()).collect();
    assert_eq!(weights, [100, 400, 7, 7, 100, 100], "the median of the subset, or else of all");
    let version = cluster.hosts_version();
    cluster.reweigh();
    assert_eq!(cluster.hosts_version(), version, "nothing changed");
}
