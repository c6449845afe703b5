//! The same configurations given to the real Envoy: both must take them or both refuse them.
//!
//! Runs where `envoy` is on the PATH, or `ENVOY_BIN` names it. Where `DRAGOMAN_REQUIRE_ENVOY` or `CI` is set, it must
//! be there.

use std::{env, path::Path, process::Command};

use dragoman_proto::{encode, encode::Options, encode_text, inspect, tree};

const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// Fields of a cluster in YAML.
const CLUSTERS: &[&str] = &[
    "connect_timeout: 5s",
    "connect_timeout: 1000ms",
    "connect_timeout: 5",
    "connect_timeout: 5.0",
    "connect_timeout: {seconds: 5, nanos: 1}",
    "connect_timeout: {seconds: '5'}",
    "connect_timeout: 1m",
    "connect_timeout: +1s",
    "connect_timeout: .5s",
    "connect_timeout: 1.s",
    "connect_timeout: 01s",
    "connect_timeout: 1.1234567891s",
    "connect_timeout: 315576000001s",
    "connect_timeout: [5s]",
    "connect_timeout: true",
    "connect_timeout: null",
    "connect_timeout: ''",
    "connect_timeout: 0s",
    "connectTimeout: 5s",
    "Connect_Timeout: 5s",
    "nofield: 5",
    "dns_lookup_family: v4_only",
    "dns_lookup_family: 1",
    "dns_lookup_family: '1'",
    "dns_lookup_family: 1.0",
    "dns_lookup_family: nope",
    "dns_lookup_family: ''",
    "dns_lookup_family: true",
    "dns_lookup_family: 77",
    "dns_lookup_family: null",
    "respect_dns_ttl: 'true'",
    "respect_dns_ttl: 'yes'",
    "respect_dns_ttl: on",
    "respect_dns_ttl: 'on'",
    "respect_dns_ttl: yEs",
    "respect_dns_ttl: 1",
    "respect_dns_ttl: '1'",
    "respect_dns_ttl: ''",
    "per_connection_buffer_limit_bytes: '80'",
    "per_connection_buffer_limit_bytes: 80.0",
    "per_connection_buffer_limit_bytes: 80.5",
    "per_connection_buffer_limit_bytes: 0x50",
    "per_connection_buffer_limit_bytes: '0x50'",
    "per_connection_buffer_limit_bytes: '0x'",
    "per_connection_buffer_limit_bytes: 010",
    "per_connection_buffer_limit_bytes: 8e1",
    "per_connection_buffer_limit_bytes: '5f'",
    "per_connection_buffer_limit_bytes: 'inf'",
    "per_connection_buffer_limit_bytes: -1",
    "per_connection_buffer_limit_bytes: 4294967295",
    "per_connection_buffer_limit_bytes: 4294967296",
    "per_connection_buffer_limit_bytes: ' 80'",
    "per_connection_buffer_limit_bytes: '80 '",
    "per_connection_buffer_limit_bytes: '+80'",
    "per_connection_buffer_limit_bytes: [80]",
    "per_connection_buffer_limit_bytes: {value: 80}",
    "per_connection_buffer_limit_bytes: 1_000",
    "alt_stat_name: 5",
    "alt_stat_name: -5",
    "alt_stat_name: 0X1F",
    "alt_stat_name: 00",
    "alt_stat_name: 09",
    "alt_stat_name: 5.5",
    "alt_stat_name: 2147483647",
    "alt_stat_name: 2147483648",
    "alt_stat_name: 0o17",
    "alt_stat_name: '5'",
    "alt_stat_name: !!str 5",
    "alt_stat_name: ! 5",
    "alt_stat_name: !foo 5",
    "alt_stat_name: true",
    "alt_stat_name: y",
    "alt_stat_name: tRUE",
    "alt_stat_name: nUll",
    "alt_stat_name: [x]",
    "alt_stat_name: []",
    "alt_stat_name: {a: b}",
    "circuit_breakers: {thresholds: {max_connections: 5}}",
    "circuit_breakers: {thresholds: [[{max_connections: 5}]]}",
    "circuit_breakers: {thresholds: null}",
    "circuit_breakers: {thresholds: [null]}",
    "circuit_breakers: []",
    "circuit_breakers: ''",
    "circuit_breakers: {thresholds: [{priority: 9}]}",
    "cluster_type: {name: x}",
    "cluster_type: null",
    "name: d",
    "'!ignore': 5",
    "5: 3",
    "? [a]\n    : 3",
    "<<: {name: e}",
    "typed_extension_protocol_options: {a: {x: 1}}",
    "typed_extension_protocol_options: {a: {'@type': type.googleapis.com/nope.X}}",
    "typed_extension_protocol_options: {a: {'@type': nope}}",
    "typed_extension_protocol_options: {a: {'@type': /google.protobuf.Duration, value: 5s}}",
    "health_checks: [{}]",
    "health_checks: [{timeout: 1s}]",
    "health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1}]",
    "load_assignment: {}",
    "load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {}}}]}]}",
    "outlier_detection: {max_ejection_percent: 101}",
    "common_lb_config: {healthy_panic_threshold: {value: 101}}",
    "common_lb_config: {healthy_panic_threshold: {value: nan}}",
    "dns_refresh_rate: 0.0005s",
    "dns_refresh_rate: 0.001s",
    "dns_refresh_rate: 0.0011s",
    "ring_hash_lb_config: {minimum_ring_size: 9000000}",
    "load_balancing_policy: {policies: [{typed_extension_config: {}}]}",
    "transport_socket_matches: [{}]",
    "upstream_bind_config: {source_address: {address: '', port_value: 0}}",
    "metadata: {filter_metadata: {'': {}}}",
    "metadata: {filter_metadata: {a: [1]}}",
    "metadata: {filter_metadata: {a: {b: [null, {c: 1.5}]}}}",
    "lb_subset_config: {fallback_policy: 9}",
    "track_timeout_budgets: 'no'",
];

