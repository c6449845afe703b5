use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::base::random::Rng;
use crate::config::cluster::LoadAwareLocality;
use crate::config::endpoint::HealthStatus;
use crate::observability::stats::Registry;
use crate::upstream::lb::{Balancer, Choice};
use crate::upstream::orca::Report;
use crate::upstream::testing::{ClusterBuilder, EndpointBuilder, endpoint};
use crate::upstream::{Cluster, Host};

/// Averages are what was reported last, and nobody is asked for the sake of knowing.
fn settings() -> LoadAwareLocality {
    LoadAwareLocality {
        weight_update_period: std::time::Duration::from_secs(1),
        utilization_metrics: Box::default(),
        utilization_variance_threshold: 0.1,
        smoothing: 1.0,
        remote_probe_fraction: 0.0,
        weight_expiration_period: None,
    }
}

fn region(name: &str) -> Locality {
    Locality { region: name.to_owned(), ..Locality::default() }
}

/// A cluster with these regions, each with its priority, and this proxy in one of them.
fn cluster<const N: usize>(
    config: LoadAwareLocality,
    own: Option<&str>,
    regions: [(&str, u32, Vec<EndpointBuilder>); N],
) -> Arc<Cluster> {
    let mut builder = ClusterBuilder::new("up").lb(|lb| lb.load_aware = Some(Box::new(config)));
    for (name, priority, endpoints) in regions {
        builder = builder.group(priority, name, None, endpoints);
    }
    let own = own.map(|own| Arc::new(region(own)));
    let cluster = Cluster::new(builder.config(), 1, &Registry::new(0)).near(None, own.as_ref());
    crate::upstream::discovery::static_::populate(&cluster);
    Arc::new(cluster)
}

/// The hosts of a region report that they are so busy.
fn report(cluster: &Cluster, name: &str, utilization: f64) {
    let report = Report { cpu_utilization: utilization, ..Report::default() };
    let hosts = cluster.hosts();
    let own = hosts.iter().filter(|host| host.locality.region == name);
    own.for_each(|host| cluster.note_report(host, &report));
}

/// How many of a thousand requests each region takes.
fn shares(cluster: &Arc<Cluster>) -> HashMap<String, u32> {
    let (mut balancer, mut rng) = (Balancer::new(cluster), Rng::seeded(7));
    let mut counts = HashMap::new();
    for _ in 0..20_000 {
        if let Some(host) = balancer.choose(cluster, &mut rng, &Choice::default()) {
            *counts.entry(host.locality.region.clone()).or_default() += 1;
        }
    }
    counts.values_mut().for_each(|count| *count /= 20);
    counts
}

#[track_caller]
fn assert_shares<const N: usize>(cluster: &Arc<Cluster>, expected: [(&str, u32); N]) {
    let shares = shares(cluster);
    for (name, share) in expected {
        let own = shares.get(name).copied().unwrap_or(0);
        // Four standard deviations of 20,000 trials are 14 of a thousand at most.
        assert!(own.abs_diff(share) <= 15, "{name} takes {own} and not {share} of a thousand: {shares:?}");
    }
}

/// So many hosts from this port on.
fn hosts(first: u16, count: u16) -> Vec<EndpointBuilder> {
    (first..first + count).map(endpoint).collect()
}

#[test]
fn localities_take_requests_as_their_hosts_have_room() {
    let cluster = cluster(settings(), None, [("a", 0, hosts(1, 2)), ("b", 0, hosts(10, 1))]);
    assert_shares(&cluster, [("a", 667), ("b", 333)]);
    let mut averages = Averages::default();
    report(&cluster, "a", 0.5);
    report(&cluster, "b", 0.9);
    cluster.redivide(&mut averages);
    // Two hosts with half of their room, one with a tenth.
    assert_shares(&cluster, [("a", 909), ("b", 91)]);
    report(&cluster, "a", 3.0);
    report(&cluster, "b", 1.0);
    cluster.redivide(&mut averages);
    assert_shares(&cluster, [("a", 667), ("b", 333)]);
}

