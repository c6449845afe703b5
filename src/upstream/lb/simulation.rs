//! Thousands of requests to random clusters: hosts get the shares that weights, health and localities promise.

use std::collections::HashMap;

use super::hashing::tests::{maglev, ring};
use super::*;
use crate::config::cluster::{LbPolicy, LeastRequest, SlowStart};
use crate::config::endpoint::HealthStatus;
use crate::config::runtime::RuntimeDouble;
use crate::upstream::orca::Report;
use crate::upstream::testing::{ClusterBuilder, EndpointBuilder, client_side_weights, endpoint};

/// Requests of one simulation.
const REQUESTS: u32 = 20_000;

/// Shares of hosts, by their addresses.
type Shares = HashMap<Arc<str>, f64>;

fn shares(cluster: &Arc<Cluster>, seed: u64, mut choice: impl FnMut(u64) -> Choice<'static>) -> Shares {
    let (mut balancer, mut rng) = (Balancer::new(cluster), Rng::seeded(seed));
    let mut shares = Shares::new();
    for number in 0..u64::from(REQUESTS) {
        if let Some(host) = balancer.choose(cluster, &mut rng, &choice(number)) {
            *shares.entry(Arc::clone(&host.address_text)).or_default() += 1.0 / f64::from(REQUESTS);
        }
    }
    shares
}

/// Five standard deviations of a share that is found by chance, and a little for rounding.
fn bound(share: f64) -> f64 {
    5.0 * (share * (1.0 - share) / f64::from(REQUESTS)).sqrt() + 0.002
}

#[track_caller]
fn assert_close(found: &Shares, expected: &Shares, about: &str) {
    let addresses = found.keys().chain(expected.keys());
    for address in addresses {
        let share = |shares: &Shares| shares.get(address).copied().unwrap_or(0.0);
        let (found, expected) = (share(found), share(expected));
        assert!((found - expected).abs() <= bound(expected), "{address}: {found}, not {expected}: {about}");
    }
}

/// A host with a random weight, of a random health.
fn random_host(port: u16, rng: &mut Rng) -> EndpointBuilder {
    let healths =
        [HealthStatus::Unknown, HealthStatus::Unknown, HealthStatus::Degraded, HealthStatus::Unhealthy];
    endpoint(port).weight(rng.below(20) as u32 + 1).health(healths[rng.below(4) as usize])
}

/// What the hosts of a cluster are promised, whose localities have weights or do not count.
fn promised(cluster: &Cluster, by_locality: bool) -> Shares {
    let hosts = cluster.hosts();
    let load = PriorityLoad::new(&hosts.health_counts(), hosts.overprovisioning_factor, 50.0);
    let mut shares = Shares::new();
    for (priority, level) in hosts.priorities.iter().enumerate() {
        let percent = |share: &[u32]| f64::from(share[priority]) / 100.0;
        let (healthy, degraded) = (percent(&load.healthy), percent(&load.degraded));
        if load.panic[priority] {
            divide(&mut shares, &level.all, healthy + degraded);
            continue;
        }
        for (share, of) in [(healthy, 0), (degraded, 1)] {
            let list = |all: [&crate::upstream::host_set::Hosts; 2]| Arc::clone(all[of]);
            let localities: Vec<_> = level
                .localities
                .iter()
                .map(|locality| {
                    let own = list([&locality.healthy, &locality.degraded]);
                    let available = own.len() as f64 / locality.all.len().max(1) as f64;
                    let factor = f64::from(hosts.overprovisioning_factor) / 100.0;
                    (own, f64::from(locality.weight) * (available * factor).min(1.0))
                })
                .collect();
            let sum: f64 = localities.iter().map(|(_, weight)| weight).sum();
            match by_locality && sum > 0.0 {
                true => {
                    localities.iter().for_each(|(own, weight)| divide(&mut shares, own, share * weight / sum))
                }
                false => divide(&mut shares, &list([&level.healthy, &level.degraded]), share),
            }
        }
    }
    shares
}

/// A share among hosts by their weights.
fn divide(shares: &mut Shares, hosts: &[Arc<Host>], share: f64) {
    let sum: f64 = hosts.iter().map(|host| f64::from(host.weight())).sum();
    for host in hosts {
        *shares.entry(Arc::clone(&host.address_text)).or_default() += share * f64::from(host.weight()) / sum;
    }
}

