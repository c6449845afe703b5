//! Aggregate clusters while the clusters that they consist of come and go: the same against dragoman and against Envoy.

use std::time::Instant;

use super::common::Proxy;
use super::routes_to;
use super::setup::{Client, PATIENCE, Plane, Upstream, cluster, listener, with_each};

/// An aggregate cluster of `blue` and `green`, whatever there is of those.
fn resources(members: &[String]) -> String {
    let all = r#"
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: all
  connect_timeout: 1s
  lb_policy: CLUSTER_PROVIDED
  cluster_type:
    name: envoy.clusters.aggregate
    typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: [blue, green]}
"#;
    [members.concat(), all.to_owned(), listener(""), routes_to("all")].concat()
}

/// Asks until the answer is as it should be: workers hear of an update a moment after the server does.
fn answers(proxy: &Proxy, wanted: &str) {
    let begun = Instant::now();
    loop {
        let got = Client::connect(proxy).get("/");
        if got == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{got:?} and not {wanted:?}");
    }
}

#[test]
fn an_aggregate_cluster_follows_clusters_that_come_and_go() {
    with_each(|start| {
        let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
        let (first, second) = (cluster("blue", &blue), cluster("green", &green));
        let moved = cluster("blue", &green).replace("type: EDS", "type: EDS\n  connect_timeout: 2s");
        let plane = Plane::with(&resources(&[first.clone(), second.clone()]));
        let (proxy, _directory) = start(&plane);
        answers(&proxy, "blue");
        for (members, wanted) in [
            (vec![second.clone()], "green"),
            (vec![first.clone(), second.clone()], "blue"),
            (vec![first.clone()], "blue"),
            (vec![], "no healthy upstream"),
            (vec![moved], "green"),
            (vec![first], "blue"),
        ] {
            plane.set(&resources(&members)).unwrap();
            answers(&proxy, wanted);
        }
    });
}