#[test]
fn the_local_locality_takes_all_until_it_is_worse_off_than_the_others() {
    let zones = || [("a", 0, hosts(1, 1)), ("b", 0, hosts(10, 2)), ("c", 0, hosts(20, 1))];
    let cluster = cluster(settings(), Some("b"), zones());
    assert_shares(&cluster, [("b", 1000)]);
    let mut averages = Averages::default();
    // The others are at 0.4 on average; 0.5 is no more than a tenth above that.
    for (name, utilization) in [("a", 0.2), ("b", 0.5), ("c", 0.6)] {
        report(&cluster, name, utilization);
    }
    cluster.redivide(&mut averages);
    assert_shares(&cluster, [("b", 1000)]);
    report(&cluster, "b", 0.6);
    cluster.redivide(&mut averages);
    // 0.8, twice 0.4, and 0.4 of room.
    assert_shares(&cluster, [("a", 400), ("b", 400), ("c", 200)]);
}

#[test]
fn the_others_take_a_little_so_that_it_is_known_how_they_are() {
    let config = LoadAwareLocality { remote_probe_fraction: 0.12, ..settings() };
    let zones = [("a", 0, hosts(1, 4)), ("b", 0, hosts(10, 1)), ("c", 0, hosts(20, 2))];
    let cluster = cluster(config, Some("a"), zones);
    assert_shares(&cluster, [("a", 880), ("b", 40), ("c", 80)]);
}

#[test]
fn averages_follow_what_is_reported_and_outlive_it() {
    let config = LoadAwareLocality { smoothing: 0.5, ..settings() };
    let cluster = cluster(config, None, [("a", 0, hosts(1, 1)), ("b", 0, hosts(10, 1))]);
    let mut averages = Averages::default();
    report(&cluster, "a", 1.0);
    report(&cluster, "b", 0.5);
    cluster.redivide(&mut averages);
    assert_shares(&cluster, [("a", 0), ("b", 1000)]);
    report(&cluster, "a", 0.5);
    cluster.redivide(&mut averages);
    // 0.75 and 0.5.
    assert_shares(&cluster, [("a", 333), ("b", 667)]);
}

#[test]
fn where_reports_are_too_old_hosts_count_as_if_they_had_no_load() {
    let config = settings();
    let cluster = cluster(config.clone(), None, [("a", 0, hosts(1, 1)), ("b", 0, hosts(10, 1))]);
    let mut averages = Averages::default();
    let utilization = |host: &Host| (host.locality.region == "a").then_some(0.9);
    averages.divide(&cluster.hosts(), &config, utilization);
    let (_, fresh) = averages.divide(&cluster.hosts(), &config, utilization);
    assert_eq!(fresh.stale_localities, 0, "what never reported is not stale");
    let (shares, stale) = averages.divide(&cluster.hosts(), &config, |_| None);
    let weights: Vec<f64> = shares.priorities[0][0].weights.iter().map(|(_, weight)| *weight).collect();
    assert_eq!((weights, stale.stale_localities), (vec![1.0, 1.0], 1));
}

#[test]
fn degraded_hosts_have_shares_of_their_own_and_in_a_panic_all_have() {
    let degraded = |port| endpoint(port).health(HealthStatus::Degraded);
    let unhealthy = |port| endpoint(port).health(HealthStatus::Unhealthy);
    let zones = [("a", 0, vec![degraded(1), unhealthy(2)]), ("b", 0, vec![degraded(10), degraded(11)])];
    let cluster = cluster(settings(), None, zones);
    let mut averages = Averages::default();
    report(&cluster, "a", 0.5);
    report(&cluster, "b", 0.5);
    cluster.redivide(&mut averages);
    assert_shares(&cluster, [("a", 333), ("b", 667)]);
    let hosts: Vec<Arc<Host>> = cluster.hosts().iter().cloned().collect();
    let failed = crate::upstream::host::health_flag::FAILED_ACTIVE_HC;
    for host in &hosts {
        host.change_health_flags(failed, 0);
    }
    cluster.refresh_health();
    report(&cluster, "a", 0.9);
    cluster.redivide(&mut averages);
    // Twice 0.1, and twice 0.5.
    assert_shares(&cluster, [("a", 167), ("b", 833)]);
}

