//! Clusters that requests ask for over the stream that all others come over: the same against dragoman and against Envoy.

use dragoman_xds::{Resource, Server, load_str};

use super::setup::{Client, Plane, Upstream, listener, with_each};

/// The cluster that comes only when it is asked for by name.
const LATE: &str = "late";

/// A listener whose requests name their cluster, and the cluster `late` with this upstream as its host.
fn resources(late: Option<&Upstream>) -> Vec<Resource> {
    const FILTERS: &str = "http_filters:\n";
    const ON_DEMAND: &str = "        - name: envoy.filters.http.on_demand\n          typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand, odcds: {source: {ads: {}}, timeout: 60s}}\n";
    let listener = listener("").replace(FILTERS, &format!("{FILTERS}{ON_DEMAND}"));
    assert!(listener.contains(ON_DEMAND));
    let table = r#"
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster_header: x-cluster}}]}]
"#;
    let late = late.map_or_else(String::new, |upstream| {
        format!(
            r#"
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {LATE}
  type: STATIC
  load_assignment: {{cluster_name: {LATE}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}]}}
"#,
            upstream.address.port()
        )
    });
    let all = load_str(&[&listener[..], table, &late].concat()).unwrap();
    all.into_iter().map(|one| if &*one.name == LATE { one.only_by_name() } else { one }).collect()
}

/// The status and the body of the answer to a request for this cluster.
fn ask(client: &mut Client, cluster: &str) -> (String, String) {
    client.send_bytes(&format!("GET / HTTP/1.1\r\nhost: a\r\nx-cluster: {cluster}\r\n\r\n"));
    let (head, body) = client.receive();
    (head[9..12].to_owned(), body)
}

fn answer(status: &str, body: &str) -> (String, String) {
    (status.to_owned(), body.to_owned())
}

#[test]
fn a_cluster_comes_over_the_aggregated_stream_changes_and_goes() {
    with_each(|start| {
        let (one, two) = (Upstream::named("one"), Upstream::named("two"));
        let plane = Plane::start(Server::builder().resources(resources(Some(&one))));
        let (proxy, _directory) = start(&plane);
        let mut client = Client::connect(&proxy);
        let dump = |proxy: &super::common::Proxy| {
            let dump = proxy.get("/config_dump?resource=dynamic_active_clusters").unwrap();
            String::from_utf8(dump.body).unwrap()
        };
        assert!(!dump(&proxy).contains(LATE));
        assert_eq!(ask(&mut client, "never"), answer("503", ""));
        assert_eq!(ask(&mut client, LATE), answer("200", "one"));
        assert_eq!(ask(&mut client, LATE), answer("200", "one"));
        assert!(dump(&proxy).contains(LATE));
        plane.publish(resources(Some(&two))).unwrap();
        assert_eq!(ask(&mut client, LATE), answer("200", "two"));
    });
}
