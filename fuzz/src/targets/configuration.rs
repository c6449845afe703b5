//! Configuration in each of its forms: YAML, JSON, text and binary protos.

use std::io;

use dragoman::bootstrap;
use dragoman::config::extension::Extensions;
use dragoman_proto::encode::{Options, encode};
use dragoman_proto::tree::{Document, parse_json, parse_yaml_all};
use dragoman_proto::{PrintOptions, encode_text, inspect, print};

use super::Target;
use crate::corpus;

/// YAML to the wire form of a bootstrap and back to JSON.
pub(super) const YAML: Target = Target {
    name: "yaml",
    run: |data| {
        for document in text(data).and_then(|text| parse_yaml_all(text).ok()).unwrap_or_default() {
            to_wire_and_back(&document);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/configuration", "testdata/demo"]),
    dictionary: WORDS,
};

/// JSON likewise.
pub(super) const JSON: Target = Target {
    name: "json",
    run: |data| {
        if let Some(document) = text(data).and_then(|text| parse_json(text).ok()) {
            to_wire_and_back(&document);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/json"]),
    dictionary: WORDS,
};

/// YAML as `--config-yaml`: to the values that the proxy starts with, or to errors that name a place.
pub(super) const BOOTSTRAP_VALUES: Target = Target {
    name: "bootstrap",
    run: |data| {
        let source = bootstrap::Source { yaml: text(data), ..bootstrap::Source::default() };
        if let Err(problems) = bootstrap::load(&source, &Extensions::BUILT_IN) {
            assert!(!problems.is_empty(), "refused without a reason");
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/configuration"]),
    dictionary: WORDS,
};

/// Protobuf's text format likewise.
pub(super) const TEXT: Target = Target {
    name: "text",
    run: |data| {
        if let Some(bytes) = text(data).and_then(|text| encode_text(text, BOOTSTRAP).ok()) {
            printable(&bytes);
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/text"]),
    dictionary: WORDS,
};

/// Any bytes as a message: inspected as when it comes over xDS, printed as the admin interface does.
pub(super) const WIRE: Target = Target {
    name: "wire",
    run: |data| {
        // An error is an answer, here and below.
        inspect(data, BOOTSTRAP).ok();
        print(data, BOOTSTRAP, &PrintOptions::default()).ok();
    },
    seeds: wire_seeds,
    dictionary: &[],
};

const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// Words that mean something in a configuration.
const WORDS: &[&[u8]] = &[
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

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

fn to_wire_and_back(document: &Document) {
    if let Ok(encoded) = encode(&document.root, BOOTSTRAP, &Options::default()) {
        printable(&encoded.bytes);
    }
}

/// What one of our own parsers encoded must be readable to what reads messages.
fn printable(bytes: &[u8]) {
    let printed = print(bytes, BOOTSTRAP, &PrintOptions::default());
    assert!(printed.is_ok(), "what was encoded cannot be printed: {printed:?}");
    let findings = inspect(bytes, BOOTSTRAP);
    assert!(findings.is_ok(), "what was encoded cannot be inspected: {findings:?}");
}

/// The YAML corpus in its binary form.
fn wire_seeds() -> io::Result<Vec<Vec<u8>>> {
    let mut seeds = corpus::load(&["fuzz/corpus/wire"])?;
    for file in corpus::load(&["fuzz/corpus/configuration"])? {
        let document = text(&file).and_then(|text| parse_yaml_all(text).ok()?.into_iter().next());
        let encoded =
            document.and_then(|document| encode(&document.root, BOOTSTRAP, &Options::default()).ok());
        let encoded = encoded.ok_or_else(|| io::Error::other("a file of the corpus is no bootstrap"))?;
        seeds.push(encoded.bytes);
    }
    Ok(seeds)
}
