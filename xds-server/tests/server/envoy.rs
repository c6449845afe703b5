//! Real Envoy as the client: each way to reach the server, live changes, NACKs.

use std::fs;
use std::net::SocketAddr;

use crate::support::envoy::{Api, Envoy, find};
use crate::support::http::{Upstream, get};
use crate::support::{replace, within};
use dragoman_xds::{
    CLUSTER, EXTENSION, Handle, LISTENER, ROUTE, RUNTIME, SCOPED_ROUTE, Server, Status, SubscriptionStatus,
    VIRTUAL_HOST, load_str,
};
use tempfile::TempDir;

const SOTW: &str = "GRPC";
const DELTA: &str = "DELTA_GRPC";

/// A server for a directory, and an Envoy that is its client.
struct Setup {
    directory: TempDir,
    plane: Handle,
    envoy: Envoy,
    api: Api,
}

impl Setup {
    /// Serves `/` from the upstream. `None` if there is no Envoy.
    async fn start(api: Api, upstream: SocketAddr) -> Option<Self> {
        let program = find()?;
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("listeners.yaml"), listener(api, "127.0.0.1")).unwrap();
        fs::write(directory.path().join("routes.yaml"), routes("app")).unwrap();
        fs::write(directory.path().join("clusters.yaml"), cluster(api, "app", 5, upstream)).unwrap();
        let plane = Server::builder().directory(directory.path()).start().await.unwrap();
        let envoy = Envoy::start(program, api, plane.port());
        let setup = Self { directory, plane, envoy, api };
        setup.routes_in_force(1).await;
        Some(setup)
    }

    fn replace(&self, file: &str, text: &str) {
        replace(&self.directory.path().join(file), text);
    }

    /// Waits until Envoy has accepted everything of a generation, routes included.
    async fn routes_in_force(&self, generation: u64) {
        let accepted = self.plane.wait_for(|status| {
            let routes = subscriptions(status, ROUTE).any(|routes| routes.last_ack.is_some());
            let all = status.streams.iter().all(|stream| stream.generation >= generation);
            let answered = status.streams.iter().flat_map(|stream| &stream.subscriptions);
            (routes && all && answered.clone().all(|one| one.unanswered.is_none())).then_some(())
        });
        within("that Envoy accepts the routes", accepted).await;
    }

    async fn get(&self, path: &str) -> (u16, String) {
        get(self.envoy.listener("web").await, path).await
    }
}

fn subscriptions<'a>(status: &'a Status, type_url: &str) -> impl Iterator<Item = &'a SubscriptionStatus> {
    let all = status.streams.iter().flat_map(|stream| &stream.subscriptions);
    all.filter(move |subscription| subscription.type_url == type_url)
}

