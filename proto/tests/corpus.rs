//! Round trip of configurations that other projects generate (`../shared/corpus/public` beside the repository).

use std::{fs, path::PathBuf};

use dragoman_proto::{
    PrintOptions, encode,
    encode::Options,
    inspect, print,
    tree::{Document, parse_json},
};
use serde_json::Value;

const ANY: &str = "google.protobuf.Any";

/// The resources of the corpus; none when it is not there, which is an error where `CI` is set.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn resources() -> Vec<(String, Value)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/public");
    let Ok(files) = fs::read_dir(&directory) else {
        assert!(std::env::var_os("CI").is_none(), "the corpus is missing: {}", directory.display());
        eprintln!("SKIPPED: there is no corpus at {}", directory.display());
        return Vec::new();
    };
    let mut resources = Vec::new();
    for file in files {
        let text = fs::read_to_string(file.expect("readable").path()).expect("readable");
        for line in text.lines() {
            let mut case: Value = serde_json::from_str(line).expect("a JSON object a line");
            let source = case["source"].as_str().unwrap_or_default().to_owned();
            let Value::Array(list) = case["resources"].take() else { panic!("{source}: no resources") };
            resources.extend(list.into_iter().map(|resource| (source.clone(), resource)));
        }
    }
    assert!(resources.len() > 2000, "only {} resources", resources.len());
    resources
}

/// Whether a resource holds types that are not part of Envoy's API. They are errors, and rightly so.
fn is_foreign(errors: &[dragoman_proto::Diagnostic]) -> bool {
    errors.iter().all(|error| error.message.starts_with("there is no message type"))
}

fn encoded(document: &Document) -> Result<Vec<u8>, Vec<dragoman_proto::Diagnostic>> {
    encode(&document.root, ANY, &Options::default()).map(|encoded| encoded.bytes)
}

/// Names in lower case without underscores, which snake and camel case have in common.
fn folded(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fold = |name: &str| name.replace('_', "").to_lowercase();
            Value::Object(object.iter().map(|(name, value)| (fold(name), folded(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(folded).collect()),
        // 1.0 and 1 are the same number.
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        other => other.clone(),
    }
}

#[test]
fn what_is_encoded_prints_as_it_was() {
    let (mut done, mut foreign) = (0, 0);
    for (source, resource) in resources() {
        let document = parse_json(&resource.to_string()).expect("JSON");
        let bytes = match encoded(&document) {
            Err(errors) if is_foreign(&errors) => {
                foreign += 1;
                continue;
            }
            result => result.unwrap_or_else(|errors| panic!("{source}: {errors:?}")),
        };
        let printed = print(&bytes, ANY, &PrintOptions::default()).expect("prints");
        assert_eq!(folded(&printed), folded(&resource), "{source}");
        let again = parse_json(&printed.to_string()).expect("JSON");
        let again = encoded(&again).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
        assert_eq!(print(&again, ANY, &PrintOptions::default()), Ok(printed), "{source}");
        done += 1;
    }
    assert!(foreign * 10 <= done, "{foreign} resources with foreign types, {done} others");
}

/// What Envoy refuses for a violated constraint as well.
const VIOLATING: [&str; 2] = [
    "envoyproxy/gateway:internal/xds/bootstrap/testdata/validate/missing-admin-address-user-bootstrap.yaml",
    "envoyproxy/gateway:internal/xds/translator/testdata/out/xds-ir/local-ratelimit-distinct.routes.yaml",
];

#[test]
fn inspection_finds_in_the_corpus_what_envoy_finds() {
    for (source, resource) in resources() {
        let Ok(bytes) = encoded(&parse_json(&resource.to_string()).expect("JSON")) else { continue };
        let findings = inspect(&bytes, ANY).expect("a message");
        assert_eq!(findings.unknown_fields, [], "{source}");
        assert_eq!(findings.unknown_types, [], "{source}");
        let is_violating = VIOLATING.contains(&source.as_str());
        assert_eq!(!findings.violations.is_empty(), is_violating, "{source}: {:?}", findings.violations);
    }
}
