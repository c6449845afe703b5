use super::*;
use crate::{
    WireError,
    encode::{Options, encode},
    tree::parse_yaml,
    wire::{put_bytes, put_number},
};

const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";
const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const HCM: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

fn findings(yaml: &str, message: &str) -> Findings {
    let document = parse_yaml(yaml).expect("YAML");
    let bytes = encode(&document.root, message, &Options::default()).expect("encodes").bytes;
    inspect(&bytes, message).expect("a message")
}

/// Envoy's words for the first violation.
fn check(message: &str, yaml: &str, expected: &str) {
    let found = findings(yaml, message);
    assert_eq!(found.violations.first().map(|first| first.envoy.as_str()), Some(expected), "{yaml}");
}

/// A violation directly in a message.
fn cluster(yaml: &str, expected: &str) {
    check(CLUSTER, &format!("{{name: c, {yaml}}}"), expected);
}

#[test]
fn a_valid_message_gives_nothing() {
    let yaml = "{name: c, type: STATIC, connect_timeout: 5s, health_checks: [{timeout: 1s, interval: 1s, \
                unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]}";
    assert_eq!(findings(yaml, CLUSTER), Findings::default());
}

#[test]
fn of_each_kind_only_so_much_is_told() {
    let mut bytes = Vec::new();
    for _ in 0..MAX_FINDINGS + 5 {
        // A health check without anything, and a field that nobody has.
        put_bytes(&mut bytes, 8, b"");
        put_number(&mut bytes, 9999, 1);
    }
    let found = inspect(&bytes, CLUSTER).expect("a message");
    assert_eq!((found.violations.len(), found.unknown_fields.len()), (MAX_FINDINGS, MAX_FINDINGS));
}

#[test]
fn fields_that_rust_does_not_know_are_kept_for_who_does() {
    let yaml = "{name: c, health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, \
                tcp_health_check: {}}, {timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, \
                name: ready, http_health_check: {path: /, use_alpn_protocol: true}}]}";
    let found = findings(yaml, CLUSTER);
    let [protocol, check] = found.newer.as_slice() else { panic!("two messages: {found:?}") };
    assert_eq!(protocol.path, "health_checks[1].http_health_check");
    assert_eq!(protocol.message, "envoy.config.core.v3.HealthCheck.HttpHealthCheck");
    assert_eq!(protocol.bytes, [0x78, 1]);
    assert_eq!(
        (check.path.as_str(), check.bytes.as_slice()),
        ("health_checks[1]", &b"\xda\x01\x05ready"[..])
    );
    assert_eq!(Findings { newer: Vec::new(), ..found }, Findings::default());
}

#[test]
fn newer_fields_have_their_constraints() {
    check(
        "envoy.type.tracing.v3.CustomTag",
        "{tag: t, literal: {value: v}, value_type: 9}",
        "CustomTagValidationError.ValueType: value must be one of the defined enum values",
    );
    check(
        "envoy.extensions.filters.http.basic_auth.v3.BasicAuthPerRoute",
        "{users: {inline_string: u}, realm: \"a\\tb\"}",
        "BasicAuthPerRouteValidationError.Realm: value does not match regex pattern \"^[^\\\\x00-\\\\x1f\\\\x7f]*$\"",
    );
}

#[test]
fn constraints_are_reported_in_envoys_words() {
    check(CLUSTER, "{}", "ClusterValidationError.Name: value length must be at least 1 characters");
    cluster("connect_timeout: 0s", "ClusterValidationError.ConnectTimeout: value must be greater than 0s");
    cluster(
        "dns_refresh_rate: 0.0005s",
        "ClusterValidationError.DnsRefreshRate: value must be greater than 1ms",
    );
    cluster("lb_policy: 99", "ClusterValidationError.LbPolicy: value must be one of the defined enum values");
    check(
        BOOTSTRAP,
        "stats_flush_interval: 0s",
        "BootstrapValidationError.StatsFlushInterval: value must be inside range [1ms, 5m0s)",
    );
    check(
        "envoy.config.core.v3.Pipe",
        "{path: /x, mode: 512}",
        "PipeValidationError.Mode: value must be less than or equal to 511",
    );
    check(
        "envoy.config.route.v3.VirtualHost",
        "name: a",
        "VirtualHostValidationError.Domains: value must contain at least 1 item(s)",
    );
    check(
        "envoy.config.route.v3.VirtualHost",
        "{name: a, domains: ['*'], request_headers_to_remove: [x, \"a\\nb\"]}",
        "VirtualHostValidationError.RequestHeadersToRemove[1]: value does not match regex pattern \"^[^\\x00\\n\\r]*$\"",
    );
    check(
        "envoy.config.route.v3.RouteMatch",
        "path_separated_prefix: a/",
        "RouteMatchValidationError.PathSeparatedPrefix: value does not match regex pattern \"^[^?#]+[^?#/]$\"",
    );
    check("envoy.config.accesslog.v3.ResponseFlagFilter", "flags: [UH, UNKNOWN]", RESPONSE_FLAGS);
}