#[test]
fn hosts_get_what_priorities_localities_health_and_weights_promise() {
    for seed in 0..60 {
        let mut rng = Rng::seeded(seed);
        let by_locality = seed % 2 == 0;
        let mut builder = ClusterBuilder::new("c").lb(|lb| lb.locality_weighted = by_locality);
        let mut port = 1;
        for priority in 0..=rng.below(2) as u32 {
            for region in ["a", "b", "c"] {
                let count = rng.below(5) as u16;
                let hosts: Vec<_> = (port..port + count).map(|port| random_host(port, &mut rng)).collect();
                port += count;
                builder = builder.group(priority, region, Some(rng.below(10) as u32 + 1), hosts);
            }
        }
        let cluster = builder.build();
        if cluster.hosts().is_empty() {
            continue;
        }
        let found = shares(&cluster, seed, |_| Choice::default());
        assert_close(&found, &promised(&cluster, by_locality), &format!("seed {seed}"));
    }
}

#[test]
fn each_policy_gives_hosts_the_shares_that_it_promises() {
    let least = |full_scan| LbPolicy::LeastRequest(LeastRequest { full_scan, ..LeastRequest::default() });
    let policies =
        [(LbPolicy::RoundRobin, true), (least(false), true), (least(true), true), (LbPolicy::Random, false)];
    for seed in 0..20 {
        let mut rng = Rng::seeded(seed);
        let weights: Vec<u32> = (0..rng.below(8) + 2).map(|_| rng.below(20) as u32 + 1).collect();
        for (policy, by_weight) in &policies {
            let hosts = (1..).zip(&weights).map(|(port, weight)| endpoint(port).weight(*weight));
            let cluster = cluster_of(policy, hosts);
            let share = |host: &Arc<Host>| match by_weight {
                true => f64::from(host.weight()) / f64::from(weights.iter().sum::<u32>()),
                false => 1.0 / weights.len() as f64,
            };
            let expected =
                cluster.hosts().iter().map(|host| (Arc::clone(&host.address_text), share(host))).collect();
            let found = shares(&cluster, seed, |_| Choice::default());
            assert_close(&found, &expected, &format!("{policy:?} of {weights:?}, seed {seed}"));
        }
    }
}

#[test]
fn a_busy_host_is_chosen_where_it_is_all_that_was_drawn() {
    for choice_count in 2..=4 {
        let policy = LbPolicy::LeastRequest(LeastRequest { choice_count, ..LeastRequest::default() });
        let cluster = cluster_of(&policy, (1..=3).map(endpoint));
        let hosts: Vec<Arc<Host>> = cluster.hosts().iter().cloned().collect();
        let _request = hosts[0].begin_request();
        let own = f64::from(3_u32.pow(choice_count)).recip();
        let expected = [own, (1.0 - own) / 2.0, (1.0 - own) / 2.0];
        let expected = hosts.iter().map(|host| Arc::clone(&host.address_text)).zip(expected).collect();
        let found = shares(&cluster, u64::from(choice_count), |_| Choice::default());
        assert_close(&found, &expected, &format!("{choice_count} of three"));
    }
}

#[test]
fn localities_share_by_their_weights_and_their_hosts_by_what_they_report() {
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| {
            lb.locality_weighted = true;
            lb.client_side = Some(Box::new(client_side_weights()));
        })
        .group(0, "a", Some(1), [endpoint(1), endpoint(2)])
        .group(0, "b", Some(3), [endpoint(3), endpoint(4)])
        .build();
    let hosts: Vec<Arc<Host>> = cluster.hosts().iter().cloned().collect();
    for (host, rate) in hosts.iter().zip([100.0, 300.0, 90.0, 10.0]) {
        cluster
            .note_report(host, &Report { rps_fractional: rate, cpu_utilization: 1.0, ..Report::default() });
    }
    cluster.reweigh();
    let found = shares(&cluster, 1, |_| Choice::default());
    let expected = [0.25 * 0.25, 0.25 * 0.75, 0.75 * 0.9, 0.75 * 0.1];
    let expected = hosts.iter().map(|host| Arc::clone(&host.address_text)).zip(expected).collect();
    assert_close(&found, &expected, "weights of localities, and reports");
}

