//! Load reports: what dragoman tells of its load is what Envoy tells of the same.

use std::path::Path;
use std::time::Duration;

use dragoman_xds::{ClusterLoad, LoadReports, Server, load_str};

use super::common::{self, Proxy};
use super::secure::{Relay, pem};
use super::setup::{Client, Loads, Plane, Upstream, Variant, bootstrap, listener, start_program};

/// Hosts in two localities, one of which takes no connection; a cluster whose requests are all dropped, and one that may
/// have none.
fn resources(good: &Upstream, refused: u16) -> String {
    let cluster = |name: &str, more: &str, policy: &str| {
        let endpoint = |port: u16| {
            format!(
                "lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]"
            )
        };
        format!(
            r#"
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {name}
  type: EDS
  eds_cluster_config: {{service_name: "{name} service", eds_config: {{ads: {{}}}}}}
  {more}
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: {name} service
  endpoints:
  - {{locality: {{region: west, zone: a}}, {}}}
  - {{locality: {{region: east, zone: b, sub_zone: c}}, priority: 1, {}}}
  {policy}
"#,
            endpoint(good.address.port()),
            endpoint(refused)
        )
    };
    let drops = "policy: {drop_overloads: [{category: half, drop_percentage: {numerator: 100}}]}";
    let none = "circuit_breakers: {thresholds: [{max_requests: 0}]}";
    let routes = r#"
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts:
  - name: all
    domains: ["*"]
    routes:
    - {match: {prefix: /dropped}, route: {cluster: dropped}}
    - {match: {prefix: /none}, route: {cluster: none}}
    - {match: {prefix: /}, route: {cluster: app}}
"#;
    [
        cluster(
            "app",
            "lrs_report_endpoint_metrics: [cpu_utilization, eps, \"named_metrics.*\", utilization.none]",
            "",
        ),
        cluster("dropped", "", drops),
        cluster("none", none, ""),
        listener(""),
        routes.to_owned(),
    ]
    .concat()
}

/// Where the load is reported.
#[derive(Clone, Copy)]
enum To<'a> {
    /// Where everything else comes from.
    Plane,
    /// There by way of this, which speaks TLS.
    Encrypted(&'a Relay),
}

/// A proxy that reports to the plane under its name.
fn reporting(
    plane: &Plane,
    to: To<'_>,
    program: &Path,
    name: &str,
    args: &[&str],
) -> (Proxy, tempfile::TempDir) {
    let (server, more) = match to {
        To::Plane => ("plane", String::new()),
        To::Encrypted(relay) => ("reports", reports(relay)),
    };
    let source = format!(
        "{{api_type: GRPC, grpc_services: [{{envoy_grpc: {{cluster_name: {server}}}}}], transport_api_version: V3}}"
    );
    let bootstrap = bootstrap(plane, Variant::Sotw).replace(
        "node: {id: test,",
        &format!("cluster_manager: {{load_stats_config: {source}}}\nnode: {{id: {name},"),
    );
    start_program(program, args, &(bootstrap + &more))
}

/// A further cluster of a bootstrap, whose host has to show that it is `server.example`.
fn reports(relay: &Relay) -> String {
    let ca = pem("ca.pem");
    format!(
        r#"
  - name: reports
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: server.example
        common_tls_context:
          validation_context:
            trusted_ca: {{filename: "{}"}}
            match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: server.example}}}}]
    load_assignment:
      cluster_name: reports
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}]
"#,
        ca.display(),
        relay.address.port()
    )
}

/// What a proxy told of the three clusters once it has told of all that was done.
fn told(plane: &Plane, upstream: &Upstream, proxy: &Proxy, name: &str) -> Vec<ClusterLoad> {
    const CLUSTERS: [&str; 3] = ["app", "dropped", "none"];
    let of = |loads: &Loads, cluster: &str| loads.get(name)?.clusters.get(cluster).cloned();
    let issued = |loads: &Loads, wanted: (u64, u64)| {
        let load = of(loads, "app").unwrap_or_default();
        let sum = load
            .localities
            .values()
            .fold((0, 0), |sum, load| (sum.0 + load.issued, sum.1 + load.in_progress));
        sum == wanted
    };
    // What happens before a cluster is reported for the first time is not told.
    plane.load(|loads| CLUSTERS.iter().all(|cluster| of(loads, cluster).is_some()));
    let mut client = Client::connect(proxy);
    for _ in 0..3 {
        assert_eq!(client.get("/"), "good");
    }
    for path in ["/dropped", "/dropped", "/none"] {
        client.get(path);
    }
    client.send("/slow");
    let release = upstream.slow.recv().unwrap();
    let dropped = |loads: &Loads| of(loads, "dropped").is_some_and(|load| load.dropped == 2);
    let loads =
        plane.load(|loads| issued(loads, (4, 1)) && dropped(loads) && successful(&of(loads, "app")) == 3);
    release.send(()).unwrap();
    assert_eq!(client.receive().1, "good");
    CLUSTERS.iter().filter_map(|cluster| of(&loads, cluster)).collect()
}

fn successful(load: &Option<ClusterLoad>) -> u64 {
    load.iter().flat_map(|load| load.localities.values()).map(|load| load.successful).sum()
}

#[test]
fn dragoman_reports_the_load_that_envoy_reports() {
    compare(|_| None);
}

#[test]
fn load_is_reported_over_tls_as_envoy_reports_it() {
    compare(|plane| Some(Relay::to(plane.handle.port())));
}

/// Has both report to a plane, by way of a relay where there is one.
fn compare(relay: impl FnOnce(&Plane) -> Option<Relay>) {
    let upstream = Upstream::named("good");
    let resources = resources(&upstream, 1);
    let asked = LoadReports { interval: Duration::from_millis(50), by_endpoint: true };
    let plane = Plane::start(Server::builder().resources(load_str(&resources).unwrap()).load_reports(asked));
    let relay = relay(&plane);
    let to = relay.as_ref().map_or(To::Plane, To::Encrypted);
    let dragoman = Path::new(env!("CARGO_BIN_EXE_dragoman"));
    let (proxy, _directory) = reporting(&plane, to, dragoman, "dragoman", &["--concurrency", "2"]);
    let ours = told(&plane, &upstream, &proxy, "dragoman");
    let [app, dropped, none] = &ours[..] else { panic!("{ours:#?}") };
    assert_eq!((app.service_name.as_str(), app.dropped), ("app service", 0));
    assert_eq!(app.localities["west/a/ priority 0"].issued, 4, "{app:#?}");
    assert_eq!(app.endpoints.values().map(|load| load.issued).sum::<u64>(), 4);
    let metrics: Vec<_> =
        app.metrics.iter().map(|(name, metric)| (name.as_str(), metric.count, metric.sum)).collect();
    assert_eq!(metrics, [("cpu_utilization", 3, 1.5), ("eps", 3, 0.0), ("named_metrics.queue", 3, 9.0)]);
    assert_eq!((dropped.dropped, dropped.dropped_by_category["half"]), (2, 2));
    assert_eq!(none.dropped, 1);
    plane.load(|loads| successful(&loads["dragoman"].clusters.get("app").cloned()) == 4);
    let Some(envoy) = common::envoy() else { return };
    let args = ["--concurrency", "2", "--use-dynamic-base-id", "--log-level", "warning"];
    let (proxy, _directory) = reporting(&plane, to, &envoy, "envoy", &args);
    assert_eq!(ours, told(&plane, &upstream, &proxy, "envoy"));
}