const RESPONSE_FLAGS: &str = "ResponseFlagFilterValidationError.Flags[1]: value must be in list [LH UH UT LR UR UF UC \
     UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO]";

#[test]
fn wrapped_values_have_the_constraints_of_their_field() {
    check(
        HCM,
        "{stat_prefix: x, rds: {route_config_name: r}, max_request_headers_kb: 9000}",
        "HttpConnectionManagerValidationError.MaxRequestHeadersKb: value must be inside range (0, 8192]",
    );
    cluster(
        "outlier_detection: {max_ejection_percent: 101}",
        "ClusterValidationError.OutlierDetection: embedded message failed validation | caused by \
         OutlierDetectionValidationError.MaxEjectionPercent: value must be less than or equal to 100",
    );
}

#[test]
fn what_is_required_must_be_there() {
    cluster(
        "health_checks: [{timeout: 1s}]",
        "ClusterValidationError.HealthChecks[0]: embedded message failed validation | caused by \
         HealthCheckValidationError.Interval: value is required",
    );
    let route = "{name: a, domains: ['*'], routes: [{match: {prefix: /}}]}";
    check(
        "envoy.config.route.v3.VirtualHost",
        route,
        "VirtualHostValidationError.Routes[0]: embedded message failed validation | caused by field: \"action\", \
         reason: is required",
    );
    let found = findings(route, "envoy.config.route.v3.VirtualHost");
    assert_eq!(found.violations[0].path, "routes[0].action");
    check(HCM, "stat_prefix: x", "field: \"route_specifier\", reason: is required");
}

#[test]
fn all_violations_are_found_and_envoys_first_is_first() {
    let found = findings(
        "static_resources: {clusters: [{name: '', lb_policy: 99}, {name: c, dns_lookup_family: 77}]}",
        BOOTSTRAP,
    );
    let paths: Vec<&str> = found.violations.iter().map(|violation| violation.path.as_str()).collect();
    let expected = ["clusters[0].name", "clusters[0].lb_policy", "clusters[1].dns_lookup_family"];
    assert_eq!(paths, expected.map(|path| format!("static_resources.{path}")));
    assert_eq!(
        found.constraint_error().as_deref(),
        Some(
            "Proto constraint validation failed (BootstrapValidationError.StaticResources: embedded message failed \
             validation | caused by StaticResourcesValidationError.Clusters[0]: embedded message failed validation \
             | caused by ClusterValidationError.Name: value length must be at least 1 characters)"
        )
    );
}

#[test]
fn a_message_in_an_any_is_validated_by_itself_and_after_the_others() {
    let filter = format!("{{name: '', typed_config: {{'@type': type.googleapis.com/{HCM}}}}}");
    let found = findings(&filter, "envoy.config.listener.v3.Filter");
    let found: Vec<(&str, &str)> = found
        .violations
        .iter()
        .map(|violation| (violation.path.as_str(), violation.envoy.as_str()))
        .collect();
    assert_eq!(found[0], ("name", "FilterValidationError.Name: value length must be at least 1 characters"));
    let prefix =
        "HttpConnectionManagerValidationError.StatPrefix: value length must be at least 1 characters";
    assert_eq!(found[1], ("typed_config.stat_prefix", prefix));
    assert_eq!(found[2], ("typed_config.route_specifier", "field: \"route_specifier\", reason: is required"));
}

#[test]
fn maps_are_looked_into() {
    let yaml = "{filter_metadata: {'': {}}, typed_filter_metadata: {b: {'@type': \
                type.googleapis.com/envoy.config.core.v3.Pipe}}}";
    let found = findings(yaml, "envoy.config.core.v3.Metadata");
    let found: Vec<(&str, &str)> = found
        .violations
        .iter()
        .map(|violation| (violation.path.as_str(), violation.reason.as_str()))
        .collect();
    let reason = "value length must be at least 1 characters";
    assert_eq!(found, [("filter_metadata[\"\"]", reason), ("typed_filter_metadata[\"b\"].path", reason)]);
}

