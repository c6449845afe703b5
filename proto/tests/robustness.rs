//! Any input at all: an answer or an error, never a panic, and never an answer that contradicts another.

use dragoman_proto::{
    PrintOptions, descriptor, encode,
    encode::{Options, Unknown},
    encode_text, inspect, print,
    tree::{Entry, Node, Position, Value, parse_json, parse_yaml, parse_yaml_all},
    typed_struct_to_any,
};
use proptest::{collection::vec, prelude::*};

/// Messages with every kind of field: maps, Anys, oneofs, wrappers, numbers of all widths.
const MESSAGES: &[&str] = &[
    "envoy.config.bootstrap.v3.Bootstrap",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.listener.v3.Listener",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.core.v3.Metadata",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.admin.v3.ConfigDump",
    "google.protobuf.Any",
    "google.protobuf.Struct",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.DoubleValue",
    "xds.type.v3.TypedStruct",
    "xds.data.orca.v3.OrcaLoadReport",
];

fn message() -> impl Strategy<Value = &'static str> {
    prop::sample::select(MESSAGES)
}

/// Text that is likely to be nearly right.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "name",
        "static_resources",
        "clusters",
        "@type",
        "type.googleapis.com/google.protobuf.Any",
        "value",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    - ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        "\"",
        "&a ",
        "*a",
        "!!str ",
        "! ",
        "|",
        ">-",
        "%",
        "---\n",
        "...\n",
        "# x\n",
        "\t",
        "5",
        "-1",
        "1.5s",
        "0x50",
        "true",
        "null",
        "\\u12",
        "\\",
        "é",
        "\u{feff}",
        "? ",
        "- ",
        "<",
        ">",
        ";",
        "1e999",
        "/",
    ]);
    prop_oneof![vec(pieces, 0..60).prop_map(|pieces| pieces.concat()), any::<String>()]
}

/// A tree of values with some names that exist.
fn tree() -> impl Strategy<Value = Node> {
    let node = |value| Node { value, at: Position::default() };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Int(number.into())),
        any::<f64>().prop_map(Value::Float),
        "[a-z0-9.]{0,12}|1\\.5s|ROUND_ROBIN|type\\.googleapis\\.com/google\\.protobuf\\.Struct"
            .prop_map(Value::String),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "@type",
            "value",
            "name",
            "static_resources",
            "clusters",
            "type",
            "fields",
            "address"
        ]),
        prop::sample::select(field_names()),
    ];
    leaf.prop_map(node).prop_recursive(5, 40, 6, move |inner| {
        let entry = (name.clone(), inner.clone()).prop_map(|(key, value)| Entry {
            key: key.to_owned(),
            at: Position::default(),
            value,
        });
        prop_oneof![
            vec(inner, 0..6).prop_map(move |list| node(Value::List(list))),
            vec(entry, 0..6).prop_map(move |map| node(Value::Map(map))),
        ]
    })
}

/// Bytes that are a message, with fields of small numbers, of all wire types, often the same one again.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let key = |number: u8, wire_type: u8| number << 3 | wire_type;
    let leaf = prop_oneof![
        (1..16_u8, 0..0x80_u8).prop_map(move |(number, value)| vec![key(number, 0), value]),
        (1..16_u8, any::<[u8; 8]>())
            .prop_map(move |(number, value)| [&[key(number, 1)][..], &value].concat()),
        (1..16_u8, any::<[u8; 4]>())
            .prop_map(move |(number, value)| [&[key(number, 5)][..], &value].concat()),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        (1..16_u8, vec(inner, 0..8)).prop_map(move |(number, fields)| {
            let body = fields.concat();
            let length = u8::try_from(body.len()).unwrap_or_default() & 0x7f;
            [&[key(number, 2), length][..], &body[..usize::from(length)]].concat()
        })
    })
}

fn field_names() -> Vec<&'static str> {
    let messages = MESSAGES.iter().filter_map(|name| descriptor::message(name));
    messages.flat_map(|message| message.fields().iter().map(descriptor::Field::name)).collect()
}

/// Everything that takes bytes.
fn use_bytes(bytes: &[u8], message: &str) {
    if let Ok(findings) = inspect(bytes, message) {
        assert_eq!(findings.constraint_error().is_some(), !findings.violations.is_empty());
    }
    for redact in [false, true] {
        drop(print(bytes, message, &PrintOptions { redact }));
    }
    if let Ok((type_url, _)) = typed_struct_to_any(bytes, &Options::default()) {
        assert!(type_url.contains('/'));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_or_refused(text in text(), message in message()) {
        for document in [parse_yaml(&text), parse_json(&text)].into_iter().flatten() {
            let options = Options { unknown: Unknown::Collect };
            if let Ok(encoded) = encode(&document.root, message, &options) {
                use_bytes(&encoded.bytes, message);
            }
        }
        if let Ok(documents) = parse_yaml_all(&text) {
            prop_assert!(documents.len() <= text.len() + 1);
        }
        if let Ok(bytes) = encode_text(&text, message) {
            use_bytes(&bytes, message);
        }
    }

    #[test]
    fn any_tree_is_encoded_or_refused(tree in tree(), message in message()) {
        match encode(&tree, message, &Options { unknown: Unknown::Collect }) {
            Err(errors) => prop_assert!(!errors.is_empty()),
            Ok(encoded) => {
                prop_assert!(print(&encoded.bytes, message, &PrintOptions::default()).is_ok());
                let findings = inspect(&encoded.bytes, message).expect("a message");
                prop_assert_eq!(findings.unknown_fields, []);
                prop_assert_eq!(findings.unknown_types, []);
            }
        }
    }

    #[test]
    fn any_bytes_are_looked_at_or_refused(bytes in vec(any::<u8>(), 0..200), message in message()) {
        use_bytes(&bytes, message);
    }

    #[test]
    fn any_fields_are_looked_at_or_refused(fields in vec(wire(), 0..8), message in message()) {
        use_bytes(&fields.concat(), message);
    }

    #[test]
    fn damaged_messages_are_looked_at_or_refused(
        tree in tree(), message in message(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        if let Ok(mut encoded) = encode(&tree, message, &Options { unknown: Unknown::Collect })
            && !encoded.bytes.is_empty()
        {
            let at = at.index(encoded.bytes.len());
            encoded.bytes[at] = byte;
            use_bytes(&encoded.bytes, message);
        }
    }
}
