//! Filter chains that come one by one over ADS. Over a stream of their own Envoy 1.40 crashes.

use super::common::Proxy;
use super::setup::{Client, Plane, Upstream, Variant, cluster, start, with_each};

/// A listener whose connections from here go to the filter chain `found`, which comes over ADS.
const LISTENER: &str = r#"
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  fcds_config: {config_source: {ads: {}, initial_fetch_timeout: 0s}}
  filter_chain_matcher:
    matcher_tree:
      input: {name: i, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput}}
      exact_match_map: {map: {127.0.0.1: {action: {name: a, typed_config: {"@type": type.googleapis.com/google.protobuf.StringValue, value: found}}}}}
"#;

/// The filter chain, whose requests go to one cluster.
fn chain(cluster: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.listener.v3.FilterChain
  name: found
  filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: found
      route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: {cluster}}}}}]}}]}}
      http_filters:
      - name: envoy.filters.http.router
        typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#
    )
}

fn resources(blue: &Upstream, green: &Upstream, to: &str) -> String {
    [cluster("blue", blue), cluster("green", green), LISTENER.to_owned(), chain(to)].concat()
}

#[test]
fn filter_chains_come_over_ads_and_change_without_their_listener() {
    let scenario = |start: &dyn Fn(&Plane) -> (Proxy, tempfile::TempDir)| {
        let (blue, green) = (Upstream::named("blue"), Upstream::named("green"));
        let plane = Plane::with(&resources(&blue, &green, "blue"));
        let (proxy, _directory) = start(&plane);
        assert_eq!(Client::connect(&proxy).get("/"), "blue");
        plane.set(&resources(&blue, &green, "green")).unwrap();
        assert_eq!(Client::connect(&proxy).get("/"), "green");
        let bad = resources(&blue, &green, "blue").replace("stat_prefix: found", "stat_prefix: ''");
        let nack = plane.set(&bad).unwrap_err().to_string();
        assert!(nack.to_lowercase().contains("prefix"), "{nack}");
        assert_eq!(Client::connect(&proxy).get("/"), "green");
    };
    with_each(scenario);
    scenario(&|plane| start(plane, Variant::Sotw));
}