#[test]
fn lists_are_counted_and_compared() {
    let headers = vec!["{header: {key: a, value: b}}"; 1001].join(", ");
    let yaml = format!("{{name: a, domains: ['*'], request_headers_to_add: [{headers}]}}");
    check(
        "envoy.config.route.v3.VirtualHost",
        &yaml,
        "VirtualHostValidationError.RequestHeadersToAdd: value must contain no more than 1000 item(s)",
    );
    check(
        "envoy.config.core.v3.ProxyProtocolPassThroughTLVs",
        "{tlv_type: [1, 256]}",
        "ProxyProtocolPassThroughTLVsValidationError.TlvType[1]: value must be less than 256",
    );
}

#[test]
fn unknown_fields_are_found_with_their_place() {
    let mut cluster = Vec::new();
    put_bytes(&mut cluster, 1, b"c");
    put_number(&mut cluster, 9999, 1);
    let mut any = Vec::new();
    put_bytes(&mut any, 1, b"type.googleapis.com/envoy.config.cluster.v3.Cluster");
    put_bytes(&mut any, 2, &cluster);
    let mut response = Vec::new();
    put_bytes(&mut response, 2, &any);
    let found = inspect(&response, "envoy.service.discovery.v3.DiscoveryResponse").expect("a message");
    let expected = UnknownField { path: "resources[0]".into(), message: CLUSTER, number: 9999 };
    assert_eq!(found.unknown_fields, [expected]);
}

#[test]
fn a_field_of_the_wrong_wire_type_is_unknown() {
    let found = inspect(b"\x0a\x01c\x20\x05", CLUSTER).expect("a message");
    assert_eq!(found.unknown_fields, [UnknownField { path: String::new(), message: CLUSTER, number: 4 }]);
}

#[test]
fn unknown_types_are_listed() {
    let mut any = Vec::new();
    put_bytes(&mut any, 1, b"type.googleapis.com/a.B");
    let found = inspect(&any, "google.protobuf.Any").expect("a message");
    let expected = UnknownType { path: String::new(), type_url: "type.googleapis.com/a.B".into() };
    assert_eq!(found.unknown_types, [expected]);
}

#[test]
fn deprecated_fields_are_listed_when_set() {
    let found = findings("{name: c, respect_dns_ttl: true}", CLUSTER);
    assert_eq!(found.deprecated[0].field, "envoy.config.cluster.v3.Cluster.respect_dns_ttl");
    assert_eq!(inspect(b"\x0a\x01c", CLUSTER).expect("a message").deprecated, []);
}

#[test]
fn a_repeated_message_field_of_the_wrong_wire_type_is_unknown() {
    // connect_timeout (4) as a varint, twice, and once as the message it is.
    let bytes = [&b"\x0a\x01c"[..], b"\x20\x01", b"\x20\x02", b"\x22\x02\x08\x05"].concat();
    let findings = inspect(&bytes, CLUSTER).unwrap();
    assert_eq!(findings.unknown_fields.len(), 2, "{findings:?}");
    assert_eq!(findings.violations, []);
}

#[test]
fn a_message_in_pieces_is_put_together() {
    let pieces = [&b"\x0a\x01c"[..], b"\x22\x02\x08\x00", b"\x22\x02\x08\x05"].concat();
    assert_eq!(inspect(&pieces, CLUSTER), Ok(Findings::default()));
    let apart = [&b"\x0a\x01c"[..], b"\x1a\x00", b"\x1a\x02\x0a\x00"].concat();
    assert_eq!(inspect(&apart, CLUSTER).expect("a message").violations.len(), 1);
    let no_messages = b"\x0a\x01c\x20\x01\x20\x01";
    assert_eq!(inspect(no_messages, CLUSTER).expect("a message").unknown_fields.len(), 2);
}

#[test]
fn what_is_no_message_is_an_error() {
    assert_eq!(inspect(b"", "a.B"), Err(MessageError::UnknownType("a.B".into())));
    assert_eq!(inspect(b"\x0a\x05", CLUSTER), Err(MessageError::Malformed(WireError::Truncated)));
    let mut deep = Vec::new();
    for _ in 0..10_000 {
        let mut outer = Vec::new();
        put_bytes(&mut outer, 1, b"a/google.protobuf.Any");
        put_bytes(&mut outer, 2, &deep);
        deep = outer;
    }
    assert_eq!(inspect(&deep, "google.protobuf.Any"), Err(MessageError::Malformed(WireError::TooDeep)));
}
