use super::super::super::testing::{ClusterBuilder, endpoint};
use super::super::{Avoid, Balancer, Choice};
use super::*;
use crate::base::random::Rng;
use crate::config::cluster::{HashFunction, Maglev, RingHash};
use crate::config::route::HostPredicate;

pub(in crate::upstream::lb) fn ring() -> LbPolicy {
    LbPolicy::RingHash(RingHash {
        minimum_ring_size: 1024,
        maximum_ring_size: 8 * 1024 * 1024,
        hash_function: HashFunction::XxHash,
        hashing: ConsistentHashing::default(),
    })
}

pub(in crate::upstream::lb) fn maglev() -> LbPolicy {
    LbPolicy::Maglev(Maglev { table_size: 65_537, hashing: ConsistentHashing::default() })
}

/// The host of each hash, by its number in the configuration.
fn chosen(policy: &LbPolicy, hosts: impl IntoIterator<Item = u16>, hashes: u64) -> Vec<String> {
    let cluster = hosts
        .into_iter()
        .fold(ClusterBuilder::new("c").policy(policy.clone()), |builder, port| {
            builder.hosts([endpoint(port)])
        })
        .build();
    let mut balancer = Balancer::new(&cluster);
    let mut rng = Rng::seeded(1);
    let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..hashes)
        .map(|number| {
            let choice = Choice { hash: Some(hash(number)), ..Choice::default() };
            balancer.choose(&cluster, &mut rng, &choice).expect("a host").address_text.to_string()
        })
        .collect()
}

#[test]
fn few_hashes_move_when_a_host_goes() {
    for policy in [ring(), maglev()] {
        let all = chosen(&policy, 1..=10, 2000);
        let fewer = chosen(&policy, 1..=9, 2000);
        let gone = endpoint(10).0.address.to_string();
        let moved =
            all.iter().zip(&fewer).filter(|(before, after)| before != after && **before != gone).count();
        assert!(moved < 200, "{policy:?}: {moved} of 2000 moved without need");
    }
}

#[test]
fn hashes_are_spread_over_all_hosts() {
    for policy in [ring(), maglev()] {
        let chosen = chosen(&policy, 1..=4, 4000);
        for port in 1..=4 {
            let address = endpoint(port).0.address.to_string();
            let count = chosen.iter().filter(|host| **host == address).count();
            assert!((700..1300).contains(&count), "{policy:?}: {count} of 4000 for one of four");
        }
    }
}

#[test]
fn another_attempt_of_a_hash_goes_elsewhere() {
    for policy in [ring(), maglev()] {
        let cluster = ClusterBuilder::new("c").policy(policy).hosts([endpoint(1), endpoint(2)]).build();
        let mut balancer = Balancer::new(&cluster);
        let mut rng = Rng::seeded(1);
        let first = Choice { hash: Some(77), ..Choice::default() };
        let first = balancer.choose(&cluster, &mut rng, &first).expect("a host").id;
        let predicates = [HostPredicate::PreviousHosts];
        let avoid = Avoid { predicates: &predicates, tried: &[first], reselections: 50 };
        let again = Choice { hash: Some(77), avoid: Some(avoid), ..Choice::default() };
        assert_ne!(balancer.choose(&cluster, &mut rng, &again).expect("a host").id, first);
    }
}

#[test]
fn a_ring_without_points_has_no_host_for_any_hash() {
    let none = RingHash {
        minimum_ring_size: 0,
        maximum_ring_size: 0,
        hash_function: HashFunction::XxHash,
        hashing: ConsistentHashing::default(),
    };
    let cluster = ClusterBuilder::new("c").policy(LbPolicy::RingHash(none)).hosts([endpoint(1)]).build();
    let choice = Choice { hash: Some(7), ..Choice::default() };
    assert!(Balancer::new(&cluster).choose(&cluster, &mut Rng::seeded(1), &choice).is_none());
}

fn wait_for(tables: &Tables) {
    while !tables.is_made() {
        std::thread::yield_now();
    }
}

#[test]
fn tables_that_take_long_do_not_keep_those_of_all_updates_before() {
    let policy = LbPolicy::Maglev(Maglev { table_size: 300_007, hashing: ConsistentHashing::default() });
    let cluster = ClusterBuilder::new("c").policy(policy).hosts([endpoint(1)]).build();
    let tables = || cluster.hosts().tables.clone().expect("a policy with tables");
    let mut earlier = Vec::new();
    for port in 2..=4 {
        wait_for(&tables());
        earlier.push(Arc::downgrade(&tables()));
        cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(port)]));
    }
    // What was made before the last was is put away before work on the last begins.
    wait_for(&tables());
    let kept: Vec<bool> = earlier.iter().map(|tables| tables.upgrade().is_some()).collect();
    assert_eq!(kept[..2], [false, false]);
}

#[test]
fn a_table_that_takes_long_keeps_nobody_waiting() {
    let policy = LbPolicy::Maglev(Maglev { table_size: 1_000_003, hashing: ConsistentHashing::default() });
    let cluster = ClusterBuilder::new("c").policy(policy).build();
    let tables = || cluster.hosts().tables.clone().expect("a policy with tables");
    // Whatever is made by now, each hash has a host.
    for last in 2..6 {
        let mut assignment = ClusterBuilder::assignment([endpoint(1)]);
        assignment.localities[0].endpoints = (1..=last).map(|port| endpoint(port).0).collect();
        cluster.update_endpoints(&assignment);
        assert!((0..100).all(|hash| tables().choose(hash, 0, || 0).is_some()));
    }
    let made = tables();
    wait_for(&made);
    let chosen: std::collections::HashSet<u64> =
        (0..1000).filter_map(|hash| made.choose(hash, 0, || 0)).map(|host| host.id).collect();
    assert_eq!(chosen.len(), 5);
}

#[test]
fn a_ring_that_weights_make_large_is_made_in_the_workshop() {
    let tables = |weight| {
        let hosts = [endpoint(1), endpoint(2).weight(weight)];
        let cluster = ClusterBuilder::new("c").policy(ring()).hosts(hosts).build();
        cluster.hosts().tables.clone().expect("a policy with tables")
    };
    assert_eq!(tables(1).size(), 1024);
    assert!(tables(1).workshop.is_none());
    let large = tables(1_000_000);
    assert_eq!(large.size(), 1_000_001);
    assert!(large.workshop.is_some());
    assert!(large.choose(7, 0, || 0).is_some());
}

#[test]
fn large_tables_that_are_made_once_they_are_asked_for_keep_nobody_waiting() {
    let policy = LbPolicy::Maglev(Maglev { table_size: 300_007, hashing: ConsistentHashing::default() });
    let cluster = ClusterBuilder::new("c").policy(policy.clone()).hosts([endpoint(1), endpoint(2)]).build();
    let stats = Stats::new(&policy, &Registry::new(1), "cluster.c.").expect("a policy with tables");
    let workshop = Workshop::default();
    let lazy = |before| Tables::lazy(&cluster.hosts(), &cluster, &stats, &workshop, before);
    let first = lazy(None);
    assert!(first.choose(7, 0, || 0).is_some());
    wait_for(&first);
    // The next that nobody has looked at yet knows where hashes led before.
    let second = lazy(Some(&first));
    assert!(!second.is_made() && second.before.load().is_some());
    let third = lazy(Some(&second));
    let places = |tables: &Arc<Tables>| -> Vec<u64> {
        (0..50).filter_map(|hash| tables.choose(hash, 0, || 0)).map(|host| host.id).collect()
    };
    assert_eq!(places(&third), places(&first));
    wait_for(&third);
    assert_eq!(places(&third), places(&first));
}
