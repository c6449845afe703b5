use std::collections::BTreeMap;

use super::*;
use crate::config;
use crate::config::cluster::{LbPolicy, LeastRequest};
use crate::config::endpoint::HealthStatus;
use crate::config::runtime::{RuntimeDouble, Values};
use crate::upstream::testing::{ClusterBuilder, endpoint};

/// Counts of choices by port.
fn choices(cluster: &Arc<Cluster>, count: usize) -> BTreeMap<u16, usize> {
    let (mut balancer, mut rng) = (Balancer::new(cluster), Rng::seeded(42));
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        if let Some(host) = balancer.choose(cluster, &mut rng, &Choice::default()) {
            *counts.entry(port(&host)).or_default() += 1;
        }
    }
    counts
}

fn port(host: &Host) -> u16 {
    match host.address {
        config::address::Address::Ip(address) => address.port(),
        _ => 0,
    }
}

#[test]
fn round_robin_takes_turns() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2), endpoint(3)]).build();
    assert_eq!(choices(&cluster, 300), BTreeMap::from([(1, 100), (2, 100), (3, 100)]));
}

#[test]
fn round_robin_goes_on_after_a_change_of_hosts() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2)]).build();
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(1));
    let mut next = || balancer.choose(&cluster, &mut rng, &Choice::default()).map(|host| port(&host));
    let first = next();
    cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(1).weight(1), endpoint(2).named("b")]));
    assert_ne!(next(), first);
}

#[test]
fn round_robin_follows_weights() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1).weight(1), endpoint(2).weight(3)]).build();
    assert_eq!(choices(&cluster, 400), BTreeMap::from([(1, 100), (2, 300)]));
}

#[test]
fn least_request_avoids_busy_hosts() {
    let cluster = ClusterBuilder::new("c")
        .policy(LbPolicy::LeastRequest(LeastRequest::default()))
        .hosts([endpoint(1), endpoint(2)])
        .build();
    let busy = Arc::clone(&cluster.hosts().priorities[0].all[0]);
    let _requests: Vec<_> = (0..5).map(|_| busy.begin_request()).collect();
    let counts = choices(&cluster, 10_000);
    // The busy host is taken only when both choices fall on it.
    assert!((2_300..2_700).contains(&counts[&1]), "{counts:?}");
}

#[test]
fn least_request_scales_weights_by_active_requests() {
    let cluster = ClusterBuilder::new("c")
        .policy(LbPolicy::LeastRequest(LeastRequest::default()))
        .hosts([endpoint(1).weight(2), endpoint(2).weight(1)])
        .build();
    assert_eq!(choices(&cluster, 300), BTreeMap::from([(1, 200), (2, 100)]));
    let busy = Arc::clone(&cluster.hosts().priorities[0].all[0]);
    let _requests: Vec<_> = (0..3).map(|_| busy.begin_request()).collect();
    assert_eq!(choices(&cluster, 300), BTreeMap::from([(1, 100), (2, 200)]), "2 / (3 + 1) against 1");
}

#[test]
fn random_spreads_evenly_whatever_the_weights() {
    let cluster =
        ClusterBuilder::new("c").policy(LbPolicy::Random).hosts([endpoint(1).weight(9), endpoint(2)]).build();
    let counts = choices(&cluster, 10_000);
    assert!((4_800..5_200).contains(&counts[&1]), "{counts:?}");
}

#[test]
fn unhealthy_hosts_are_left_out_above_the_panic_threshold() {
    let unhealthy = endpoint(3).health(HealthStatus::Unhealthy);
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2), unhealthy]).build();
    assert_eq!(choices(&cluster, 100), BTreeMap::from([(1, 50), (2, 50)]));
}

#[test]
fn all_hosts_are_used_in_a_panic() {
    let dead = |port| endpoint(port).health(HealthStatus::Draining);
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), dead(2), dead(3)]).build();
    assert_eq!(choices(&cluster, 300), BTreeMap::from([(1, 100), (2, 100), (3, 100)]));
}

#[test]
fn nothing_is_chosen_in_a_panic_that_fails_traffic() {
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.fail_traffic_on_panic = true)
        .hosts([endpoint(1).health(HealthStatus::Unhealthy)])
        .build();
    assert!(choices(&cluster, 10).is_empty());
}

#[test]
fn nothing_is_chosen_when_panic_is_off_and_no_host_is_healthy() {
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.healthy_panic_threshold = 0.0)
        .hosts([endpoint(1).health(HealthStatus::Unhealthy)])
        .build();
    assert!(choices(&cluster, 10).is_empty());
}

#[test]
fn degraded_hosts_serve_when_no_other_does() {
    let degraded = endpoint(2).health(HealthStatus::Degraded);
    let dead = endpoint(1).health(HealthStatus::Unhealthy);
    let cluster = ClusterBuilder::new("c").hosts([dead, degraded]).build();
    assert_eq!(choices(&cluster, 10), BTreeMap::from([(2, 10)]));
}

#[test]
fn load_spills_to_the_next_priority() {
    let mut builder = ClusterBuilder::new("c");
    let sick = |port| endpoint(port).health(HealthStatus::Unhealthy);
    builder = builder.group(0, "", None, [endpoint(1), endpoint(2), sick(3), sick(4)]);
    let cluster = builder.group(1, "", None, [endpoint(5)]).build();
    let counts = choices(&cluster, 10_000);
    assert!((2_800..3_200).contains(&counts[&5]), "70 % of {counts:?} stay");
}

#[test]
fn localities_are_chosen_by_weight() {
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.locality_weighted = true)
        .group(0, "a", Some(1), [endpoint(1)])
        .group(0, "b", Some(2), [endpoint(2), endpoint(3)])
        .build();
    assert_eq!(choices(&cluster, 600), BTreeMap::from([(1, 200), (2, 200), (3, 200)]));
}

