//! What `/stats` shows, in each of its forms.

use super::*;
use crate::observability::stats::http::HttpStats;
use crate::observability::stats::{ClusterStats, MembershipStats};

/// A registry with traffic, and the handles that keep it.
fn traffic(tested: &Tested) -> impl Sized {
    let registry = &tested.admin.registry;
    let cluster = ClusterStats::new(registry, "cluster.app.");
    let http = HttpStats::new(registry, "http.web.");
    let member = MembershipStats::new(registry, "cluster.app.");
    cluster.upstream_rq().inc(200);
    cluster.upstream_rq().inc(503);
    http.count_response(200);
    http.downstream_rq_time().record(0);
    http.downstream_rq_time().record(7);
    member.membership_total().set(1);
    registry.latch_histograms();
    (cluster, http, member)
}

#[test]
fn statistics_are_lines_sorted_by_name_histograms_last() {
    let tested = Tested::new();
    let _kept = traffic(&tested);
    tested.check(
        "/stats?filter=upstream_rq_(.xx|503|completed)|membership_total",
        "cluster.app.membership_total: 1\ncluster.app.upstream_rq_2xx: 1\ncluster.app.upstream_rq_503: 1\n\
         cluster.app.upstream_rq_5xx: 1\ncluster.app.upstream_rq_completed: 2\n",
    );
    tested.check(
        "/stats?filter=downstream_rq_time$",
        "http.web.downstream_rq_time: P0(0,0) P25(0,0) P50(0,0) P75(7.05,7.05) P90(7.05,7.05) P95(7.05,7.05) \
         P99(7.05,7.05) P99.5(7.05,7.05) P99.9(7.05,7.05) P100(7.05,7.05)\n",
    );
    tested.check(
        "/stats?filter=web.downstream_cx_length_ms",
        "http.web.downstream_cx_length_ms: No recorded values\n",
    );
    tested.check("/stats?usedonly&type=Gauges", "cluster.app.membership_total: 1\n");
    let buckets = tested.get("/stats?filter=rq_time$&histogram_buckets=cumulative");
    assert!(
        buckets.contains(": B0.5(1,1) B1(1,1) B5(1,1) B10(2,2)") && buckets.contains("B1.8e+06(2,2)"),
        "{buckets}"
    );
    let detailed = tested.get("/stats?filter=rq_time$&histogram_buckets=detailed");
    assert!(
        detailed.contains("\n  totals=0,0:1, 7,0.1:1\n  intervals=0,0:1, 7,0.1:1\n  summary=P0(0,0)"),
        "{detailed}"
    );
}

#[test]
fn wrong_parameters_of_statistics_are_refused() {
    let tested = Tested::new();
    assert_eq!(tested.ask("GET", "/stats?type=x"), (400, "invalid &type= param".to_owned()));
    assert_eq!(tested.ask("GET", "/stats?filter=%5B").0, 400);
    assert_eq!(tested.ask("GET", "/stats?format=x").0, 400);
    assert_eq!(tested.ask("GET", "/stats?histogram_buckets=x").0, 400);
}

#[test]
fn statistics_in_json_are_one_object() {
    let tested = Tested::new();
    tested.check("/stats?format=json&filter=nothing", "{\"stats\":[]}");
    let _kept = traffic(&tested);
    tested.check(
        "/stats?format=json&filter=membership_total|rq_503",
        "{\"stats\":[{\"name\":\"cluster.app.membership_total\",\"value\":1},\
         {\"name\":\"cluster.app.upstream_rq_503\",\"value\":1}]}",
    );
    for form in ["", "&histogram_buckets=cumulative", "&histogram_buckets=detailed"] {
        let text = tested.get(&format!("/stats?format=json{form}"));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert!(json["stats"].as_array().unwrap().last().unwrap()["histograms"] != Value::Null, "{text}");
    }
}

#[test]
fn prometheus_gets_each_metric_once_with_its_tags() {
    let tested = Tested::new();
    let _kept = traffic(&tested);
    let _other = MembershipStats::new(&tested.admin.registry, "cluster.b.");
    let text = tested.get("/stats/prometheus");
    for lines in [
        "# TYPE envoy_cluster_membership_total gauge\n\
         envoy_cluster_membership_total{envoy_cluster_name=\"app\"} 1\n\
         envoy_cluster_membership_total{envoy_cluster_name=\"b\"} 0\n",
        "# TYPE envoy_cluster_upstream_rq counter\n\
         envoy_cluster_upstream_rq{envoy_response_code=\"200\",envoy_cluster_name=\"app\"} 1\n\
         envoy_cluster_upstream_rq{envoy_response_code=\"503\",envoy_cluster_name=\"app\"} 1\n",
        "envoy_http_downstream_rq_xx{envoy_response_code_class=\"2\",envoy_http_conn_manager_prefix=\"web\"} 1\n",
        "envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix=\"web\",le=\"10\"} 2\n",
        "envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix=\"web\",le=\"+Inf\"} 2\n",
        "envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix=\"web\"} 2\n",
    ] {
        assert!(text.contains(lines), "no {lines} in\n{text}");
    }
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let count = types.len();
    types.dedup();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), count);
}
