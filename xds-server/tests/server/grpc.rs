//! gRPC's own xDS client, from Python's grpcio.
//!
//! Without it the test says that it is skipped; with `DRAGOMAN_REQUIRE_GRPC` set it fails.

use std::process::Stdio;

use dragoman_xds::{Audience, CLUSTER, Catalog, ENDPOINTS, Handle, LISTENER, ROUTE, Server, load_str};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::{shout, within};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/grpc_client.py");

/// `DRAGOMAN_GRPC_PYTHON`, or `python3` on the PATH.
fn python() -> Command {
    Command::new(std::env::var_os("DRAGOMAN_GRPC_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// A client that makes a call when told to.
struct Client {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Client {
    /// Whether Python can import grpcio.
    async fn is_there() -> bool {
        let there = python().args(["-c", "import grpc"]).stderr(Stdio::null()).status().await;
        let there = there.is_ok_and(|status| status.success());
        if !there {
            assert!(std::env::var_os("DRAGOMAN_REQUIRE_GRPC").is_none(), "no grpcio: pip install grpcio");
            shout("SKIPPED: Python has no grpcio (pip install grpcio)");
        }
        there
    }

    fn start(plane: &Handle) -> Self {
        let bootstrap = format!(
            r#"{{"xds_servers": [{{"server_uri": "127.0.0.1:{}", "channel_creds": [{{"type": "insecure"}}],
                "server_features": ["xds_v3"]}}], "node": {{"id": "grpc", "cluster": "tests"}}}}"#,
            plane.port()
        );
        let mut child = python()
            .arg(SCRIPT)
            .env("GRPC_XDS_BOOTSTRAP_CONFIG", bootstrap)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, stdin, stdout }
    }

    async fn line(&mut self) -> String {
        let line = within("a line from the client", self.stdout.next_line()).await.unwrap();
        line.expect("the client has not ended")
    }

    /// Makes a call; returns who answered.
    async fn call(&mut self) -> String {
        self.stdin.write_all(b"\n").await.unwrap();
        self.line().await
    }

    /// Makes calls until they are answered by the right one: gRPC says ACK before it connects elsewhere.
    async fn call_until(&mut self, answer: &str) {
        let calls = async { while self.call().await != answer {} };
        within("that the other server answers", calls).await;
    }
}

/// A service at this port, as gRPC wants it: an API listener, and everything over ADS.
fn service(port: &str, cluster: &str) -> Catalog {
    let text = format!(
        r#"
listeners:
- name: who
  api_listener:
    api_listener:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      rds: {{route_config_name: r, config_source: {{ads: {{}}, resource_api_version: V3}}}}
      http_filters:
      - name: router
        typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
routes:
- name: r
  virtual_hosts:
  - {{name: all, domains: ["*"], routes: [{{match: {{prefix: ""}}, route: {{cluster: {cluster}}}}}]}}
clusters:
- name: {cluster}
  type: EDS
  eds_cluster_config: {{eds_config: {{ads: {{}}, resource_api_version: V3}}}}
endpoints:
- cluster_name: {cluster}
  endpoints:
  - locality: {{zone: here}}
    load_balancing_weight: 1
    lb_endpoints:
    - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"#
    );
    Catalog::new(load_str(&text).unwrap().into_iter().map(|resource| (Audience::All, resource)))
}

#[tokio::test]
async fn grpc_follows_changes() {
    if !Client::is_there().await {
        return;
    }
    let plane = Server::builder().start().await.unwrap();
    let mut client = Client::start(&plane);
    let ports = client.line().await;
    let (blue, green) = ports.split_once(' ').unwrap();

    plane.publish(service(blue, "app"));
    client.call_until("blue").await;
    // It asks for everything by name.
    let status = plane.status();
    let asked: Vec<_> =
        status.streams[0].subscriptions.iter().map(|one| (&*one.type_url, &one.names[..])).collect();
    let name = |name: &str| vec![name.to_owned()];
    assert_eq!(
        asked,
        [
            (CLUSTER, &name("app")[..]),
            (ENDPOINTS, &name("app")),
            (LISTENER, &name("who")),
            (ROUTE, &name("r"))
        ]
    );

    within("other endpoints", plane.set(service(green, "app"))).await.unwrap();
    client.call_until("green").await;
    within("another cluster", plane.set(service(blue, "next"))).await.unwrap();
    client.call_until("blue").await;
}