#[test]
fn hosts_that_come_count_once_shares_are_made_anew_and_those_that_are_left_at_once() {
    let cluster = cluster(settings(), None, [("a", 0, hosts(1, 1))]);
    let groups = |names: &[(&str, u16)]| {
        let mut builder = ClusterBuilder::new("up");
        for (name, port) in names {
            builder = builder.group(0, name, None, [endpoint(*port)]);
        }
        builder.assignment
    };
    cluster.update_endpoints(&groups(&[("a", 1), ("b", 10)]));
    assert_shares(&cluster, [("a", 1000)]);
    let mut averages = Averages::default();
    cluster.redivide(&mut averages);
    assert_shares(&cluster, [("a", 500), ("b", 500)]);
    cluster.update_endpoints(&groups(&[("b", 10)]));
    assert_shares(&cluster, [("b", 1000)]);
}

#[test]
fn priorities_are_chosen_by_health_and_localities_within_them_by_load() {
    let down = endpoint(1).health(HealthStatus::Unhealthy);
    let zones = [("a", 0, vec![down]), ("b", 1, hosts(10, 1)), ("c", 1, hosts(20, 1))];
    let cluster = cluster(settings(), None, zones);
    let mut averages = Averages::default();
    report(&cluster, "b", 0.2);
    report(&cluster, "c", 0.8);
    cluster.redivide(&mut averages);
    assert_shares(&cluster, [("b", 800), ("c", 200)]);
}

#[test]
fn whatever_is_reported_a_host_is_found_where_there_is_one() {
    let mut rng = Rng::seeded(3);
    for _ in 0..200 {
        let config = LoadAwareLocality {
            smoothing: rng.fraction(),
            remote_probe_fraction: rng.fraction(),
            utilization_variance_threshold: rng.fraction(),
            ..settings()
        };
        let own = [None, Some("a"), Some("z")][rng.below(3) as usize];
        let zones = [("a", 0, hosts(1, 2)), ("b", 0, hosts(10, 1)), ("c", 1, hosts(20, 1))];
        let cluster = cluster(config.clone(), own, zones);
        let mut averages = Averages::default();
        let (mut balancer, mut choices) = (Balancer::new(&cluster), Rng::seeded(rng.next_u64()));
        for _ in 0..20 {
            let all: Vec<Arc<Host>> = cluster.hosts().iter().cloned().collect();
            for host in &all {
                let flag = crate::upstream::host::health_flag::FAILED_OUTLIER_CHECK;
                let (set, clear) = if rng.below(3) == 0 { (flag, 0) } else { (0, flag) };
                host.change_health_flags(set, clear);
                let report = Report { cpu_utilization: rng.fraction() * 1.5, ..Report::default() };
                cluster.note_report(host, &report);
            }
            cluster.refresh_health();
            let (shares, _) = averages.divide(&cluster.hosts(), &config, |host| {
                host.ledger.as_ref()?.utilization(std::time::Duration::ZERO)
            });
            for (_, weight) in shares.priorities.iter().flatten().flat_map(|division| &division.weights) {
                assert!(weight.is_finite() && *weight >= 0.0, "{shares:?}");
            }
            cluster.redivide(&mut averages);
            for _ in 0..20 {
                assert!(balancer.choose(&cluster, &mut choices, &Choice::default()).is_some());
            }
        }
    }
}