/// Fields of a connection manager in YAML.
const CONNECTION_MANAGERS: &[&str] = &[
    "stat_prefix: ''",
    "codec_type: 9",
    "codec_type: http2",
    "http_filters: [{}]",
    "http_filters: [{name: x}]",
    "max_request_headers_kb: 0",
    "max_request_headers_kb: 9000",
    "server_name: \"a\\nb\"",
    "scoped_routes: {}",
    "common_http_protocol_options: {max_headers_count: 0}",
    "access_log: [{name: x, filter: {}}]",
    "route_config: {virtual_hosts: [{}]}",
    "route_config: {virtual_hosts: [{name: a, domains: []}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], request_headers_to_remove: [x, \"a\\nb\"]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], rate_limits: [{stage: 11, actions: []}]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}}]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {}, redirect: {}}]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {safe_regex: {}}, redirect: {}}]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {path_separated_prefix: a/}, redirect: {}}]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}, direct_response: {status: 99}}]}]}",
    "route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: ''}}]}]}",
    "rds: {route_config_name: r, config_source: {}}",
];

/// Bootstraps in protobuf's text format.
const TEXTS: &[&str] = &[
    "static_resources { clusters { name: 'c' \"d\" type: STATIC connect_timeout { seconds: 5 } } } # c",
    "static_resources < clusters: { name: 'c', type: STATIC; } >",
    "static_resources { clusters [{ name: 'c' type: STATIC }, {name: 'd' type: STATIC}] }",
    "static_resources { clusters { name: c } }",
    "static_resources { clusters { name: 'c' name: 'd' type: STATIC } }",
    "static_resources { clusters { name: 'c' type: static } }",
    "static_resources { clusters { name: 'c' type: 0 } }",
    "static_resources { clusters { name: 'c' type: STATIC respect_dns_ttl: t } }",
    "static_resources { clusters { name: 'c' type: STATIC connectTimeout { seconds: 5 } } }",
    "static_resources { clusters { name: 'c' type: STATIC connect_timeout: '5s' } }",
    "static_resources { clusters { name: 'c\\x41\\101\\n' type: STATIC } }",
    "static_resources { clusters { name: 'c' type: STATIC cluster_type { name: 'x' } } }",
    "static_resources { clusters { name: 'c' type: STATIC per_connection_buffer_limit_bytes { value: 0x10 } } }",
    "static_resources { clusters { name: 'c' type: STATIC per_connection_buffer_limit_bytes { value: -1 } } }",
    "static_resources { clusters { name: 'c' type: STATIC common_lb_config { healthy_panic_threshold { value: 1.5f } } } }",
    "static_resources { clusters { name: 'c' type: STATIC common_lb_config { healthy_panic_threshold { value: inf } } } }",
    "node { metadata { fields { key: 'a' value { string_value: 'x' } } } }",
    "static_resources: 5",
    "admin {",
    "nope: 1",
    "",
];