#[test]
fn a_new_host_has_the_part_of_its_share_that_has_passed_of_the_window() {
    let window = Duration::from_secs(100);
    let aggression = RuntimeDouble { default_value: 1.0, runtime_key: String::new() };
    let slow_start = SlowStart { window, aggression, min_weight_percent: 10.0 };
    for policy in [LbPolicy::RoundRobin, LbPolicy::LeastRequest(Default::default())] {
        let builder =
            ClusterBuilder::new("c").policy(policy).lb(|lb| lb.slow_start = Some(slow_start.clone()));
        let cluster = builder.hosts([endpoint(1), endpoint(2), endpoint(3)]).build();
        let hosts: Vec<Arc<Host>> = cluster.hosts().iter().cloned().collect();
        hosts[2].set_healthy_since(1_000_000);
        for (seconds, weight) in [(1_001, 0.1), (1_025, 0.25), (1_050, 0.5), (1_200, 1.0)] {
            let now = Some(Duration::from_secs(seconds));
            let found = shares(&cluster, seconds, |_| Choice { now, ..Choice::default() });
            let expected = [1.0, 1.0, weight].map(|own| own / (2.0 + weight));
            let expected = hosts.iter().map(|host| Arc::clone(&host.address_text)).zip(expected).collect();
            assert_close(&found, &expected, &format!("after {seconds} s"));
        }
    }
}

/// A hash for each number.
fn hash(number: u64) -> Choice<'static> {
    Choice { hash: Some(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), ..Choice::default() }
}

fn cluster_of(policy: &LbPolicy, hosts: impl IntoIterator<Item = EndpointBuilder>) -> Arc<Cluster> {
    ClusterBuilder::new("c").policy(policy.clone()).group(0, "", None, hosts).build()
}

#[test]
fn hashes_are_shared_out_by_weights() {
    for policy in [ring(), maglev()] {
        let cluster = cluster_of(&policy, (1..=4_u16).map(|port| endpoint(port).weight(port.into())));
        let found = shares(&cluster, 1, hash);
        for (port, expected) in [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)] {
            let share = found.get(endpoint(port).0.address.to_string().as_str()).copied().unwrap_or(0.0);
            assert!((share - expected).abs() < 0.05, "{policy:?}: {share}, not {expected}");
        }
    }
}

#[test]
fn a_hash_leads_to_the_same_host_on_every_worker_and_in_every_proxy() {
    for policy in [ring(), maglev()] {
        let one = cluster_of(&policy, (1..=20).map(endpoint));
        let other = cluster_of(&policy, (1..=20).rev().map(endpoint));
        let mut workers: Vec<_> = [&one, &one, &other]
            .into_iter()
            .zip(1..)
            .map(|(cluster, seed)| (cluster, Balancer::new(cluster), Rng::seeded(seed)))
            .collect();
        for number in 0..2_000 {
            let mut hosts = workers.iter_mut().filter_map(|(cluster, balancer, rng)| {
                balancer.choose(cluster, rng, &hash(number)).map(|host| Arc::clone(&host.address_text))
            });
            let first = hosts.next();
            assert!(first.is_some() && hosts.all(|host| Some(host) == first), "{policy:?}, hash {number}");
        }
    }
}

#[test]
fn a_host_that_leaves_moves_its_own_hashes_and_few_others() {
    for policy in [ring(), maglev()] {
        let all = cluster_of(&policy, (1..=20).map(endpoint));
        let fewer = cluster_of(&policy, (1..=20).filter(|port| *port != 7).map(endpoint));
        let gone = endpoint(7).0.address.to_string();
        let (mut before, mut after) = (Balancer::new(&all), Balancer::new(&fewer));
        let mut rng = Rng::seeded(1);
        let (mut own, mut moved) = (0, 0);
        for number in 0..10_000 {
            let old = before.choose(&all, &mut rng, &hash(number)).map(|host| Arc::clone(&host.address_text));
            let new =
                after.choose(&fewer, &mut rng, &hash(number)).map(|host| Arc::clone(&host.address_text));
            match old.as_deref() == Some(&gone) {
                true => own += 1,
                false => moved += u32::from(old != new),
            }
        }
        // A twentieth of the hashes were its own.
        assert!((300..=700).contains(&own), "{policy:?}: {own} were its own");
        assert!(moved < 600, "{policy:?}: {moved} others have moved");
    }
}