fn listener(api: Api, address: &str) -> String {
    let source = api.config_source();
    format!(
        r#"
listeners:
- name: web
  address: {{socket_address: {{address: {address}, port_value: 0}}}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: web
        rds: {{route_config_name: web, config_source: {source}}}
        http_filters:
        - name: envoy.filters.http.router
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#
    )
}

fn routes(cluster: &str) -> String {
    format!(
        r#"
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: web
virtual_hosts:
- name: all
  domains: ["*"]
  routes:
  - match: {{prefix: /}}
    route:
      cluster: {cluster}
"#
    )
}

fn cluster(api: Api, name: &str, connect_timeout: u32, upstream: SocketAddr) -> String {
    let source = api.config_source();
    let port = upstream.port();
    format!(
        r#"
clusters:
- name: {name}
  connect_timeout: {connect_timeout}s
  type: EDS
  eds_cluster_config: {{eds_config: {source}}}
endpoints:
- cluster_name: {name}
  endpoints:
  - lb_endpoints:
    - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"#
    )
}

/// Every kind of change, over one way to reach the server.
async fn live_changes(api: Api) {
    let (blue, green) = (Upstream::that_says("blue").await, Upstream::that_says("green").await);
    let Some(setup) = Setup::start(api, blue.address).await else { return };
    assert_eq!(setup.get("/").await, (200, "blue".into()));

    // New endpoints for the same cluster.
    setup.replace("clusters.yaml", &cluster(setup.api, "app", 5, green.address));
    setup.routes_in_force(2).await;
    assert_eq!(setup.get("/").await, (200, "green".into()));

    // The cluster alone changes: Envoy warms it and needs the endpoints that it had.
    setup.replace("clusters.yaml", &cluster(setup.api, "app", 6, green.address));
    setup.routes_in_force(3).await;
    assert_eq!(setup.get("/").await, (200, "green".into()));

    // Another cluster takes over. The two files change one after the other, so that each change is complete.
    setup.replace("more.yaml", &cluster(setup.api, "next", 5, blue.address));
    setup.routes_in_force(4).await;
    setup.replace("routes.yaml", &routes("next"));
    setup.routes_in_force(5).await;
    assert_eq!(setup.get("/").await, (200, "blue".into()));
    fs::remove_file(setup.directory.path().join("clusters.yaml")).unwrap();
    setup.routes_in_force(6).await;
    assert_eq!(setup.get("/").await, (200, "blue".into()));
    assert!(!setup.envoy.admin("/clusters").await.contains("app::"), "the old cluster is gone");

    // What refers to nothing is refused, and what was served is still served.
    setup.replace("routes.yaml", &routes("gone"));
    let refused = setup.plane.wait_for(|status| status.problems.first().cloned());
    let problem = within("that the change is refused", refused).await;
    assert!(
        problem.contains(r#"routes.yaml:10: RouteConfiguration "web" refers to Cluster "gone""#),
        "{problem}"
    );
    assert_eq!(setup.get("/").await, (200, "blue".into()));

    // What Envoy rejects is seen with its words.
    setup.replace("routes.yaml", &routes("next"));
    setup.replace("listeners.yaml", &listener(setup.api, "300.1.1.1"));
    let rejected = setup.plane.wait_for(|status| {
        subscriptions(status, LISTENER)
            .filter(|one| one.rejected)
            .find_map(|one| one.last_nack.clone()?.error)
    });
    let error = within("that Envoy rejects the listener", rejected).await;
    assert!(error.contains("malformed IP address: 300.1.1.1"), "{error}");
    assert_eq!(setup.get("/").await, (200, "blue".into()));
    setup.plane.shutdown().await;
}

#[tokio::test]
async fn envoy_follows_changes_over_ads() {
    live_changes(Api::Ads(SOTW)).await;
}

#[tokio::test]
async fn envoy_follows_changes_over_delta_ads() {
    live_changes(Api::Ads(DELTA)).await;
}

#[tokio::test]
async fn envoy_follows_changes_over_a_stream_for_each_type() {
    live_changes(Api::PerType(SOTW)).await;
}

#[tokio::test]
async fn envoy_follows_changes_over_a_delta_stream_for_each_type() {
    live_changes(Api::PerType(DELTA)).await;
}

#[tokio::test]
async fn envoy_keeps_serving_while_the_server_is_away_and_catches_up() {
    let (blue, green) = (Upstream::that_says("blue").await, Upstream::that_says("green").await);
    let Some(setup) = Setup::start(Api::Ads(DELTA), blue.address).await else { return };
    setup.plane.refuse_connections(true);
    setup.plane.drop_streams();
    let gone = setup.plane.wait_for(|status| status.streams.is_empty().then_some(()));
    within("that the stream is dropped", gone).await;
    setup.replace("clusters.yaml", &cluster(setup.api, "app", 5, green.address));
    let changed = setup.plane.wait_for(|status| (status.generation == 2).then_some(()));
    within("the change", changed).await;
    assert_eq!(setup.get("/").await, (200, "blue".into()));
    setup.plane.refuse_connections(false);
    within("that Envoy comes back", setup.plane.settled()).await.unwrap();
    assert_eq!(setup.get("/").await, (200, "green".into()));
    let clusters = setup.plane.status();
    assert!(subscriptions(&clusters, CLUSTER).all(|clusters| clusters.last_ack.is_none()), "{clusters}");
}

/// The types of which not every configuration has resources; VHDS exists in delta only.
#[tokio::test]
async fn envoy_gets_runtimes_extensions_scopes_and_virtual_hosts() {
    let Some(program) = find() else { return };
    let ads = Api::Ads(DELTA).config_source();
    let resources = load_str(&format!(
        r#"
listeners:
- name: web
  address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: web
        scoped_routes:
          name: scopes
          rds_config_source: {ads}
          scope_key_builder:
            fragments:
            - header_value_extractor: {{name: host, element_separator: ":", index: 0}}
          scoped_rds: {{scoped_rds_config_source: {ads}}}
        http_filters:
        - name: on_demand
          typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand}}
        - name: router
          config_discovery:
            config_source: {ads}
            type_urls: [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router]
scoped_routes:
- name: scope
  route_configuration_name: r
  key: {{fragments: [{{string_key: test}}]}}
routes:
- name: r
  vhds: {{config_source: {ads}}}
extensions:
- name: router
  typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
runtimes:
- name: rtds
  layer: {{some.key: 7}}
"#
    ))
    .unwrap();
    let host = |answer: &str| {
        let host = format!(
            r#"
"@type": type.googleapis.com/envoy.service.discovery.v3.Resource
name: r/all
resource:
  "@type": type.googleapis.com/envoy.config.route.v3.VirtualHost
  name: all
  domains: [test]
  routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: {answer}}}}}}}]
"#
        );
        load_str(&host).unwrap()
    };
    let all = |answer| [resources.clone(), host(answer)].concat();
    let plane = Server::builder().resources(all("blue")).start().await.unwrap();
    let envoy = Envoy::start(program, Api::Ads(DELTA), plane.port());
    let accepted = plane.wait_for(|status| {
        let accepted = |kind| subscriptions(status, kind).any(|one| one.last_ack.is_some());
        [RUNTIME, EXTENSION, SCOPED_ROUTE, ROUTE, VIRTUAL_HOST].into_iter().all(accepted).then_some(())
    });
    within("that Envoy accepts all types", accepted).await;
    assert_eq!(get(envoy.listener("web").await, "/").await, (200, "blue".into()));
    assert!(envoy.admin("/runtime").await.contains("some.key"));
    within("another virtual host", plane.set(all("green"))).await.unwrap();
    assert_eq!(get(envoy.listener("web").await, "/").await, (200, "green".into()));
}
