use std::sync::Arc;

use super::super::{Balancer, Choice};
use super::*;
use crate::config::endpoint::HealthStatus;
use crate::observability::stats::Registry;
use crate::upstream::testing::{ClusterBuilder, endpoint};
use crate::upstream::{Cluster, LocalCluster};

fn locality(region: &str) -> Locality {
    Locality { region: region.to_owned(), ..Locality::default() }
}

/// A cluster with so many hosts in the regions `a`, `b`, …, seen from `a`.
fn cluster(name: &str, sizes: &[u16], config: ZoneAware, local: &Arc<LocalCluster>) -> Cluster {
    let mut builder = ClusterBuilder::new(name).lb(|lb| lb.zone_aware = config);
    for (region, size) in ('a'..).zip(sizes) {
        for number in 0..*size {
            let port = 1000 * (region as u16 - 'a' as u16 + 1) + number;
            builder = builder.group(0, &region.to_string(), None, [endpoint(port)]);
        }
    }
    let config = builder.config();
    let cluster = Cluster::new(Arc::clone(&config), 1, &Registry::new(0))
        .near(Some(local), Some(&Arc::new(locality("a"))));
    crate::upstream::discovery::static_::populate(&cluster);
    cluster
}

/// The shares of the regions of 10,000 requests, in percent.
fn shares(fellows: &[u16], hosts: &[u16], config: ZoneAware) -> Vec<u32> {
    let local = Arc::new(LocalCluster::new("fellows".to_owned()));
    cluster("fellows", fellows, ZoneAware::default(), &local);
    let cluster = Arc::new(cluster("up", hosts, config, &local));
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(5));
    let mut counts = vec![0u32; hosts.len()];
    for _ in 0..10_000 {
        let host = balancer.choose(&cluster, &mut rng, &Choice::default()).expect("all hosts are healthy");
        let port: u16 = host.address_text.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
        counts[usize::from(port / 1000) - 1] += 1;
    }
    counts.iter().map(|count| (count + 50) / 100).collect()
}

fn small() -> ZoneAware {
    ZoneAware { min_cluster_size: 1, ..ZoneAware::default() }
}

fn near(shares: &[u32], expected: &[u32]) -> bool {
    shares.iter().zip(expected).all(|(share, expected)| share.abs_diff(*expected) <= 2)
}

#[test]
fn requests_stay_where_their_share_of_the_hosts_is() {
    assert_eq!(shares(&[1, 1], &[2, 2], small()), [100, 0]);
    assert_eq!(shares(&[1, 3], &[2, 2], small()), [100, 0], "more hosts here than requests");
}

#[test]
fn what_hosts_here_cannot_take_goes_where_hosts_have_room() {
    // The example of Envoy's comment: 40, 40 and 20 % of the requests for 25, 50 and 25 % of the hosts.
    let all = shares(&[2, 2, 1], &[1, 2, 1], small());
    assert!(near(&all, &[62, 25, 13]), "{all:?}");
    assert_eq!(shares(&[1, 1], &[0, 3], small())[1], 100, "no host here");
}

#[test]
fn every_host_has_the_same_load_when_all_proxies_send_so() {
    let mut rng = Rng::seeded(31);
    for _ in 0..12 {
        let sizes = |rng: &mut Rng| [(); 3].map(|()| rng.below(5) as u16 + 1);
        let (fellows, hosts) = (sizes(&mut rng), sizes(&mut rng));
        let mut load = [0.0; 3];
        for own in 0..3 {
            // Each region is the first in turn.
            let turned = |sizes: [u16; 3]| [sizes[own], sizes[(own + 1) % 3], sizes[(own + 2) % 3]];
            let all = shares(&turned(fellows), &turned(hosts), small());
            for (place, share) in all.into_iter().enumerate() {
                load[(own + place) % 3] += f64::from(share) * f64::from(fellows[own]);
            }
        }
        let per_host: Vec<f64> = (0..3).map(|region| load[region] / f64::from(hosts[region])).collect();
        let most = per_host.iter().copied().fold(0.0, f64::max);
        let least = per_host.iter().copied().fold(f64::MAX, f64::min);
        assert!(most < 1.1 * least, "{fellows:?} {hosts:?}: {per_host:?}");
    }
}

#[test]
fn small_clusters_and_those_with_it_switched_off_spread_evenly() {
    assert_eq!(shares(&[1, 1], &[1, 3], ZoneAware::default()), [25, 75], "fewer than six hosts");
    let off = ZoneAware { routing_enabled: 0, ..small() };
    assert_eq!(shares(&[1, 1], &[1, 3], off), [25, 75]);
    assert_eq!(shares(&[2], &[1, 3], small()), [25, 75], "all proxies are in one place");
    assert_eq!(shares(&[0, 2], &[1, 3], small()), [25, 75], "where this one runs there is none");
}

#[test]
fn requests_can_be_made_to_stay() {
    let force = |size| ZoneAware { force_local_zone_min_size: Some(size), ..small() };
    assert_eq!(shares(&[1, 1], &[1, 3], force(1)), [100, 0]);
    assert_eq!(shares(&[2], &[1, 3], force(1)), [100, 0]);
    let all = shares(&[1, 1], &[1, 3], force(2));
    assert!(near(&all, &[50, 50]), "{all:?}");
}

#[test]
fn weights_count_where_that_is_configured() {
    let local = Arc::new(LocalCluster::new("fellows".to_owned()));
    cluster("fellows", &[1, 1], ZoneAware::default(), &local);
    let builder = ClusterBuilder::new("up")
        .lb(|lb| lb.zone_aware = ZoneAware { basis: LocalityBasis::Weight, ..small() })
        .group(0, "a", None, [endpoint(1).weight(9)])
        .group(0, "b", None, [endpoint(2), endpoint(3).health(HealthStatus::Healthy)]);
    let cluster = Cluster::new(builder.config(), 1, &Registry::new(0))
        .near(Some(&local), Some(&Arc::new(locality("a"))));
    crate::upstream::discovery::static_::populate(&cluster);
    let cluster = Arc::new(cluster);
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(5));
    let mut ports = (0..50).filter_map(|_| balancer.choose(&cluster, &mut rng, &Choice::default()));
    assert!(ports.all(|host| host.address_text.ends_with(":1")));
}
