//! The corpus: its sources, and what Envoy 1.40 said of the cases that they make.
//!
//! `testdata/verdicts` holds a small one in the same form, written for this test. The large one is not part of the
//! repository: it is looked for in the folder that `DRAGOMAN_CORPUS` names, or else beside the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A folder of sources, and the file beside it that tells Envoy's verdicts.
pub(crate) struct Corpus {
    /// Resources by source.
    pub(crate) sources: BTreeMap<String, Vec<Value>>,
    /// What Envoy said of each case.
    pub(crate) cases: Vec<Case>,
}

/// What Envoy said of one case.
pub(crate) struct Case {
    /// A source, or what the names of its sources begin with.
    pub(crate) name: String,
    /// Whether it is a bootstrap by itself; else resources of which one has to be made.
    pub(crate) is_bootstrap: bool,
    /// Whether Envoy took it.
    pub(crate) accepted: bool,
    /// Why not.
    pub(crate) reason: String,
}

/// The corpora that are here: the small one always, the large one where it is found.
pub(crate) fn corpora() -> Vec<Corpus> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let large = std::env::var_os("DRAGOMAN_CORPUS")
        .map_or_else(|| project.join("../shared/corpus/public"), PathBuf::from);
    let mut found = vec![read(&project.join("testdata/verdicts/public"))];
    if large.is_dir() {
        found.push(read(&large));
    }
    found
}

fn read(folder: &Path) -> Corpus {
    let mut sources = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder of a corpus") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a text");
        for line in text.lines() {
            let mut source: Value = serde_json::from_str(line).expect("a line of JSON");
            let Value::Array(resources) = source["resources"].take() else { panic!("no resources") };
            sources.insert(text_of(&source["source"]), resources);
        }
    }
    let verdicts = folder.with_file_name("public-validation.tsv");
    let verdicts = std::fs::read_to_string(verdicts).expect("the verdicts");
    Corpus { sources, cases: verdicts.lines().map(case).collect() }
}

fn case(line: &str) -> Case {
    let columns: Vec<_> = line.split('\t').collect();
    let [name, kind, verdict, reason] = columns[..] else { panic!("four columns: {line}") };
    Case {
        name: name.to_owned(),
        is_bootstrap: kind.starts_with("bootstrap"),
        accepted: verdict == "ok",
        reason: reason.to_owned(),
    }
}

impl Corpus {
    /// The resources of a case: of the source of its name, or of all whose names go on with their kind.
    pub(crate) fn resources(&self, case: &Case) -> Vec<Value> {
        if let Some(resources) = self.sources.get(&case.name) {
            return resources.clone();
        }
        let is_part = |source: &str| {
            let rest = source.strip_prefix(&case.name).and_then(|rest| rest.strip_prefix('.'));
            rest.and_then(|rest| rest.split('.').next()).is_some_and(|kind| KINDS.contains(&kind))
        };
        let parts = self.sources.iter().filter(|(source, _)| is_part(source));
        parts.flat_map(|(_, resources)| resources.clone()).collect()
    }
}

/// What stands between the name of a case and the extension of its files.
const KINDS: [&str; 9] =
    ["listeners", "routes", "clusters", "endpoints", "secrets", "listener", "route", "cluster", "endpoint"];

/// The case that a source is part of; its own name when it is one by itself.
pub(crate) fn set_of(source: &str) -> &str {
    let stem = source.rsplit_once('.').and_then(|(stem, _)| stem.rsplit_once('.'));
    stem.filter(|(_, kind)| KINDS.contains(kind)).map_or(source, |(case, _)| case)
}

/// The text of a JSON string; empty for anything else.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