/// Why we refuse a bootstrap, if we do.
fn ours(config: &str, is_text: bool) -> Option<String> {
    let bytes = if is_text {
        encode_text(config, BOOTSTRAP).map_err(|error| error.to_string())
    } else {
        let document = tree::parse_yaml(config).map_err(|error| error.to_string());
        document.and_then(|document| {
            let encoded = encode(&document.root, BOOTSTRAP, &Options::default());
            encoded.map(|encoded| encoded.bytes).map_err(|errors| errors[0].to_string())
        })
    };
    match bytes {
        Err(error) => Some(error),
        Ok(bytes) => inspect(&bytes, BOOTSTRAP).expect("a message").constraint_error(),
    }
}

fn envoy() -> Command {
    Command::new(env::var_os("ENVOY_BIN").unwrap_or_else(|| "envoy".into()))
}

/// What Envoy says when it refuses a bootstrap; `None` when it takes it.
fn envoys(config: &str, is_text: bool) -> Option<String> {
    let mut envoy = envoy();
    envoy.args(["--mode", "validate", "--disable-hot-restart", "-l", "critical"]);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bootstrap.pb_text");
    if is_text {
        std::fs::write(&file, config).expect("a temporary file");
        envoy.arg("-c").arg(&file);
    } else {
        envoy.args(["--config-yaml", config]);
    }
    let output = envoy.output().expect("envoy runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then_some(said)
}

/// Errors of Envoy that come later than what this crate does.
fn is_beyond_us(said: &str) -> bool {
    ["Didn't find a registered", "no such file", "unknown cluster", "must contain a load_assignment"]
        .iter()
        .any(|later| said.contains(later))
}

fn compare(config: &str, is_text: bool) -> Option<String> {
    let (ours, envoys) = (ours(config, is_text), envoys(config, is_text));
    match (&ours, &envoys) {
        (None, None) => None,
        (None, Some(said)) if is_beyond_us(said) => None,
        (Some(constraint), Some(said)) if constraint.starts_with("Proto constraint") => {
            (!said.contains(constraint)).then(|| format!("{config}\n  ours: {constraint}\n  envoy: {said}"))
        }
        (Some(_), Some(_)) => None,
        _ => Some(format!("{config}\n  ours: {ours:?}\n  envoy: {envoys:?}")),
    }
}

#[test]
fn envoy_takes_and_refuses_the_same() {
    if envoy().arg("--version").output().is_err() {
        let is_required = ["DRAGOMAN_REQUIRE_ENVOY", "CI"].iter().any(|name| env::var_os(name).is_some());
        assert!(!is_required, "envoy is not on the PATH");
        println!("SKIPPED: envoy is not on the PATH");
        return;
    }
    let cluster = |fields: &&str| {
        format!("static_resources:\n  clusters:\n  - name: c\n    type: STATIC\n    {fields}\n")
    };
    let manager = |fields: &&str| {
        let filter = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let config = format!("{{'@type': {filter}, stat_prefix: x, {fields}}}");
        let address = "{socket_address: {address: 127.0.0.1, port_value: 0}}";
        let chain = format!("{{filters: [{{name: h, typed_config: {config}}}]}}");
        format!(
            "static_resources: {{listeners: [{{name: l, address: {address}, filter_chains: [{chain}]}}]}}"
        )
    };
    let yaml = CLUSTERS.iter().map(cluster).chain(CONNECTION_MANAGERS.iter().map(manager));
    let different = yaml.filter_map(|config| compare(&config, false));
    let different: Vec<String> =
        different.chain(TEXTS.iter().filter_map(|text| compare(text, true))).collect();
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
