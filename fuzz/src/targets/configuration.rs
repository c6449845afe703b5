//! The targets: each a parser that outsiders or configuration can reach.

use dragoman_proto::encode::{Options, encode};
use dragoman_proto::tree::{Document, parse_json, parse_yaml_all};
use dragoman_proto::{PrintOptions, print};

/// A function to be fed, and what to feed it with.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The function. It panics when a property does not hold.
    pub run: fn(&[u8]),
    /// Directories of the repository whose files it starts from.
    pub corpus: &'static [&'static str],
    /// Words of its language.
    pub dictionary: &'static [&'static [u8]],
}

const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// Words that mean something in a configuration.
const CONFIGURATION: &[&[u8]] = &[
    b"\"@type\": type.googleapis.com/",
    b"envoy.config.bootstrap.v3.Bootstrap",
    b"xds.type.v3.TypedStruct",
    b"google.protobuf.Struct",
    b"google.protobuf.Any",
    b"static_resources",
    b"typed_config",
    b"&a",
    b"*a",
    b"<<: *a",
    b"!!binary",
    b"---\n",
    b"- ",
    b"  ",
    b": ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"1e400",
    b"-0",
    b"0x1F",
    b"315576000001s",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"\\ud800",
];

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "yaml", run: yaml, corpus: &["fuzz/corpus/configuration"], dictionary: CONFIGURATION },
    Target { name: "json", run: json, corpus: &["fuzz/corpus/json"], dictionary: CONFIGURATION },
    Target { name: "wire", run: wire, corpus: &["fuzz/corpus/configuration"], dictionary: &[] },
];

/// YAML to the wire form of a bootstrap and back to JSON.
fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for document in parse_yaml_all(text).unwrap_or_default() {
        to_wire_and_back(&document);
    }
}

/// JSON likewise.
fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(document) = parse_json(text) {
        to_wire_and_back(&document);
    }
}

/// Any bytes as a message that came over xDS, printed as the admin interface does.
fn wire(data: &[u8]) {
    // An error is an answer.
    print(data, BOOTSTRAP, &PrintOptions::default()).ok();
}

fn to_wire_and_back(document: &Document) {
    if let Ok(encoded) = encode(&document.root, BOOTSTRAP, &Options::default()) {
        let printed = print(&encoded.bytes, BOOTSTRAP, &PrintOptions::default());
        assert!(printed.is_ok(), "what was encoded cannot be printed: {printed:?}");
    }
}
