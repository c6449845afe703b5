//! Configurations that other projects generate: how many are accepted, and what stands in the way of the others.
//!
//! The corpus is not part of the repository. It is looked for in the folder that `DRAGOMAN_CORPUS` names, or else
//! beside the project; without one there is nothing to check, and the test says so.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dragoman::config::bootstrap::NodeOverrides;
use dragoman::config::field::Error;
use dragoman::config::{Bootstrap, Cluster, Listener, LoadAssignment, RouteConfiguration};
use dragoman_proto::encode::{Options, encode};
use dragoman_proto::tree;
use prost::Message as _;

/// Accepted resources of each kind in the corpus as it was when the test was written: fewer is a step back.
const ACCEPTED_AT_LEAST: [(&str, usize); 5] = [
    ("envoy.config.bootstrap.v3.Bootstrap", 27),
    ("envoy.config.cluster.v3.Cluster", 684),
    ("envoy.config.endpoint.v3.ClusterLoadAssignment", 606),
    ("envoy.config.listener.v3.Listener", 332),
    ("envoy.config.route.v3.RouteConfiguration", 293),
];

/// How many were accepted and refused, and in how many each reason occurred.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    reasons: BTreeMap<String, usize>,
    /// Reasons of those that are refused for one alone.
    sole_reasons: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, errors: Vec<Error>) {
        if errors.is_empty() {
            self.accepted += 1;
            return;
        }
        self.refused += 1;
        let mut reasons: Vec<_> = errors.iter().map(reason).collect();
        reasons.sort();
        reasons.dedup();
        if let [only] = reasons.as_slice() {
            *self.sole_reasons.entry(only.clone()).or_default() += 1;
        }
        for reason in reasons {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }
}

/// The last two steps of the path without indices, and the start of the message.
fn reason(error: &Error) -> String {
    let mut path = String::new();
    let mut inside = false;
    for letter in error.path.chars() {
        inside = (inside || letter == '[') && letter != ']';
        if !inside && letter != ']' {
            path.push(letter);
        }
    }
    let steps: Vec<_> = path.rsplit('.').take(2).collect();
    let path: Vec<_> = steps.into_iter().rev().collect();
    format!("{}: {}", path.join("."), error.message.split(';').next().unwrap_or_default())
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("DRAGOMAN_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/public"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

/// The errors of a resource, if it is of a kind that is parsed.
fn errors(kind: &str, bytes: &[u8]) -> Option<Vec<Error>> {
    let extensions = dragoman::server::run::EXTENSIONS;
    let errors = match kind {
        "envoy.config.listener.v3.Listener" => Listener::parse(bytes, &extensions).err(),
        "envoy.config.cluster.v3.Cluster" => Cluster::parse(bytes, &extensions).err(),
        "envoy.config.route.v3.RouteConfiguration" => RouteConfiguration::parse(bytes, &extensions).err(),
        "envoy.config.endpoint.v3.ClusterLoadAssignment" => LoadAssignment::parse(bytes, &extensions).err(),
        "envoy.config.bootstrap.v3.Bootstrap" => {
            // Their node comes from the command line.
            let node = NodeOverrides { id: "node".into(), cluster: "cluster".into(), zone: String::new() };
            Bootstrap::parse(bytes, &node, &extensions).err()
        }
        _ => return None,
    };
    Some(errors.unwrap_or_default())
}

#[test]
fn generated_configurations_stay_accepted() {
    let Some(folder) = corpus() else {
        println!("skipped: no corpus; set DRAGOMAN_CORPUS to its folder");
        return;
    };
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let document = tree::parse_json(line).unwrap();
            for resource in document.root.get("resources").unwrap().elements() {
                // Types that the API does not have cannot be encoded, and are none of ours.
                let Ok(any) = encode(resource, "google.protobuf.Any", &Options::default()) else { continue };
                let any = prost_types::Any::decode(any.bytes.as_slice()).unwrap();
                let kind = any.type_url.rsplit('/').next().unwrap_or_default().to_owned();
                if let Some(errors) = errors(&kind, &any.value) {
                    tallies.entry(kind).or_default().add(errors);
                }
            }
        }
    }
    for (kind, tally) in &tallies {
        println!("\n{kind}: {} accepted, {} refused", tally.accepted, tally.refused);
        for (title, reasons) in [("for", &tally.reasons), ("for it alone", &tally.sole_reasons)] {
            let mut reasons: Vec<_> = reasons.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (reason, count) in reasons.into_iter().take(25) {
                println!("{count:6} {title} {reason}");
            }
        }
    }
    for (kind, least) in ACCEPTED_AT_LEAST {
        let accepted = tallies.get(kind).map_or(0, |tally| tally.accepted);
        assert!(accepted >= least, "{kind}: {accepted} accepted, {least} before");
    }
}
