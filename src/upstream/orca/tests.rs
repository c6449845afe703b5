use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message as _;

use super::*;
use crate::base::headers::{Headers, Name};
use crate::base::random::Rng;
use crate::config::cluster::ClientSideWeights;
use crate::upstream::lb::{Balancer, Choice};
use crate::upstream::testing::{ClusterBuilder, EndpointBuilder, client_side_weights, endpoint};
use crate::upstream::{Change, Cluster, Host};

fn report(name: &str, value: &str) -> Option<Report> {
    let mut headers = Headers::new();
    headers.append(Name::new(name.as_bytes()), value.as_bytes());
    Report::of(&headers)
}

/// Requests a second and utilization of the processor.
fn busy(rps: f64, cpu: f64) -> Report {
    Report { rps_fractional: rps, cpu_utilization: cpu, ..Report::default() }
}

#[test]
fn a_report_is_read_in_each_of_its_forms() {
    let expected = Report {
        named_metrics: BTreeMap::from([("queue".to_owned(), 7.0)]),
        utilization: BTreeMap::from([("disk".to_owned(), 0.5)]),
        eps: 2.0,
        ..busy(100.0, 0.25)
    };
    let binary = BASE64_STANDARD.encode(expected.encode_to_vec());
    let text = "cpu_utilization=0.25, rps_fractional:100,eps=2,named_metrics.queue=7,,utilization.disk= 0.5";
    let json = r#"{"cpu_utilization": 0.25, "rpsFractional": "100", "eps": 2, "mem_utilization": null,
        "named_metrics": {"queue": 7}, "utilization": {"disk": 0.5}}"#;
    for (header, value) in [
        ("endpoint-load-metrics-bin", binary.clone()),
        ("endpoint-load-metrics-bin", binary.trim_end_matches('=').to_owned()),
        ("endpoint-load-metrics", format!("BIN {binary}")),
        ("endpoint-load-metrics", format!("TEXT {text}")),
        ("endpoint-load-metrics", format!("JSON {json}")),
    ] {
        assert_eq!(report(header, &value).as_ref(), Some(&expected), "{header}: {value}");
    }
}

#[test]
fn what_is_no_report_says_nothing() {
    for value in [
        "",
        "TEXT",
        "cpu_utilization=0.25",
        "TEXT cpu_utilization",
        "TEXT cpu_utilization=",
        "TEXT cpu_utilization=\"1\"",
        "TEXT cpu_utilization=-1",
        "TEXT cpu_utilization=inf",
        "TEXT cpu_utilization=nan",
        "TEXT cpu_utilization=1,cpu_utilization=1",
        "TEXT named_metrics.=1",
        "TEXT request_cost.a=1",
        "TEXT other=1",
        "JSON",
        "JSON [1]",
        "JSON {\"other\": 1}",
        "JSON {\"eps\": true}",
        "JSON {\"utilization\": 1}",
        "BIN ",
        "BIN *",
        "BIN AA==",
    ] {
        assert_eq!(report("endpoint-load-metrics", value), None, "{value}");
    }
    assert_eq!(Report::of(&Headers::new()), None);
}

fn settings() -> ClientSideWeights {
    ClientSideWeights { blackout_period: Duration::from_secs(10), ..client_side_weights() }
}

#[test]
fn the_weight_is_what_a_host_would_do_at_full_load() {
    let mut config = settings();
    assert_eq!(weight::of(&busy(100.0, 0.25), &config), Some(400));
    assert_eq!(weight::of(&busy(0.0, 0.25), &config), None);
    assert_eq!(weight::of(&busy(100.0, 0.0), &config), None);
    assert_eq!(weight::of(&busy(f64::MAX, 0.1), &config), Some(u32::MAX));
    assert_eq!(weight::of(&busy(f64::NAN, f64::NAN), &config), None);
    let application = Report { application_utilization: 0.5, ..busy(100.0, 0.25) };
    assert_eq!(weight::of(&application, &config), Some(200));
    let named_metrics = BTreeMap::from([("a".to_owned(), 0.8), ("b".to_owned(), 1.0)]);
    let named = Report { named_metrics, ..application };
    assert_eq!(weight::of(&named, &config), Some(200));
    config.utilization_metrics = ["named_metrics.a".to_owned(), "named_metrics.none".to_owned()].into();
    assert_eq!(weight::of(&named, &config), Some(125));
    config.utilization_metrics = ["named_metrics.*".to_owned()].into();
    assert_eq!(weight::of(&named, &config), Some(100));
    config.error_utilization_penalty = 2.0;
    let failing = Report { eps: 50.0, ..named };
    assert_eq!(weight::of(&failing, &config), Some(50), "a utilization of 1 and 2 * 50 / 100");
}

#[test]
fn hosts_that_report_nothing_have_the_median() {
    assert_eq!(weight::default(vec![]), 1);
    assert_eq!(weight::default(vec![7]), 7);
    assert_eq!(weight::default(vec![9, 1, 5]), 5);
    assert_eq!(weight::default(vec![9, 1, 5, 6]), 5);
    assert_eq!(weight::default(vec![u32::MAX; 2]), u32::MAX);
}