#[test]
fn a_locality_with_half_its_hosts_has_less_weight() {
    let dead = |port| endpoint(port).health(HealthStatus::Unhealthy);
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.locality_weighted = true)
        .group(0, "a", Some(10), [endpoint(1), dead(2)])
        .group(0, "b", Some(7), [endpoint(3), endpoint(4)])
        .build();
    // 10 × 1.4 × 0.5 = 7.
    assert_eq!(choices(&cluster, 400), BTreeMap::from([(1, 200), (3, 100), (4, 100)]));
}

#[test]
fn localities_without_weight_do_not_count() {
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.locality_weighted = true)
        .group(0, "a", None, [endpoint(1)])
        .group(0, "b", None, [endpoint(2)])
        .build();
    assert_eq!(choices(&cluster, 20), BTreeMap::from([(1, 10), (2, 10)]));
}

#[test]
fn another_host_is_chosen_than_those_tried() {
    let cluster = ClusterBuilder::new("c").policy(LbPolicy::Random).hosts([endpoint(1), endpoint(2)]).build();
    let tried = [cluster.hosts().priorities[0].all[0].id];
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(3));
    let avoid = Avoid { predicates: &[HostPredicate::PreviousHosts], tried: &tried, reselections: 30 };
    let choice = Choice { avoid: Some(avoid), ..Choice::default() };
    assert!(
        (0..100).all(|_| balancer.choose(&cluster, &mut rng, &choice).is_some_and(|host| port(&host) == 2))
    );
}

#[test]
fn nothing_is_chosen_from_an_empty_cluster() {
    assert!(choices(&ClusterBuilder::new("c").build(), 3).is_empty());
}

#[test]
fn a_full_scan_finds_the_least_busy_of_all_hosts() {
    let policy = LeastRequest { full_scan: true, ..LeastRequest::default() };
    let cluster = ClusterBuilder::new("c")
        .policy(LbPolicy::LeastRequest(policy))
        .hosts([endpoint(1), endpoint(2), endpoint(3), endpoint(4)])
        .build();
    let hosts = Arc::clone(&cluster.hosts().priorities[0].all);
    let _requests = [&hosts[0], &hosts[2]].map(Host::begin_request);
    let counts = choices(&cluster, 1_000);
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [2, 4], "each that is not busy");
    assert!(counts[&2].abs_diff(500) < 60, "{counts:?}");
}

#[test]
fn the_runtime_changes_how_much_active_requests_count() {
    let policy = LeastRequest {
        active_request_bias: RuntimeDouble { default_value: 1.0, runtime_key: "bias".to_owned() },
        ..LeastRequest::default()
    };
    let cluster = ClusterBuilder::new("c")
        .policy(LbPolicy::LeastRequest(policy))
        .hosts([endpoint(1).weight(2), endpoint(2).weight(1)])
        .build();
    let busy = Arc::clone(&cluster.hosts().priorities[0].all[0]);
    let _requests: Vec<_> = (0..3).map(|_| busy.begin_request()).collect();
    let share = |bias: f64| {
        let bias = serde_json::json!(bias);
        let runtime = Values::from_iter([("bias", &bias)]);
        let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(4));
        let choice = Choice { runtime: Some(&runtime), ..Choice::default() };
        let hosts = (0..300).filter_map(|_| balancer.choose(&cluster, &mut rng, &choice));
        hosts.filter(|host| host.id == busy.id).count()
    };
    assert_eq!([share(0.0), share(1.0), share(-1.0)], [200, 100, 100], "2 : 1, 2/4 : 1, and as if it were 1");
}

#[test]
fn a_request_goes_to_the_hosts_that_it_names_and_then_to_those_of_the_policy() {
    let named = crate::config::cluster::OverrideHost { sources: Vec::new(), selected_host_key: None };
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.override_host = Some(Box::new(named)))
        .hosts([endpoint(1), endpoint(2).health(HealthStatus::Unhealthy), endpoint(3), endpoint(4)])
        .build();
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(1));
    let mut port_of = |attempts| {
        let named = ["127.0.0.1:9", "127.0.0.1:2", "127.0.0.1:4"];
        let choice = Choice { named: &named, attempts, ..Choice::default() };
        balancer.choose(&cluster, &mut rng, &choice).map(|host| port(&host))
    };
    assert_eq!([port_of(0), port_of(1)], [Some(2), Some(4)], "one is not there, another not healthy");
    assert!((2..20).all(|attempts| port_of(attempts) != Some(2)));
}

#[test]
fn a_retry_that_sees_new_hosts_first_balances_by_the_runtime_as_well() {
    let policy = LeastRequest {
        active_request_bias: RuntimeDouble { default_value: 1.0, runtime_key: "bias".to_owned() },
        ..LeastRequest::default()
    };
    let cluster = ClusterBuilder::new("c")
        .policy(LbPolicy::LeastRequest(policy))
        .hosts([endpoint(1).weight(2), endpoint(2).weight(1)])
        .build();
    let busy = Arc::clone(&cluster.hosts().priorities[0].all[0]);
    let _requests: Vec<_> = (0..3).map(|_| busy.begin_request()).collect();
    let bias = serde_json::json!(0.0);
    let runtime = Values::from_iter([("bias", &bias)]);
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(4));
    assert!(balancer.load_without(&cluster, &mut rng, &[0], Some(&runtime)).is_none());
    let choice = Choice { runtime: Some(&runtime), ..Choice::default() };
    let hosts = (0..300).filter_map(|_| balancer.choose(&cluster, &mut rng, &choice));
    assert_eq!(hosts.filter(|host| host.id == busy.id).count(), 200);
}
