use serde_json::json;

use super::*;
use crate::{
    encode::{Options, encode},
    tree::parse_yaml,
};

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";

fn encoded(yaml: &str, message: &str) -> Vec<u8> {
    let document = parse_yaml(yaml).expect("YAML");
    encode(&document.root, message, &Options::default()).expect("encodes").bytes
}

/// What is encoded from YAML prints as this JSON.
fn check(yaml: &str, message: &str, expected: Value) {
    let printed = print(&encoded(yaml, message), message, &PrintOptions::default()).expect("prints");
    assert_eq!(printed, expected, "{yaml}");
}

fn redacted(yaml: &str, message: &str, expected: Value) {
    let printed = print(&encoded(yaml, message), message, &PrintOptions { redact: true }).expect("prints");
    assert_eq!(printed, expected, "{yaml}");
}

#[test]
fn fields_are_printed_by_number_under_their_declared_names() {
    let bytes = encoded("connectTimeout: 0.25s\nname: c\nlbPolicy: RANDOM\ntype: STATIC\n", CLUSTER);
    let printed = print(&bytes, CLUSTER, &PrintOptions::default()).expect("prints");
    assert_eq!(
        printed.to_string(),
        r#"{"name":"c","type":"STATIC","connect_timeout":"0.250s","lb_policy":"RANDOM"}"#
    );
}

#[test]
fn default_values_without_presence_are_left_out() {
    check("name: ''\nlb_policy: ROUND_ROBIN\nrespect_dns_ttl: false", CLUSTER, json!({}));
    check(
        "{type: STATIC, per_connection_buffer_limit_bytes: 0, upstream_config: {name: ''}}",
        CLUSTER,
        json!({"type": "STATIC", "per_connection_buffer_limit_bytes": 0, "upstream_config": {}}),
    );
    assert_eq!(print(b"\x0a\x00\x30\x00", CLUSTER, &PrintOptions::default()), Ok(json!({})));
}

#[test]
fn scalars_have_proto3_notation() {
    check("value: 12.5", "envoy.type.v3.Percent", json!({"value": 12.5}));
    check("value: 12", "envoy.type.v3.Percent", json!({"value": 12}));
    check(
        "{name: x, value: '18446744073709551615'}",
        "envoy.admin.v3.SimpleMetric",
        json!({"name": "x", "value": "18446744073709551615"}),
    );
    check("inline_bytes: aGk=", "envoy.config.core.v3.DataSource", json!({"inline_bytes": "aGk="}));
    check("0.1", "google.protobuf.FloatValue", json!(0.1));
    check("NaN", "google.protobuf.DoubleValue", json!("NaN"));
    check("-5", "google.protobuf.Int64Value", json!("-5"));
    check("'2000-02-29T12:34:56.5Z'", "google.protobuf.Timestamp", json!("2000-02-29T12:34:56.500Z"));
    check("fooBar,baz.quxQuux", "google.protobuf.FieldMask", json!("fooBar,baz.quxQuux"));
    assert_eq!(print(b"\x30\x4d", CLUSTER, &PrintOptions::default()), Ok(json!({"lb_policy": 77})));
}

#[test]
fn maps_and_structs_are_objects() {
    check(
        "filter_metadata: {a: {x: 1, y: [true, null, '1.5', {}]}}",
        "envoy.config.core.v3.Metadata",
        json!({"filter_metadata": {"a": {"x": 1, "y": [true, null, "1.5", {}]}}}),
    );
    let entry_without_value = b"\x0a\x03\x0a\x01a";
    let printed = print(entry_without_value, "envoy.config.core.v3.Metadata", &PrintOptions::default());
    assert_eq!(printed, Ok(json!({"filter_metadata": {"a": {}}})));
}

#[test]
fn packed_and_unpacked_lists_are_the_same() {
    let ranges = "envoy.config.core.v3.SubstitutionFormatString";
    assert_eq!(print(b"", ranges, &PrintOptions::default()), Ok(json!({})));
    let policy = "envoy.config.route.v3.RetryPolicy";
    let expected = json!({"retriable_status_codes": [503, 504]});
    for bytes in [&b"\x3a\x04\xf7\x03\xf8\x03"[..], b"\x38\xf7\x03\x38\xf8\x03"] {
        assert_eq!(print(bytes, policy, &PrintOptions::default()), Ok(expected.clone()));
    }
}

#[test]
fn what_stands_twice_is_merged_as_protobuf_does() {
    let twice = b"\x0a\x01a\x22\x02\x08\x05\x0a\x01b\x22\x02\x10\x01";
    let printed = print(twice, CLUSTER, &PrintOptions::default());
    assert_eq!(printed, Ok(json!({"name": "b", "connect_timeout": "5.000000001s"})));
    let oneof = b"\x10\x01\xb2\x02\x03\x0a\x01x";
    let printed = print(oneof, CLUSTER, &PrintOptions::default());
    assert_eq!(printed, Ok(json!({"cluster_type": {"name": "x"}})));
}

#[test]
fn secrets_are_redacted() {
    let certificate = "envoy.extensions.transport_sockets.tls.v3.TlsCertificate";
    let yaml = "{certificate_chain: {inline_string: c}, private_key: {inline_string: s}, password: {inline_bytes: aGk=}}";
    redacted(
        yaml,
        certificate,
        json!({
            "certificate_chain": {"inline_string": "c"},
            "private_key": {"inline_string": "[redacted]"},
            "password": {"inline_bytes": "W3JlZGFjdGVkXQ=="},
        }),
    );
    redacted(
        &format!("{{'@type': type.googleapis.com/{certificate}, private_key: {{filename: s}}}}"),
        "google.protobuf.Any",
        json!({"@type": format!("type.googleapis.com/{certificate}"), "private_key": {"filename": "[redacted]"}}),
    );
    redacted(
        &format!("{{type_url: type.googleapis.com/{certificate}, value: {{privateKey: {{filename: s}}}}}}"),
        "xds.type.v3.TypedStruct",
        json!({"type_url": format!("type.googleapis.com/{certificate}"), "value": {"private_key": {"filename": "[redacted]"}}}),
    );
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let options = PrintOptions::default();
    assert_eq!(print(b"", "a.B", &options), Err(MessageError::UnknownType("a.B".into())));
    assert_eq!(print(b"\x0a\x05", CLUSTER, &options), Err(MessageError::Malformed(WireError::Truncated)));
    let mut deep = Vec::new();
    for _ in 0..200 {
        let mut outer = Vec::new();
        crate::wire::put_bytes(&mut outer, 1, b"type.googleapis.com/google.protobuf.Any");
        crate::wire::put_bytes(&mut outer, 2, &deep);
        deep = outer;
    }
    assert_eq!(
        print(&deep, "google.protobuf.Any", &options),
        Err(MessageError::Malformed(WireError::TooDeep))
    );
}

#[test]
fn any_is_printed_as_the_message_it_holds() {
    check(
        "{'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: c}",
        "google.protobuf.Any",
        json!({"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "c"}),
    );
    check(
        "{'@type': type.googleapis.com/google.protobuf.Duration, value: 5s}",
        "google.protobuf.Any",
        json!({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "5s"}),
    );
    let unknown = b"\x0a\x03a/b\x12\x02hi";
    let printed = print(unknown, "google.protobuf.Any", &PrintOptions::default());
    assert_eq!(printed, Ok(json!({"@type": "a/b", "value": "aGk="})));
}
