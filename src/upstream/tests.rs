//! What becomes of hosts when endpoints change.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::discovery::static_;
use super::testing::{ClusterBuilder, endpoint};
use super::{Change, Cluster, Host};
use crate::base::random::Rng;
use crate::config::cluster::{Discovery, Dns};
use crate::config::endpoint::{HealthStatus, LoadAssignment};

fn host(cluster: &Cluster, port: u16) -> Arc<Host> {
    let address = crate::config::address::Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let hosts = cluster.hosts();
    let host = hosts.iter().find(|host| host.address == address);
    Arc::clone(host.expect("the test put it there"))
}

#[test]
fn a_host_whose_address_stays_is_the_same_object() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2)]).build();
    let kept = host(&cluster, 2);
    let change = cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(2), endpoint(3)]));
    assert_eq!(change, Change::Membership(1));
    assert!(Arc::ptr_eq(&host(&cluster, 2), &kept));
    assert_eq!(cluster.hosts().len(), 2);
    assert_eq!(cluster.membership.membership_change().value(), 2, "once at the start, once now");
}

#[test]
fn a_cluster_has_lost_its_own_hosts_alone_and_only_those_that_are_gone() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2)]).build();
    let other = Cluster::new(
        Arc::clone(&cluster.config),
        cluster.id + 1,
        &crate::observability::stats::Registry::new(0),
    );
    other.update_endpoints(&ClusterBuilder::assignment([endpoint(1)]));
    let (gone, kept, foreign) = (host(&cluster, 1), host(&cluster, 2), host(&other, 1));
    let lost = || [&gone, &kept, &foreign].map(|host| cluster.has_lost(host));
    assert_eq!(lost(), [false; 3]);
    let assignment = |endpoints| cluster.update_endpoints(&ClusterBuilder::assignment(endpoints));
    assignment([endpoint(1).health(HealthStatus::Unhealthy), endpoint(2)]);
    assert_eq!(lost(), [false; 3], "none has gone");
    assignment([endpoint(2), endpoint(3)]);
    assert_eq!(lost(), [true, false, false]);
    assignment([endpoint(1), endpoint(2)]);
    assert_eq!(lost(), [true, false, false], "the one that came is another host");
}

#[test]
fn weight_and_health_change_in_place() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2)]).build();
    let (kept, version) = (host(&cluster, 1), cluster.hosts_version());
    let changed = [endpoint(1).weight(7).health(HealthStatus::Unhealthy), endpoint(2)];
    assert_eq!(cluster.update_endpoints(&ClusterBuilder::assignment(changed)), Change::InPlace);
    assert_ne!(cluster.hosts_version(), version);
    assert_eq!((kept.weight(), cluster.hosts().priorities[0].healthy.len()), (7, 1));
    assert_eq!(cluster.membership.membership_healthy().value(), 1);
}

#[test]
fn the_same_endpoints_change_nothing() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1)]).build();
    let version = cluster.hosts_version();
    assert_eq!(cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(1)])), Change::Nothing);
    assert_eq!(cluster.hosts_version(), version);
    assert_eq!(cluster.membership.update_no_rebuild().value(), 1);
}

#[test]
fn a_host_moves_to_another_priority_without_being_replaced() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2)]).build();
    let kept = host(&cluster, 2);
    let next = ClusterBuilder::new("c").hosts([endpoint(1)]).group(1, "", None, [endpoint(2)]).assignment;
    assert_eq!(cluster.update_endpoints(&next), Change::Membership(2));
    assert!(Arc::ptr_eq(&cluster.hosts().priorities[1].all[0], &kept));
    assert_eq!(kept.priority(), 1);
}

#[test]
fn of_a_repeated_address_only_the_first_counts() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1).weight(2), endpoint(1).weight(3)]).build();
    assert_eq!(cluster.hosts().len(), 1);
    assert_eq!(host(&cluster, 1).weight(), 2);
}

#[test]
fn of_an_address_repeated_in_a_static_cluster_each_is_a_host() {
    let config = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(1)]).config();
    let cluster = Arc::new(Cluster::new(config, 1, &crate::observability::stats::Registry::new(0)));
    assert_eq!(static_::populate(&cluster), Some(Change::Membership(1)));
    assert_eq!(cluster.hosts().len(), 2);
}

#[test]
fn an_address_that_two_names_resolve_to_is_two_hosts() {
    let mut builder =
        ClusterBuilder::new("c").group(0, "", None, [endpoint(1)]).group(0, "", None, [endpoint(1)]);
    let assignment = builder.assignment.clone();
    builder.config.discovery = Discovery::StrictDns(assignment.clone(), Dns::default());
    let cluster = Cluster::new(Arc::new(builder.config), 1, &crate::observability::stats::Registry::new(0));
    cluster.update_endpoints(&assignment);
    let ids = || cluster.hosts().iter().map(|host| host.id).collect::<Vec<_>>();
    let before = ids();
    assert_eq!(before.len(), 2);
    assert_eq!(cluster.update_endpoints(&assignment), Change::Nothing);
    assert_eq!(ids(), before);
}

#[test]
fn another_name_makes_another_host() {
    let cluster = ClusterBuilder::new("c").hosts([endpoint(1)]).build();
    let old = host(&cluster, 1);
    cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(1).named("b")]));
    assert!(!Arc::ptr_eq(&host(&cluster, 1), &old));
    assert_ne!(host(&cluster, 1).id, old.id);
}

#[test]
fn localities_are_sorted_and_hold_their_hosts() {
    let cluster = ClusterBuilder::new("c")
        .lb(|lb| lb.locality_weighted = true)
        .group(0, "z", Some(1), [endpoint(1)])
        .group(0, "a", Some(2), [endpoint(2), endpoint(3)])
        .build();
    let hosts = cluster.hosts();
    let localities = &hosts.priorities[0].localities;
    let described = localities.iter().map(|group| (&*group.locality.region, group.weight, group.all.len()));
    assert_eq!(described.collect::<Vec<_>>(), [("a", 2, 2), ("z", 1, 1)]);
}

#[test]
fn ids_are_unique_over_clusters() {
    let registry = crate::observability::stats::Registry::new(0);
    let config = ClusterBuilder::new("c").hosts([endpoint(1)]).config();
    let ids = [1, 2].map(|id| {
        let cluster = Cluster::new(Arc::clone(&config), id, &registry);
        cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(1)]));
        host(&cluster, 1).id
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn whatever_the_updates_hosts_follow_the_assignment_and_keep_their_identity() {
    let mut rng = Rng::seeded(4);
    let cluster = ClusterBuilder::new("c").build();
    let mut before: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..500 {
        let mut next = LoadAssignment { overprovisioning_factor: 140, ..LoadAssignment::default() };
        for priority in 0..rng.below(3) as u32 {
            let ports = std::array::from_fn::<_, 4, _>(|_| endpoint(rng.below(12) as u16 + 1));
            next.localities
                .extend(ClusterBuilder::new("c").group(priority, "", None, ports).assignment.localities);
        }
        cluster.update_endpoints(&next);
        let after: BTreeMap<String, u64> =
            cluster.hosts().iter().map(|host| (host.address_text.to_string(), host.id)).collect();
        let wanted: BTreeMap<String, ()> = next
            .localities
            .iter()
            .flat_map(|group| group.endpoints.iter().map(|endpoint| (endpoint.address.to_string(), ())))
            .collect();
        assert!(after.keys().eq(wanted.keys()));
        let kept = after.iter().filter(|(address, _)| before.contains_key(*address));
        kept.for_each(|(address, id)| assert_eq!(before[address], *id));
        before = after;
    }
}
