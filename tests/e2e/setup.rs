//! A control plane, upstreams and a proxy, and clients that ask it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use dragoman_xds::{Builder, Handle, Nack, NodeLoad, Resource, Server, load_str};
use tokio::runtime::Runtime;

use super::common::Proxy;

/// The longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What proxies told of their load, by `node.id`.
pub(crate) type Loads = BTreeMap<String, NodeLoad>;

/// Which variant of xDS the proxy speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variant {
    Sotw,
    Delta,
}

/// A management server on a runtime of its own.
pub(crate) struct Plane {
    runtime: Runtime,
    pub(crate) handle: Handle,
}

impl Plane {
    pub(crate) fn with(resources: &str) -> Self {
        Self::start(Server::builder().resources(load_str(resources).unwrap()))
    }

    /// The same, with more asked of it.
    pub(crate) fn start(builder: Builder) -> Self {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.block_on(builder.start()).unwrap();
        Plane { runtime, handle }
    }

    /// Waits until what the proxies told of their load is as `wanted`.
    pub(crate) fn load(&self, wanted: impl Fn(&Loads) -> bool) -> Loads {
        let control = self.handle.control();
        let told =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, control.load(wanted)).await });
        told.unwrap_or_else(|_| panic!("told: {:#?}", control.status().load))
    }

    /// Serves these resources, and waits until the proxy has answered.
    pub(crate) fn set(&self, resources: &str) -> Result<(), Nack> {
        self.publish(load_str(resources).unwrap())
    }

    /// The same.
    pub(crate) fn publish(&self, resources: Vec<Resource>) -> Result<(), Nack> {
        let control = self.handle.control();
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, control.set(resources)).await }).unwrap()
    }
}

/// A proxy that takes everything from the plane, and its directory.
pub(crate) fn start(plane: &Plane, variant: Variant) -> (Proxy, tempfile::TempDir) {
    let program = Path::new(env!("CARGO_BIN_EXE_dragoman"));
    let args = ["--concurrency", "2", "--drain-time-s", "10", "--drain-strategy", "immediate"];
    start_program(program, &args, &bootstrap(plane, variant))
}

/// Runs a scenario against dragoman, and against Envoy where there is one; both speak incremental xDS.
pub(crate) fn with_each(scenario: impl Fn(&dyn Fn(&Plane) -> (Proxy, tempfile::TempDir))) {
    scenario(&|plane| start(plane, Variant::Delta));
    if let Some(envoy) = super::common::envoy() {
        let args = ["--use-dynamic-base-id", "--concurrency", "2", "--drain-time-s", "10"];
        scenario(&|plane| start_program(&envoy, &args, &bootstrap(plane, Variant::Delta)));
    }
}

/// Runs a scenario against dragoman, and against Envoy where there is one; both have one worker, and the bootstrap that
/// the scenario starts them with.
pub(crate) fn with_each_program(scenario: impl Fn(&dyn Fn(&str) -> (Proxy, tempfile::TempDir))) {
    let dragoman = Path::new(env!("CARGO_BIN_EXE_dragoman"));
    scenario(&|bootstrap| start_program(dragoman, &["--concurrency", "1"], bootstrap));
    if let Some(envoy) = super::common::envoy() {
        let args = ["--use-dynamic-base-id", "--concurrency", "1"];
        scenario(&|bootstrap| start_program(&envoy, &args, bootstrap));
    }
}

/// A program with this bootstrap, and its directory.
pub(crate) fn start_program(program: &Path, args: &[&str], bootstrap: &str) -> (Proxy, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bootstrap.yaml");
    std::fs::write(&config, bootstrap).unwrap();
    let proxy =
        Proxy::start(program, &config, args, directory.path()).unwrap_or_else(|error| panic!("{error}"));
    (proxy, directory)
}

/// The bootstrap of a proxy that takes everything from the plane.
pub(crate) fn bootstrap(plane: &Plane, variant: Variant) -> String {
    let api_type = match variant {
        Variant::Sotw => "GRPC",
        Variant::Delta => "DELTA_GRPC",
    };
    format!(
        r#"
node: {{id: test, cluster: test}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
dynamic_resources:
  ads_config: {{api_type: {api_type}, grpc_services: [{{envoy_grpc: {{cluster_name: plane}}}}]}}
  cds_config: {{ads: {{}}}}
  lds_config: {{ads: {{}}}}
static_resources:
  clusters:
  - name: plane
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: plane
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}]
"#,
        plane.handle.port()
    )
}

/// A cluster with one endpoint.
pub(crate) fn cluster(name: &str, upstream: &Upstream) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {name}
  type: EDS
  eds_cluster_config: {{eds_config: {{ads: {{}}}}}}
- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: {name}
  endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}]
"#,
        upstream.address.port()
    )
}

/// A listener on a free port whose routes come by RDS; `more` goes into its connection manager.
pub(crate) fn listener(more: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: web
        rds: {{route_config_name: routes, config_source: {{ads: {{}}}}}}
        http_filters:
        - name: envoy.filters.http.router
          typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
        {more}
"#
    )
}

/// The same, with the route tables of scopes; a request's scope is its path.
pub(crate) fn scoped_listener() -> String {
    const RDS: &str = "rds: {route_config_name: routes, config_source: {ads: {}}}";
    let scoped = r#"scoped_routes:
          name: scopes
          scope_key_builder: {fragments: [{header_value_extractor: {name: ":path", index: 0}}]}
          rds_config_source: {ads: {}}
          scoped_rds: {scoped_rds_config_source: {ads: {}}}"#;
    let listener = listener("");
    assert!(listener.contains(RDS));
    listener.replace(RDS, scoped)
}

/// The scope of the requests for a path; `table` is the field that says which table is theirs.
pub(crate) fn scope(name: &str, path: &str, table: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration
  name: {name}
  key: {{fragments: [{{string_key: {path}}}]}}
  {table}
"#
    )
}

/// A route table that sends everything to one cluster.
pub(crate) fn routes_to(cluster: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: {cluster}}}}}]}}]
"#
    )
}

/// An upstream that answers with its name; a request for `/slow` waits until it is told to be answered.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// Told when a slow request has come.
    pub(crate) slow: Receiver<Sender<()>>,
}

impl Upstream {
    pub(crate) fn named(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, slow) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || answer(stream, name, &sender));
            }
        });
        Upstream { address, slow }
    }
}

fn answer(stream: TcpStream, name: &str, slow: &Sender<Sender<()>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::from("x");
        while !line.trim().is_empty() {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
        }
        if first.contains("/slow") {
            let (release, released) = channel();
            slow.send(release).ok();
            released.recv_timeout(PATIENCE).ok();
        }
        let response = format!(
            "HTTP/1.1 200 OK\r\nendpoint-load-metrics: TEXT cpu_utilization=0.5,named_metrics.queue=3\r\n\
             content-length: {}\r\n\r\n{name}",
            name.len()
        );
        if writer.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// A client's connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(proxy: &Proxy) -> Self {
        let address = proxy.listeners().unwrap()["web"];
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, path: &str) {
        self.send_bytes(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
    }

    /// Sends a request, or a part of one.
    pub(crate) fn send_bytes(&mut self, bytes: &str) {
        self.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// The head and the body of the next response.
    pub(crate) fn receive(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "closed after {head:?}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    pub(crate) fn get(&mut self, path: &str) -> String {
        self.send(path);
        self.receive().1
    }

    /// Whether the proxy has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0; 1]).is_ok_and(|count| count == 0)
    }
}
