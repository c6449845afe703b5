//! Sessions that are resumed elsewhere or later, and the log of keys.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::common::Proxy;
use super::secure::{Secure, pem, trusting_in};
use super::setup::start_program;

/// Keys of tickets: this letter, 80 times.
fn keys(letters: &[char]) -> String {
    let keys = letters.iter().map(|letter| format!("{{inline_string: {}}}", letter.to_string().repeat(80)));
    format!("session_ticket_keys: {{keys: [{}]}}", keys.collect::<Vec<_>>().join(", "))
}

/// A proxy that answers by itself over TLS; `context` and `common` go into its contexts.
fn start(context: &str, common: &str) -> (Proxy, tempfile::TempDir) {
    let bootstrap = format!(
        r#"
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
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
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: up}}}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          {context}
          common_tls_context:
            tls_certificates: [{{certificate_chain: {{filename: "{}"}}, private_key: {{filename: "{}"}}}}]
            {common}
"#,
        pem("server.pem").display(),
        pem("server.key").display()
    );
    start_program(Path::new(env!("CARGO_BIN_EXE_dragoman")), &["--concurrency", "1"], &bootstrap)
}

fn client(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = trusting_in(&[version]).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

/// One request on a connection of its own; whether its session is an earlier one.
fn is_resumed(proxy: &Proxy, config: &Arc<ClientConfig>) -> bool {
    let mut connection = Secure::greet(proxy, config).unwrap();
    assert_eq!(connection.get().unwrap(), "HTTP/1.1 200");
    connection.is_resumed()
}

#[test]
fn a_session_is_resumed_at_another_proxy_with_its_key() {
    let (first, _one) = start(&keys(&['a']), "");
    let (second, _two) = start(&keys(&['b', 'a']), "");
    let (third, _three) = start(&keys(&['b']), "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(client(version));
        assert!(!is_resumed(&first, &config), "{version:?}");
        assert!(is_resumed(&second, &config), "{version:?}");
        assert!(is_resumed(&third, &config), "{version:?}: the second has sealed one with its first key");
        let config = Arc::new(client(version));
        assert!(!is_resumed(&first, &config), "{version:?}");
        assert!(!is_resumed(&third, &config), "{version:?}: the key is not there");
    }
}

#[test]
fn a_session_is_not_resumed_where_more_is_asked_of_the_client() {
    let (open, _one) = start(&keys(&['a']), "");
    let asking = format!("{}\n          require_client_certificate: true", keys(&['a']));
    let trusted = format!("validation_context: {{trusted_ca: {{filename: '{}'}}}}", pem("ca.pem").display());
    let (closed, _two) = start(&asking, &trusted);
    let config = Arc::new(client(&rustls::version::TLS12));
    assert!(!is_resumed(&open, &config));
    // The ticket is worth nothing there, so a certificate is asked for.
    let error = Secure::greet(&closed, &config).err().unwrap();
    assert!(error.to_string().contains("alert"), "{error}");
}

/// A clock that is so many seconds fast.
#[derive(Debug, Default)]
struct Fast(AtomicU64);

impl TimeProvider for Fast {
    fn current_time(&self) -> Option<UnixTime> {
        let fast = Duration::from_secs(self.0.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + fast))
    }
}

#[test]
fn a_client_is_told_for_how_long_its_session_may_be_resumed() {
    let (long, short) = ("", "session_timeout: 3000s");
    for (context, seconds, expected) in
        [(long, 2000, true), (long, 6000, true), (short, 2000, true), (short, 6000, false)]
    {
        let (proxy, _directory) = start(context, "");
        let clock = Arc::new(Fast::default());
        let mut config = client(&rustls::version::TLS12);
        config.time_provider = Arc::clone(&clock) as _;
        let config = Arc::new(config);
        assert!(!is_resumed(&proxy, &config));
        clock.0.store(seconds, Ordering::Relaxed);
        assert_eq!(is_resumed(&proxy, &config), expected, "{context} after {seconds} s");
    }
}

/// What the client's own library tells of its keys, as lines of the log.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl rustls::KeyLog for Told {
    fn log(&self, label: &str, random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.0.lock().unwrap().push(format!("{label} {} {}", hex(random), hex(secret)));
    }
}

/// The lines that a proxy with these ranges writes, and those of its client.
fn logged(ranges: &str) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let (mut proxy, _directory) = start("", &format!("key_log: {{path: '{}', {ranges}}}", path.display()));
    let mut told = Vec::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let log = Arc::new(Told::default());
        let mut config = client(version);
        config.key_log = Arc::clone(&log) as _;
        assert!(!is_resumed(&proxy, &Arc::new(config)));
        told.extend(log.0.lock().unwrap().clone());
    }
    // What is left is written when it ends.
    super::terminate(&proxy);
    proxy.child.wait().unwrap();
    let lines = std::fs::read_to_string(path).unwrap();
    let sorted = |lines: Vec<String>| {
        let mut lines = lines;
        lines.sort();
        lines
    };
    (sorted(lines.lines().map(str::to_owned).collect()), sorted(told))
}

#[test]
fn keys_are_logged_of_connections_in_the_ranges_alone() {
    for ranges in [
        "",
        "local_address_range: [{address_prefix: 127.0.0.0, prefix_len: 8}]",
        "local_address_range: [{address_prefix: 10.0.0.0, prefix_len: 8}, {address_prefix: 127.0.0.1, prefix_len: 32}], \
         remote_address_range: [{address_prefix: 127.0.0.0, prefix_len: 8}]",
    ] {
        let (lines, told) = logged(ranges);
        assert_eq!(lines, told, "{ranges}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("CLIENT_RANDOM ")).count(), 1, "{ranges}");
    }
    for ranges in [
        "local_address_range: [{address_prefix: 10.0.0.0, prefix_len: 8}]",
        "local_address_range: [{address_prefix: 127.0.0.0, prefix_len: 8}], \
         remote_address_range: [{address_prefix: '::1', prefix_len: 128}]",
    ] {
        assert!(logged(ranges).0.is_empty(), "{ranges}");
    }
}
