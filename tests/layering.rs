//! The order of the modules holds: each uses the ones below it, never one above.

use std::fs;
use std::path::{Path, PathBuf};

/// From top to bottom.
const ORDER: &[&str] = &[
    "server",
    "check",
    "admin",
    "control",
    "bootstrap",
    "xds",
    "listener",
    "network",
    "udp",
    "http",
    "snapshot",
    "upstream",
    "codec",
    "route",
    "transport",
    "observability",
    "config",
    "base",
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

/// The modules that a file's text names with `crate::`, outside its tests.
fn used(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code_lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code_lines.flat_map(|line| {
        line.split("crate::").skip(1).map(|rest| {
            let end = rest.find(|character: char| !character.is_ascii_lowercase() && character != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
    })
}

#[test]
fn modules_use_only_those_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rank = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let mut broken = Vec::new();
    let mut seen = 0;
    for file in &files {
        let relative = file.strip_prefix(&source).unwrap();
        let first = relative.iter().next().unwrap().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if matches!(module, "lib" | "main")
            || relative.ends_with("tests.rs")
            || relative.ends_with("testing.rs")
        {
            continue;
        }
        let own = rank(module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        for name in used(&fs::read_to_string(file).unwrap()) {
            if let Some(other) = rank(name) {
                seen += 1;
                if other < own {
                    broken.push(format!("{} uses {name}", relative.display()));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} uses were found: the search is broken");
    assert!(broken.is_empty(), "upward uses:\n{}", broken.join("\n"));
}
