//! `elsewhere.yaml`: fields whose effect another test shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Fields, each with the name of the test.
pub(crate) fn read(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all test functions of the workspace.
pub(crate) fn tests_of_the_sources() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for folder in ["src", "tests", "proto/src", "xds-server/src", "xds-server/tests"] {
        collect(&root.join(folder), &mut found);
    }
    found
}

/// The functions below `directory` behind a `#[test]` or `#[tokio::test]`.
fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                let function = line.trim_start_matches("async ").strip_prefix("fn ");
                match function.and_then(|rest| rest.split_once('(')) {
                    Some((name, _)) if is_test => {
                        found.insert(name.to_owned());
                        is_test = false;
                    }
                    _ => is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test"),
                }
            }
        }
    }
}
