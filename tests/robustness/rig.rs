//! A proxy in front of one upstream host, and what is asked of it when an attack is over.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use crate::common::Proxy;
use crate::frames::{self, Client};
use crate::upstream::Upstream;
use crate::wire::{PATIENCE, Wire};

/// Bytes that an attack may leave the process larger by: the allocator keeps some of what it was given back.
const GROWTH: u64 = 48 * 1024 * 1024;

/// Gauges that are zero when nobody is connected.
const GAUGES: [&str; 5] = [
    "http.web.downstream_cx_active",
    "http.web.downstream_rq_active",
    "http.web.downstream_cx_http1_active",
    "http.web.downstream_cx_http2_active",
    "cluster.app.upstream_rq_active",
];

/// What differs between tests, as YAML.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// Fields of the connection manager.
    pub(crate) manager: &'static str,
    /// Fields of the cluster.
    pub(crate) cluster: &'static str,
    /// Fields of the route to it.
    pub(crate) route: &'static str,
    /// Whether the host speaks HTTP/2.
    pub(crate) http2: bool,
    /// Values of the runtime.
    pub(crate) runtime: &'static str,
    /// More arguments.
    pub(crate) args: &'static [&'static str],
}

/// A running proxy.
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) address: SocketAddr,
    /// Whether it speaks HTTP/2 alone.
    http2_only: bool,
    at_start: u64,
    _directory: tempfile::TempDir,
}

impl Rig {
    /// A proxy in front of `upstream`; `/self` it answers itself.
    pub(crate) fn start(upstream: &Upstream, setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("bootstrap.yaml");
        fs::write(&config, bootstrap(upstream.address.port(), setup)).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_dragoman"));
        let args = [&["--concurrency", "1"], setup.args].concat();
        let proxy = Proxy::start(program, &config, &args, directory.path());
        let proxy = proxy.unwrap_or_else(|error| panic!("{error}"));
        let address = proxy.listeners().unwrap()["web"];
        let http2_only = setup.manager.contains("codec_type: HTTP2");
        let rig = Rig { proxy, address, http2_only, at_start: 0, _directory: directory };
        // What is made at first use is no growth.
        rig.serves_others();
        Rig { at_start: rig.resident(), ..rig }
    }

    pub(crate) fn http1(&self) -> Wire {
        Wire::connect(self.address)
    }

    pub(crate) fn http2(&self) -> Client {
        Client::plain(self.address)
    }

    /// Sends a request on a connection of its own, and takes the status of the answer.
    pub(crate) fn get(&self, path: &str) -> u16 {
        let mut wire = self.http1();
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes());
        wire.response().map_or(0, |response| response.status)
    }

    /// The value of a statistic; 0 while there is none.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let body = self.proxy.get(&format!("/stats?filter=^{name}$")).unwrap().body;
        let text = String::from_utf8(body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a statistic is as wanted.
    pub(crate) fn until(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.stat(name)) {
            let now = self.stat(name);
            assert!(Instant::now() < deadline, "{name} stays {now}\n{}", self.proxy.log());
        }
    }

    /// That the proxy serves other connections while an attack goes on.
    pub(crate) fn serves_others(&self) {
        if !self.http2_only {
            assert_eq!(self.get("/self"), 200, "{}", self.proxy.log());
        }
        let mut client = self.http2();
        client.wire.send(&frames::get(1, "/self"));
        assert_eq!(client.status(1), 200, "{}", self.proxy.log());
    }

    /// That an attack is over: others are served, the gauges are zero, and the process has not grown.
    pub(crate) fn recovers(&self) {
        self.serves_others();
        for gauge in GAUGES {
            self.until(gauge, |value| value == 0);
        }
        assert_eq!(self.stat("server.connection_panics"), 0, "{}", self.proxy.log());
        let log = self.proxy.log();
        assert!(!log.contains("panicked"), "{log}");
        let growth = self.resident().saturating_sub(self.at_start);
        assert!(growth < GROWTH, "it grew by {growth} bytes");
    }

    /// Asks the process to end.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.proxy.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Bytes of memory that the process has.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.proxy.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }
}

fn bootstrap(upstream: u16, setup: Setup) -> String {
    let Setup { manager, cluster, route, http2, runtime, .. } = setup;
    let protocol = if http2 { "http2_protocol_options: {}" } else { "http_protocol_options: {}" };
    format!(
        r#"
node: {{id: test, cluster: test}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
layered_runtime: {{layers: [{{name: static, static_layer: {{{runtime}}}}}]}}
static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          {manager}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{match: {{path: /self}}, direct_response: {{status: 200}}}}
              - {{match: {{prefix: /}}, route: {{cluster: app, {route}}}}}
  clusters:
  - name: app
    {cluster}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{{protocol}}}
    load_assignment:
      cluster_name: app
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}}}]}}]
"#
    )
}