#[test]
fn a_weight_counts_after_the_blackout_and_until_it_expires() {
    let (config, reported) = (settings(), Reported::default());
    let at = |seconds| reported.valid(&config, Duration::from_secs(seconds));
    let note = |weight, seconds| reported.note(weight, Duration::from_secs(seconds));
    assert_eq!(at(1_000), None, "never reported");
    note(5, 1_000);
    assert_eq!(at(1_009), None);
    note(6, 1_009);
    assert_eq!(at(1_010), Some(6));
    assert_eq!(at(1_189), Some(6));
    assert_eq!(at(1_190), None, "181 s old");
    note(7, 1_195);
    assert_eq!(at(1_200), None, "after a pause it begins anew");
    assert_eq!(at(1_205), Some(7));
}

/// A cluster without a blackout, whose hosts are configured with odd weights.
fn cluster<const N: usize>(hosts: [EndpointBuilder; N]) -> Arc<Cluster> {
    ClusterBuilder::new("c")
        .lb(|lb| lb.client_side = Some(Box::new(client_side_weights())))
        .hosts(hosts)
        .build()
}

fn hosts(cluster: &Cluster) -> Vec<Arc<Host>> {
    cluster.hosts().iter().cloned().collect()
}

#[test]
fn requests_go_by_what_hosts_report() {
    let cluster = cluster([endpoint(1).weight(100), endpoint(2).weight(3), endpoint(3)]);
    let hosts = hosts(&cluster);
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(4));
    let mut shares = || {
        let mut counts = BTreeMap::new();
        for _ in 0..700 {
            let host = balancer.choose(&cluster, &mut rng, &Choice::default()).expect("all are healthy");
            *counts.entry(host.id).or_insert(0) += 1;
        }
        hosts.iter().map(|host| counts.get(&host.id).copied().unwrap_or(0)).collect::<Vec<_>>()
    };
    let configured = shares();
    assert!(
        configured[0] > 660,
        "what is configured counts until reports could become weights: {configured:?}"
    );
    cluster.reweigh();
    let equal = shares();
    assert!(
        equal.iter().all(|share| (232..=235).contains(share)),
        "what is configured does not count: {equal:?}"
    );
    for (host, rps) in hosts.iter().zip([10.0, 20.0, 40.0]) {
        cluster.note_report(host, &busy(rps, 0.5));
    }
    let version = cluster.hosts_version();
    cluster.reweigh();
    assert_ne!(cluster.hosts_version(), version);
    let weighed = shares();
    let expected = [100_i32, 200, 400];
    assert!(
        weighed.iter().zip(expected).all(|(share, expected)| (share - expected).abs() <= 1),
        "{weighed:?}"
    );
    let version = cluster.hosts_version();
    cluster.reweigh();
    assert_eq!(cluster.hosts_version(), version, "nothing changed");
}

#[test]
fn an_update_of_endpoints_takes_no_weights_back() {
    let cluster = cluster([endpoint(1).weight(100), endpoint(2)]);
    cluster.note_report(&hosts(&cluster)[0], &busy(30.0, 1.0));
    let same = ClusterBuilder::assignment([endpoint(1).weight(7), endpoint(2)]);
    assert_eq!(cluster.update_endpoints(&same), Change::Nothing);
    let more = ClusterBuilder::assignment([endpoint(1).weight(8), endpoint(2), endpoint(3)]);
    assert_eq!(cluster.update_endpoints(&more), Change::Membership(1));
    let weights: Vec<u32> = hosts(&cluster).iter().map(|host| host.weight()).collect();
    assert_eq!(weights, [30, 30, 30], "the others have the median");
}

#[test]
fn metrics_add_up_until_they_are_taken_and_their_names_are_bounded() {
    let mut builder = ClusterBuilder::new("c").hosts([endpoint(1)]);
    builder.config.reported_metrics = ["eps", "named_metrics.*", "nonsense"].map(str::to_owned).into();
    let cluster = builder.build();
    let host = hosts(&cluster).remove(0);
    let ledger = host.ledger.as_deref().expect("the cluster asks for metrics");
    let told = |eps, key: String| Report { eps, named_metrics: [(key, 2.0)].into(), ..Report::default() };
    cluster.note_report(&host, &told(1.5, "a".to_owned()));
    cluster.note_report(&host, &told(2.5, "a".to_owned()));
    let metrics = ledger.take_metrics();
    let expected = [("eps", 4.0), ("named_metrics.a", 4.0)]
        .map(|(name, sum)| (Box::from(name), Metric { count: 2, sum }));
    assert_eq!(metrics, Metrics::from(expected));
    assert!(ledger.take_metrics().is_empty());
    for number in 0..2_000 {
        cluster.note_report(&host, &told(0.0, number.to_string()));
    }
    assert_eq!(ledger.take_metrics().len(), 1_000);
    assert_eq!(host.weight(), 1);
}
