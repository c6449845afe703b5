//! No field of the configuration's values is read from a message and then dropped: each is looked at somewhere.
//!
//! The compiler does not tell, since a comparison counts as a use for it. So this reads the text: a field that no line
//! of the program names with a dot before it, in code that is no test, is one that nobody honours.

use std::fs;
use std::path::{Path, PathBuf};

/// Fields that nothing reads, and why that is right.
const UNREAD: &[(&str, &str)] = &[
    ("implemented", "what tests and documents say of the support of fields"),
    ("rejected", "likewise"),
    ("ignored", "likewise"),
];

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a readable source directory") {
        let path = entry.expect("a readable source directory").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file, without comments and tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a readable source file");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

/// The public fields of structs: lines such as `    pub name: Type,`.
fn fields(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("    pub ")?.split_once(": ")?;
        let name = name.strip_prefix("r#").unwrap_or(name);
        name.chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
            .then_some(name)
    })
}

/// Whether the code reads a field of this name.
fn reads(code: &str, field: &str) -> bool {
    code.match_indices(&format!(".{field}")).any(|(at, found)| {
        let next = code[at + found.len()..].chars().next();
        next.is_none_or(|next| !next.is_alphanumeric() && next != '_' && next != '(')
    })
}

#[test]
fn every_field_of_the_configuration_is_looked_at() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let is_test = |path: &PathBuf| path.ends_with("tests.rs") || path.ends_with("testing.rs");
    files.retain(|path| !is_test(path));
    let (model, whole): (Vec<_>, String) = (
        files.iter().filter(|path| path.starts_with(source.join("config"))).map(|path| code(path)).collect(),
        files.iter().map(|path| code(path)).collect(),
    );
    let mut names: Vec<&str> = model.iter().flat_map(|code| fields(code)).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 150, "only {} fields were found: the search is broken", names.len());
    let excused = |name: &str| UNREAD.iter().any(|(field, _)| *field == name);
    let dropped: Vec<&&str> = names.iter().filter(|name| !reads(&whole, name) && !excused(name)).collect();
    assert!(dropped.is_empty(), "read from the configuration, then dropped: {dropped:?}");
    let stale: Vec<_> = UNREAD.iter().filter(|(field, _)| reads(&whole, field)).collect();
    assert!(stale.is_empty(), "excused, but read: {stale:?}");
}
