//! What `docs/support.md` says, which is made from the lists in the sources.

use std::collections::BTreeSet;
use std::path::Path;

/// The full names of the fields that are implemented, if only in part.
pub(crate) fn implemented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/support.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut message = "";
    let mut found = BTreeSet::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            message = name;
        }
        let Some((field, answer)) = line.strip_prefix("| `").and_then(|row| row.split_once('|')) else {
            continue;
        };
        let field = field.split('`').next().unwrap_or_default();
        let answer = answer.split('|').next().unwrap_or_default().trim();
        if answer.contains("implemented") || answer.contains("in part") {
            found.insert(format!("{message}.{field}"));
        }
    }
    found
}
