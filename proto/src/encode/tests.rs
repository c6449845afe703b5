use super::*;
use crate::tree::{parse_json, parse_yaml};

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";

fn yaml(text: &str, message: &str) -> Result<Vec<u8>, Vec<String>> {
    let document = parse_yaml(text).expect("YAML");
    let encoded = encode(&document.root, message, &Options::default());
    encoded.map(|encoded| encoded.bytes).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// Both give the same bytes.
fn same(text: &str, plain: &str) {
    let expected = yaml(plain, CLUSTER);
    assert!(expected.is_ok(), "{plain}: {expected:?}");
    assert_eq!(yaml(text, CLUSTER), expected, "{text}");
}

fn refuse(text: &str, expected: &str) {
    let errors = yaml(text, CLUSTER).expect_err(text);
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    assert!(errors[0].contains(expected), "{text}: {}", errors[0]);
}

#[test]
fn names_are_taken_in_snake_and_camel_case() {
    same("connectTimeout: 5s", "connect_timeout: 5s");
    refuse("Connect_Timeout: 5s", "Cluster has no field `Connect_Timeout`; did you mean `connect_timeout`?");
    refuse("nofield: 5", "has no field `nofield`");
}

#[test]
fn enum_values_are_taken_by_name_in_any_case_and_by_number() {
    for value in ["v4_only", "V4_Only", "1", "'1'"] {
        same(&format!("dns_lookup_family: {value}"), "dns_lookup_family: V4_ONLY");
    }
    same("dns_lookup_family: null", "{}");
    assert_eq!(yaml("dns_lookup_family: 77", CLUSTER), Ok(vec![0x88, 1, 77]));
    for value in ["nope", "''", "1.0"] {
        refuse(&format!("dns_lookup_family: {value}"), "DnsLookupFamily has no value");
    }
    refuse("dns_lookup_family: true", "by name or number");
}

#[test]
fn booleans_are_taken_bare_and_quoted() {
    for value in ["true", "yes", "on", "y", "'true'", "'yes'", "'TRUE'", "'1'", "yEs"] {
        same(&format!("respect_dns_ttl: {value}"), "respect_dns_ttl: True");
    }
    for value in ["null", "n", "'f'"] {
        same(&format!("respect_dns_ttl: {value}"), "{}");
    }
    for value in ["1", "'on'", "[true]"] {
        refuse(&format!("respect_dns_ttl: {value}"), "expected true or false");
    }
}

#[test]
fn numbers_are_taken_in_many_notations() {
    for value in ["'80'", "80.0", "'80.0'", "0x50", "'0x50'", "8e1", "'+80'", "'080'", "{value: 80}", "0120"]
    {
        same(&format!("per_connection_buffer_limit_bytes: {value}"), "per_connection_buffer_limit_bytes: 80");
    }
    for value in ["80.5", "-1", "4294967296", "' 80'", "'80 '", "''", "[80]", "1_000", "true"] {
        refuse(
            &format!("per_connection_buffer_limit_bytes: {value}"),
            "expected a whole number from 0 to 4294967295",
        );
    }
}

#[test]
fn durations_need_their_unit() {
    same("connect_timeout: {seconds: 5, nanos: 1}", "connect_timeout: 5.000000001s");
    same("connect_timeout: {seconds: '5'}", "connect_timeout: 5s");
    same("connect_timeout: null", "{}");
    for value in ["1000ms", "5", "5.0", "1m", "''", "true", "[5s]", "5S"] {
        refuse(&format!("connect_timeout: {value}"), "duration");
    }
}

#[test]
fn strings_are_no_numbers() {
    same("alt_stat_name: 5.5", "alt_stat_name: '5.5'");
    same("alt_stat_name: 5000000000", "alt_stat_name: '5000000000'");
    same("alt_stat_name: null", "{}");
    for value in ["5", "true", "{a: b}", "[x]", "[]"] {
        refuse(&format!("alt_stat_name: {value}"), "expected a string");
    }
}

#[test]
fn one_value_is_taken_for_a_list() {
    same(
        "circuit_breakers: {thresholds: {max_connections: 5}}",
        "circuit_breakers: {thresholds: [{max_connections: 5}]}",
    );
    same("circuit_breakers: {thresholds: null}", "circuit_breakers: {thresholds: []}");
    same("circuit_breakers: {thresholds: [null]}", "circuit_breakers: {thresholds: [{}]}");
    same("circuit_breakers: {thresholds: [[{}], [[{}]]]}", "circuit_breakers: {thresholds: [{}, {}]}");
    for value in ["[]", "[{}]", "''", "5"] {
        refuse(
            &format!("circuit_breakers: {value}"),
            "expected an object (envoy.config.cluster.v3.CircuitBreakers)",
        );
    }
}

#[test]
fn a_oneof_is_set_once() {
    refuse("{type: STATIC, cluster_type: {name: x}}", "only one field of the oneof `cluster_discovery_type`");
    same("{type: STATIC, cluster_type: null}", "type: STATIC");
    let json = parse_json(r#"{"type":"STATIC","type":"STATIC"}"#).expect("JSON");
    assert!(encode(&json.root, CLUSTER, &Options::default()).is_err());
}

#[test]
fn any_becomes_the_message_it_names() {
    let options = "typed_extension_protocol_options";
    let http = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    same(
        &format!(
            "{options}: {{x: {{'@type': {http}, explicit_http_config: {{http2_protocol_options: {{}}}}}}}}"
        ),
        &format!("{options}: {{x: {{explicitHttpConfig: {{http2ProtocolOptions: {{}}}}, '@type': {http}}}}}"),
    );
    let check = |any: &str, expected: &str| refuse(&format!("{options}: {{x: {any}}}"), expected);
    check("{'@type': type.googleapis.com/nope.X}", "there is no message type `type.googleapis.com/nope.X`");
    check("{y: 1}", "expected `@type`");
    check("{'@type': nope}", "expected a type URL");
    check("{'@type': /envoy.config.cluster.v3.Cluster}", "expected a type URL");
    check(&format!("{{'@type': {http}, nope: 1}}"), "HttpProtocolOptions has no field `nope`");
    check(
        "{'@type': type.googleapis.com/google.protobuf.Duration, seconds: 5}",
        "stands under the key `value`",
    );
    assert!(yaml(&format!("{options}: {{x: {{}}}}"), CLUSTER).is_ok());
}

#[test]
fn well_known_types_in_an_any_stand_under_value() {
    let any = "'@type': type.googleapis.com/google.protobuf.Duration\nvalue: 5s";
    let mut expected = vec![10, 44];
    expected.extend_from_slice(b"type.googleapis.com/google.protobuf.Duration\x12\x02\x08\x05");
    assert_eq!(yaml(any, "google.protobuf.Any"), Ok(expected));
}

#[test]
fn a_struct_takes_any_shape() {
    let bytes =
        yaml("{a: 1, b: x, c: [true, null], d: {e: 1.5}}", "google.protobuf.Struct").expect("a struct");
    let expected: &[&[u8]] = &[
        b"\x0a\x0e\x0a\x01a\x12\x09\x11\0\0\0\0\0\0\xf0\x3f",
        b"\x0a\x08\x0a\x01b\x12\x03\x1a\x01x",
        b"\x0a\x0f\x0a\x01c\x12\x0a\x32\x08\x0a\x02\x20\x01\x0a\x02\x08\x00",
        b"\x0a\x13\x0a\x01d\x12\x0e\x2a\x0c\x0a\x0a\x0a\x01e\x12\x05\x1a\x031.5",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn all_errors_are_collected_with_their_places() {
    let text = "name: 5\nconnect_timeout: 1000ms\nload_assignment:\n  endpoints:\n  - lb_endpoint: []\n";
    let expected = [
        "1:7: name: expected a string (put it in quotes), found a number",
        "2:18: connect_timeout: a duration must end with a single `s`; a duration is written like `1.5s`",
        "5:5: load_assignment.endpoints[0].lb_endpoint: envoy.config.endpoint.v3.LocalityLbEndpoints has no field \
         `lb_endpoint`; did you mean `lb_endpoints`?",
    ];
    assert_eq!(yaml(text, CLUSTER), Err(expected.map(String::from).to_vec()));
}

#[test]
fn unknown_fields_are_listed_when_they_are_not_refused() {
    let document = parse_yaml("name: c\nnme: d\ndns_lookup_family: NOPE\n").expect("YAML");
    let options = Options { unknown: Unknown::Collect };
    let encoded = encode(&document.root, CLUSTER, &options).expect("encodes");
    assert_eq!(encoded.bytes, b"\x0a\x01c");
    let paths: Vec<&str> = encoded.unknown.iter().map(|unknown| unknown.path.as_str()).collect();
    assert_eq!(paths, ["nme", "dns_lookup_family"]);
}

#[test]
fn deprecated_fields_give_a_warning_when_set() {
    let warnings = |text: &str| {
        let document = parse_yaml(text).expect("YAML");
        encode(&document.root, CLUSTER, &Options::default()).expect("encodes").warnings
    };
    assert_eq!(warnings("respect_dns_ttl: true")[0].path, "respect_dns_ttl");
    assert_eq!(warnings("respect_dns_ttl: false"), []);
    assert_eq!(warnings("name: c"), []);
}
