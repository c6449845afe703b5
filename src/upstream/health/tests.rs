//! Hosts of clusters with health checks, without anybody who checks.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{LocalSet, spawn_local, yield_now};

use super::{Surroundings, run};
use crate::base::random::Rng;
use crate::config::cluster::{Checker, HealthCheck, Intervals, Payload};
use crate::upstream::Cluster;
use crate::upstream::host::health_flag;
use crate::upstream::testing::{ClusterBuilder, endpoint};

fn checked(ignore_on_removal: bool, wait: bool) -> Arc<Cluster> {
    let second = Duration::from_secs(1);
    let mut builder = ClusterBuilder::new("app").hosts([endpoint(1), endpoint(2)]);
    builder.config.ignore_health_on_host_removal = ignore_on_removal;
    builder.config.lb.ignore_new_hosts_until_first_hc = wait;
    builder.config.health_checks = Box::new([HealthCheck {
        name: String::new(),
        timeout: second,
        intervals: Intervals {
            interval: second,
            unhealthy: second,
            unhealthy_edge: second,
            healthy_edge: second,
            no_traffic: second,
            no_traffic_healthy: second,
            initial_jitter: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_percent: 0,
        },
        unhealthy_threshold: 2,
        healthy_threshold: 2,
        reuse_connection: true,
        alpn_protocols: Vec::new(),
        transport_socket_match: None,
        event_logs: Vec::new(),
        always_log_failures: false,
        always_log_success: false,
        checker: Checker::Tcp { send: Vec::new(), receive: Payload::default(), proxied: None },
    }]);
    builder.build()
}

/// Sets or clears flags of the host at this port.
fn change(cluster: &Cluster, port: u16, set: u32, clear: u32) {
    let ends = format!(":{port}");
    let hosts = cluster.hosts();
    let host = hosts.iter().find(|host| host.address_text.ends_with(&ends)).expect("a host");
    host.change_health_flags(set, clear);
    cluster.refresh_health();
}

/// All hosts, healthy ones and those that are left out.
fn counts(cluster: &Cluster) -> (usize, usize, usize) {
    let hosts = cluster.hosts();
    let first = &hosts.priorities[0];
    (first.all.len(), first.healthy.len(), first.excluded)
}

#[test]
fn hosts_are_unhealthy_until_their_first_check() {
    let cluster = checked(false, false);
    assert!(cluster.awaits_checks());
    assert_eq!(counts(&cluster), (2, 0, 0));
    change(&cluster, 1, 0, health_flag::FAILED_ACTIVE_HC);
    assert_eq!(counts(&cluster), (2, 1, 0));
}

#[test]
fn new_hosts_count_for_nothing_where_that_is_so_configured() {
    let cluster = checked(false, true);
    assert_eq!(counts(&cluster), (2, 0, 2));
    assert_eq!(cluster.membership.membership_excluded().value(), 2);
    change(&cluster, 2, 0, health_flag::PENDING_ACTIVE_HC);
    assert_eq!(counts(&cluster), (2, 0, 1));
}

#[test]
fn a_host_that_is_removed_stays_for_as_long_as_its_checks_pass() {
    let cluster = checked(false, false);
    change(&cluster, 1, 0, health_flag::FAILED_ACTIVE_HC);
    cluster.update_endpoints(&ClusterBuilder::assignment([]));
    assert_eq!(counts(&cluster), (1, 1, 0), "the one that is unhealthy goes at once");
    change(&cluster, 1, health_flag::FAILED_ACTIVE_HC, 0);
    assert_eq!(counts(&cluster), (0, 0, 0));
}

#[test]
fn a_host_that_comes_back_is_no_longer_to_be_removed() {
    let cluster = checked(false, false);
    change(&cluster, 1, 0, health_flag::FAILED_ACTIVE_HC);
    cluster.update_endpoints(&ClusterBuilder::assignment([]));
    cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(1)]));
    change(&cluster, 1, health_flag::FAILED_ACTIVE_HC, 0);
    assert_eq!(counts(&cluster), (1, 0, 0));
}

#[test]
fn a_host_that_is_removed_goes_at_once_where_that_is_so_configured() {
    let cluster = checked(true, false);
    change(&cluster, 1, 0, health_flag::FAILED_ACTIVE_HC);
    cluster.update_endpoints(&ClusterBuilder::assignment([]));
    assert_eq!(counts(&cluster), (0, 0, 0));
}

#[test]
fn a_host_that_is_checked_now_or_no_more_is_another() {
    let cluster = checked(false, false);
    let update = |disabled: bool| {
        let mut endpoint = endpoint(1);
        endpoint.0.health_check.disabled = disabled;
        cluster.update_endpoints(&ClusterBuilder::assignment([endpoint]));
        cluster.hosts().iter().next().map(|host| (host.id, host.is_checked())).expect("a host")
    };
    let (first, _) = update(false);
    let (second, is_checked) = update(true);
    assert!(second != first && !is_checked);
    assert_eq!(counts(&cluster), (1, 1, 0));
    assert_eq!(update(true), (second, false));
    let (third, is_checked) = update(false);
    assert!(third != second && is_checked);
    assert_eq!(counts(&cluster), (1, 0, 0));
}

#[tokio::test]
async fn what_is_heard_of_many_hosts_at_once_is_published_for_the_first_and_then_for_the_rest() {
    let cluster = checked(false, false);
    cluster.update_endpoints(&ClusterBuilder::assignment([1, 2, 3, 4, 5].map(endpoint)));
    (1..=5).for_each(|port| change(&cluster, port, 0, health_flag::FAILED_ACTIVE_HC));
    assert_eq!(counts(&cluster), (5, 5, 0));
    let complaints = |cluster: &Cluster| {
        cluster.hosts().iter().filter_map(|host| host.complaints.as_ref()).for_each(|host| host.unwell());
    };
    let before = cluster.hosts_version();
    LocalSet::new()
        .run_until(async {
            complaints(&cluster);
            let runtime = Rc::new(Arc::default);
            let surroundings = Surroundings { runtime, logs: Vec::new(), complete: Box::new(|| {}) };
            spawn_local(run(Arc::clone(&cluster), surroundings, Rng::seeded(1)));
            while cluster.hosts_version() < before + 2 {
                yield_now().await;
            }
            assert_eq!((cluster.hosts_version(), counts(&cluster)), (before + 2, (5, 0, 0)));
        })
        .await;
}
