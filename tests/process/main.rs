//! What shows in the process alone: what it writes to its output, when it looks at its statistics, the sockets of its
//! admin interface.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod common;
mod processors;
mod unknown_fields;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use common::Proxy;

/// The longest wait for what must come; less than the interval in which statistics are flushed by default.
const PATIENCE: Duration = Duration::from_secs(4);

/// A proxy whose bootstrap has this besides a listener `web` that answers itself and logs to `log`.
fn start(more: &str, admin: &str, log: &str, directory: &Path) -> Proxy {
    start_with("", more, admin, log, directory)
}

/// The same with more fields of the listener.
fn start_with(listener: &str, more: &str, admin: &str, log: &str, directory: &Path) -> Proxy {
    let bootstrap = format!(
        r#"
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
{admin}
{more}
static_resources:
  listeners:
  - name: web
    {listener}
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          access_log: [{log}]
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]}}]}}
          http_filters: [{{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]
"#
    );
    let config = directory.join("bootstrap.yaml");
    std::fs::write(&config, bootstrap).unwrap();
    start_from(&config, 1, directory)
}

/// A proxy with this bootstrap and so many workers.
fn start_from(config: &Path, workers: usize, directory: &Path) -> Proxy {
    let args = [
        "--concurrency",
        &workers.to_string(),
        "--disable-hot-restart",
        "--file-flush-interval-msec",
        "1",
        "--allow-unknown-static-fields",
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_dragoman"));
    Proxy::start(program, config, &args, directory).unwrap_or_else(|error| panic!("{error}"))
}

fn ask(proxy: &Proxy, path: &str) {
    let mut stream = TcpStream::connect(proxy.listeners().unwrap()["web"]).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// Waits until `text` gives something that contains this.
fn until(wanted: &str, text: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !text().contains(wanted) {
        assert!(Instant::now() < deadline, "no {wanted:?} in {}", text());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An access log of this type in the package of streams.
fn stream(kind: &str) -> String {
    format!(
        "{{name: log, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.{kind}, \
         log_format: {{text_format_source: {{inline_string: \"%REQ(:PATH)% by {kind}\\n\"}}}}}}}}"
    )
}

#[test]
fn access_logs_go_to_both_outputs_of_the_process() {
    for kind in ["StdoutAccessLog", "StderrAccessLog"] {
        let directory = tempfile::tempdir().unwrap();
        let proxy = start("", "", &stream(kind), directory.path());
        ask(&proxy, "/there");
        until(&format!("/there by {kind}"), || proxy.log());
    }
}

#[test]
fn the_application_log_has_the_configured_form() {
    let directory = tempfile::tempdir().unwrap();
    let more = "application_log_config: {log_format: {text_format: \"<%l> %v\"}}";
    let proxy = start(more, "", "", directory.path());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(proxy.child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    until("<", || proxy.log());
    let log = proxy.log();
    assert!(log.lines().any(|line| line.starts_with("<warning> ") || line.starts_with("<info> ")), "{log}");
}

#[test]
fn requests_to_the_admin_interface_are_logged_by_path_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.log");
    let admin = format!("  access_log_path: {}", path.display());
    let proxy = start("", &admin, "", directory.path());
    proxy.get("/certs").unwrap();
    until("\"GET /certs HTTP/1.1\" 200", || std::fs::read_to_string(&path).unwrap_or_default());
}

#[test]
fn the_admin_interface_listens_with_its_options() {
    let directory = tempfile::tempdir().unwrap();
    // IP_TOS goes to the connections that are accepted, and no further; that it is set shows in the start alone.
    let admin = "  socket_options: [{level: 0, name: 1, int_value: 16}]";
    let proxy = start("", admin, "", directory.path());
    assert_eq!(proxy.get("/ready").unwrap().status, 200);
}

#[test]
fn histograms_are_merged_as_often_as_configured_or_when_they_are_looked_at() {
    let shown = |proxy: &Proxy| {
        let answer = proxy.get("/stats?filter=http.web.downstream_rq_time").unwrap();
        String::from_utf8(answer.body).unwrap()
    };
    for more in ["stats_flush_interval: 0.02s", "stats_flush_on_admin: true"] {
        let directory = tempfile::tempdir().unwrap();
        let proxy = start(more, "", "", directory.path());
        ask(&proxy, "/");
        until("P100(", || shown(&proxy));
    }
}

#[test]
fn inbound_listeners_alone_are_drained_where_that_is_asked_for() {
    for (direction, serves) in [("INBOUND", false), ("OUTBOUND", true)] {
        let directory = tempfile::tempdir().unwrap();
        let proxy = start_with(&format!("traffic_direction: {direction}"), "", "", "", directory.path());
        let web = proxy.listeners().unwrap()["web"];
        let mut admin = TcpStream::connect(proxy.admin).unwrap();
        let request = "POST /drain_listeners?inboundonly HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        admin.write_all(request.as_bytes()).unwrap();
        admin.read_to_end(&mut Vec::new()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !serves && TcpStream::connect(web).is_ok() {
            assert!(Instant::now() < deadline, "it still listens");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(TcpStream::connect(web).is_ok(), serves, "{direction}");
    }
}

#[test]
fn unknown_fields_of_the_bootstrap_are_counted_once_for_its_text() {
    let directory = tempfile::tempdir().unwrap();
    // Envoy 1.40 stops at the first, and takes the rest of the text as it is.
    let proxy = start("node: {id: a, colour: blue, taste: sweet}", "", "", directory.path());
    let answer = proxy.get("/stats?filter=unknown_fields").unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(text, "server.dynamic_unknown_fields: 0\nserver.static_unknown_fields: 1\n");
}
