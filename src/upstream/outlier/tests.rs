//! A cluster that is watched, from what workers report to the hosts that they choose.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::sleep;

use super::*;
use crate::base::random::Rng;
use crate::config::cluster::OutlierDetection;
use crate::config::runtime::Values;
use crate::upstream::Cluster;
use crate::upstream::testing::{ClusterBuilder, endpoint, outlier_detection};

/// A cluster of three hosts, and its task.
fn watched(change: impl FnOnce(&mut OutlierDetection)) -> Arc<Cluster> {
    let mut builder = ClusterBuilder::new("app").hosts([endpoint(1), endpoint(2), endpoint(3)]);
    let mut config = outlier_detection();
    change(&mut config);
    builder.config.outlier_detection = Some(Box::new(config));
    let cluster = builder.build();
    let runtime = Rc::new(Arc::<Values>::default);
    tokio::task::spawn_local(run(Arc::clone(&cluster), Surroundings { runtime, log: None }, Rng::seeded(1)));
    cluster
}

/// Lets the first host answer so many times with 503.
fn fail(cluster: &Cluster, times: u32) {
    (0..times).for_each(|_| report(cluster, Report::Answered { status: 503, degraded: false }));
}

/// Tells of the first host.
fn report(cluster: &Cluster, said: Report) {
    let hosts = cluster.hosts();
    let monitor =
        hosts.iter().next().and_then(|host| host.outlier.as_deref()).expect("a host that is watched");
    monitor.report(said, &Values::default());
}

fn healthy(cluster: &Cluster) -> usize {
    cluster.hosts().priorities[0].healthy.len()
}

async fn moment() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn workers_see_that_a_host_is_out_and_that_it_is_back() {
    let test = async {
        let cluster = watched(|_| {});
        fail(&cluster, 4);
        moment().await;
        assert_eq!(healthy(&cluster), 3);
        fail(&cluster, 1);
        moment().await;
        assert_eq!(healthy(&cluster), 2);
        let active = || cluster.outlier.as_ref().map(|watch| watch.stats.ejections_active().value());
        assert_eq!(active(), Some(1));
        sleep(Duration::from_secs(29)).await;
        assert_eq!(healthy(&cluster), 2);
        sleep(Duration::from_secs(12)).await;
        assert_eq!((healthy(&cluster), active()), (3, Some(0)));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_for_bytes_begins_the_count_of_failures_anew() {
    let test = async {
        for (said, expected) in [(Report::Opened, 3), (Report::Connected, 2)] {
            let cluster = watched(|_| {});
            fail(&cluster, 4);
            report(&cluster, said);
            fail(&cluster, 4);
            moment().await;
            assert_eq!(healthy(&cluster), expected, "{said:?}");
        }
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn an_ejected_host_that_is_removed_is_out_of_the_books() {
    let test = async {
        let cluster = watched(|_| {});
        fail(&cluster, 5);
        moment().await;
        cluster.update_endpoints(&ClusterBuilder::assignment([endpoint(2)]));
        moment().await;
        let stats = &cluster.outlier.as_ref().expect("it is watched").stats;
        assert_eq!((healthy(&cluster), stats.ejections_active().value()), (1, 0));
        fail(&cluster, 5);
        moment().await;
        assert_eq!((healthy(&cluster), stats.ejections_enforced_total().value()), (0, 2));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_passes_ends_an_ejection_where_that_is_configured() {
    let test = async {
        for (uneject, expected) in [(true, 3), (false, 2)] {
            let cluster = watched(|config| config.successful_active_health_check_uneject_host = uneject);
            fail(&cluster, 5);
            moment().await;
            assert_eq!(healthy(&cluster), 2);
            let host = cluster.hosts().iter().next().map(|host| host.id).expect("a host");
            cluster.outlier.as_ref().expect("it is watched").alarm(Alarm::Passed(host));
            moment().await;
            assert_eq!(healthy(&cluster), expected);
        }
    };
    LocalSet::new().run_until(test).await;
}
