use std::sync::Arc;

use super::*;
use crate::upstream::orca;
use crate::upstream::testing::{ClusterBuilder, endpoint};

fn wanted(clusters: &[&str], by_endpoint: bool) -> LoadStatsResponse {
    LoadStatsResponse {
        clusters: clusters.iter().map(|name| (*name).to_owned()).collect(),
        load_reporting_interval: Some(pb::Duration { seconds: 2, nanos: 0 }),
        report_endpoint_granularity: by_endpoint,
        send_all_clusters: clusters.is_empty(),
    }
}

/// A cluster with hosts in two localities.
fn clusters() -> (Clusters, Arc<Cluster>) {
    let cluster = ClusterBuilder::new("a")
        .group(0, "west", None, [endpoint(1)])
        .group(0, "east", None, [endpoint(2), endpoint(3)])
        .build();
    ([(Arc::clone(&cluster.name), Arc::clone(&cluster))].into_iter().collect(), cluster)
}

fn hosts(cluster: &Cluster) -> Vec<Arc<Host>> {
    cluster.hosts().iter().cloned().collect()
}

#[test]
fn a_report_says_what_happened_since_the_one_before() {
    let (clusters, cluster) = clusters();
    let hosts = hosts(&cluster);
    let (mut reporter, start) = (Reporter::default(), Instant::now());
    drop(hosts[0].begin_request());
    assert!(reporter.report(&clusters, start).is_empty(), "nothing was asked for");
    reporter.ask(wanted(&[], false), &clusters, start);
    assert_eq!(reporter.interval(), Some(Duration::from_secs(2)));
    let active = hosts[1].begin_request();
    drop(hosts[2].begin_request());
    hosts[2].stats.count_response(false);
    cluster.drops.drop_one();
    let later = start + Duration::from_millis(1500);
    let report = reporter.report(&clusters, later).remove(0);
    assert_eq!((report.cluster_name.as_str(), report.total_dropped_requests), ("a", 1));
    assert_eq!(report.load_report_interval, Some(pb::Duration { seconds: 1, nanos: 500_000_000 }));
    let [east] = &report.upstream_locality_stats[..] else { panic!("{report:?}") };
    assert_eq!(east.locality.as_ref().map(|locality| locality.region.as_str()), Some("east"));
    let counts = (east.total_issued_requests, east.total_error_requests, east.total_requests_in_progress);
    assert_eq!(counts, (2, 1, 1));
    hosts[1].stats.count_response(true);
    drop(active);
    let report = reporter.report(&clusters, later).remove(0);
    assert_eq!(report.upstream_locality_stats[0].total_successful_requests, 1, "of one begun before");
    let report = reporter.report(&clusters, later).remove(0);
    assert!(report.upstream_locality_stats.is_empty(), "{report:?}");
    assert_eq!(report.total_dropped_requests, 0);
}

#[test]
fn hosts_are_told_apart_where_that_is_wanted() {
    let (clusters, cluster) = clusters();
    let (mut reporter, start) = (Reporter::default(), Instant::now());
    reporter.ask(wanted(&["a", "b"], true), &clusters, start);
    drop(hosts(&cluster)[2].begin_request());
    let report = reporter.report(&clusters, start).remove(0);
    let endpoints = &report.upstream_locality_stats[0].upstream_endpoint_stats;
    assert_eq!((endpoints.len(), endpoints[0].total_issued_requests), (1, 1));
    assert!(endpoints[0].address.is_some());
}

#[test]
fn metrics_that_hosts_report_are_told_by_locality_and_by_host() {
    let mut builder = ClusterBuilder::new("a").group(0, "west", None, [endpoint(1), endpoint(2)]);
    builder.config.reported_metrics = ["eps".to_owned()].into();
    let cluster = builder.build();
    let clusters = [(Arc::clone(&cluster.name), Arc::clone(&cluster))].into_iter().collect();
    let hosts = hosts(&cluster);
    let answer = |host: &Arc<Host>, eps| {
        drop(host.begin_request());
        cluster.note_report(host, &orca::Report { eps, ..orca::Report::default() });
    };
    let (mut reporter, start) = (Reporter::default(), Instant::now());
    answer(&hosts[0], 100.0);
    reporter.ask(wanted(&["a"], true), &clusters, start);
    answer(&hosts[0], 1.0);
    answer(&hosts[1], 2.0);
    answer(&hosts[1], 4.0);
    let report = reporter.report(&clusters, start).remove(0).upstream_locality_stats.remove(0);
    let told = |stats: &[EndpointLoadMetricStats]| -> Vec<(u64, f64)> {
        stats.iter().map(|stat| (stat.num_requests_finished_with_metric, stat.total_metric_value)).collect()
    };
    assert_eq!(told(&report.load_metric_stats), [(3, 7.0)], "what came before it was asked for is not told");
    let by_host: Vec<_> =
        report.upstream_endpoint_stats.iter().flat_map(|host| told(&host.load_metric_stats)).collect();
    assert_eq!(by_host, [(1, 1.0), (2, 6.0)]);
}

#[test]
fn what_is_asked_for_again_loses_nothing_and_what_is_new_begins_now() {
    let (clusters, cluster) = clusters();
    let host = hosts(&cluster).remove(0);
    let (mut reporter, start) = (Reporter::default(), Instant::now());
    reporter.ask(wanted(&["a"], false), &clusters, start);
    drop(host.begin_request());
    reporter.ask(wanted(&["a"], false), &clusters, start);
    let report = reporter.report(&clusters, start).remove(0);
    assert_eq!(report.upstream_locality_stats.len(), 1);
    reporter.ask(wanted(&["b"], false), &clusters, start);
    drop(host.begin_request());
    assert!(reporter.report(&clusters, start).is_empty());
    reporter.ask(wanted(&["a"], false), &clusters, start);
    let report = reporter.report(&clusters, start).remove(0);
    assert!(report.upstream_locality_stats.is_empty());
}
