use super::*;
use crate::{encode, encode::Options, tree::parse_yaml};

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";

/// Both give the same bytes.
fn same(text: &str, yaml: &str) {
    let document = parse_yaml(yaml).expect("YAML");
    let expected = encode(&document.root, CLUSTER, &Options::default()).expect("encodes");
    assert_eq!(encode_text(text, CLUSTER), Ok(expected.bytes), "{text}");
}

fn refuse(text: &str, expected: &str) {
    let error = encode_text(text, CLUSTER).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn the_notations_of_messages_and_strings_are_read() {
    same(
        "name: 'a' \"b\", type: STATIC; connect_timeout < seconds: 5 >",
        "{name: ab, type: STATIC, connectTimeout: 5s}",
    );
    same("# nothing\nname: \"c\\x41\\101\\n\\u00e4\" # c", "name: \"cAA\\n\u{e4}\"");
    same("name: '\u{e4}'", "name: \u{e4}");
    same("", "{}");
}

#[test]
fn lists_and_numbers_are_read() {
    let yaml = "{circuit_breakers: {thresholds: [{max_connections: 16}, {}]}}";
    same("circuit_breakers { thresholds [{ max_connections { value: 0x10 } }, {}] }", yaml);
    same("circuit_breakers { thresholds { max_connections { value: 020 } } thresholds {} }", yaml);
    same(
        "common_lb_config { healthy_panic_threshold { value: 1.5f } }",
        "commonLbConfig: {healthyPanicThreshold: {value: 1.5}}",
    );
    same("respect_dns_ttl: t lb_policy: 3", "{respectDnsTtl: true, lbPolicy: RANDOM}");
}

#[test]
fn an_any_names_its_type_in_brackets() {
    same(
        "transport_socket { typed_config { [type.googleapis.com/google.protobuf.Duration] { seconds: 5 } } }",
        "transportSocket: {typedConfig: {'@type': type.googleapis.com/google.protobuf.Duration, value: 5s}}",
    );
    refuse("transport_socket { typed_config { [a/b.C] {} } }", "there is no message type `a/b.C`");
}

#[test]
fn what_protobuf_refuses_is_refused() {
    for (text, expected) in [
        ("name: c", "expected a string, found `c`"),
        ("name: 'c' name: 'd'", "`name` is already set"),
        ("nme: 'c'", "1:1: nme: envoy.config.cluster.v3.Cluster has no field `nme`; did you mean `name`?"),
        ("connectTimeout {}", "has no field `connectTimeout`"),
        ("connect_timeout: '5s'", "expected `{` (google.protobuf.Duration), found a string"),
        ("type: static", "has no value `static`"),
        ("type: STATIC cluster_type {}", "`type` is already set"),
        ("name 'c'", "expected `:`"),
        ("name: 'c", "a string has no end"),
        ("connect_timeout {", "expected a field name, found the end"),
        ("connect_timeout { seconds: 5 >", "expected a field name, found `>`"),
        ("respect_dns_ttl: 2", "expected true or false"),
        ("per_connection_buffer_limit_bytes { value: -1 }", "expected a whole number"),
        ("name: '\\xff'", "not UTF-8"),
        ("?", "unexpected character"),
    ] {
        refuse(text, expected);
    }
}

#[test]
fn nesting_is_bounded() {
    let text = "[a/google.protobuf.Any] {".repeat(200);
    let error = encode_text(&text, "google.protobuf.Any").expect_err("too deep");
    assert!(error.message.contains("nested more than 100 levels"), "{error}");
}
