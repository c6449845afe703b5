//! Loading of whole bootstraps: the golden cases in `testdata/config`, and what no file can show.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// The files of a folder of `testdata/config` with this extension, in order.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config").join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}

/// Loads a case by its file's name alone, so that messages do not depend on where the project lies.
fn load_case(path: &Path) -> Result<Loaded, Vec<Problem>> {
    load(&Source { path: Some(path), ..Source::default() }, &Extensions::BUILT_IN).map_err(|problems| {
        problems
            .into_iter()
            .map(|problem| Problem {
                document: problem.document.replace(&*path.to_string_lossy(), &file_name(path)),
                ..problem
            })
            .collect()
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file's name").to_string_lossy().into_owned()
}

fn lines<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string() + "\n").collect()
}

/// Compares with the file beside the case, or writes it where `UPDATE_GOLDEN` is set.
fn check_golden(case: &Path, extension: &str, found: &str) {
    let golden = case.with_extension(extension);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        if found.is_empty() {
            // There need not be one.
            drop(fs::remove_file(&golden));
        } else {
            fs::write(&golden, found).expect("a writable golden file");
        }
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(found, expected, "{}", golden.display());
}

#[test]
fn refused_bootstraps_are_refused_with_every_reason() {
    for case in cases("reject") {
        let problems = load_case(&case).map(|_| ()).expect_err(&file_name(&case));
        check_golden(&case, "errors", &lines(problems));
    }
}

#[test]
fn accepted_bootstraps_tell_what_has_no_effect() {
    for case in cases("accept") {
        let loaded = load_case(&case).unwrap_or_else(|problems| panic!("{}", lines(problems)));
        let notes = loaded.notes.into_iter().map(|note| format!("{}: {}", note.path, note.message));
        check_golden(&case, "notes", &lines(notes));
    }
}

/// Loads a text as `--config-yaml`.
fn load_yaml(yaml: &str) -> Result<Loaded, Vec<Problem>> {
    load(&Source { yaml: Some(yaml), ..Source::default() }, &Extensions::BUILT_IN)
}

#[test]
fn nothing_to_load_is_an_error() {
    let problems = load(&Source::default(), &Extensions::BUILT_IN).map(|_| ()).expect_err("an error");
    assert_eq!(lines(problems), "At least one of --config-path or --config-yaml should be non-empty\n");
}

#[test]
fn the_command_line_overrides_the_node() {
    let source = Source {
        yaml: Some("node: {id: a, cluster: b, locality: {region: r, zone: z}}"),
        node: NodeOverrides { id: "x".into(), cluster: String::new(), zone: "y".into() },
        ..Source::default()
    };
    let node = load(&source, &Extensions::BUILT_IN).expect("a bootstrap").bootstrap.node;
    assert_eq!((node.id.as_str(), node.cluster.as_str()), ("x", "b"));
    assert_eq!((node.locality.region.as_str(), node.locality.zone.as_str()), ("r", "y"));
}

#[test]
fn the_text_is_merged_over_the_file_and_errors_name_the_one_at_fault() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/config/accept/static.yaml");
    let load = |yaml| {
        load(&Source { path: Some(&case), yaml: Some(yaml), ..Source::default() }, &Extensions::BUILT_IN)
    };
    let loaded =
        load("node: {id: other}\nstatic_resources: {clusters: [{name: more}]}").expect("a bootstrap");
    assert_eq!(loaded.bootstrap.node.id, "other");
    assert_eq!(loaded.bootstrap.clusters.last().map(|cluster| cluster.value.name.as_str()), Some("more"));
    let problems =
        load("static_resources:\n  clusters:\n  - name: more\n    connectTimeout: 0s").expect_err("an error");
    assert_eq!(
        lines(problems),
        "--config-yaml:4:21: static_resources.clusters[2].connect_timeout: value must be greater than 0s\n"
    );
}

#[test]
fn unknown_fields_are_errors_unless_allowed() {
    let problems = load_yaml("node: {id: a, colour: blue}").map(|_| ()).expect_err("an error");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].diagnostic.path, "node.colour");
    let source =
        Source { yaml: Some("node: {id: a, colour: blue}"), allow_unknown_fields: true, ..Source::default() };
    let loaded = load(&source, &Extensions::BUILT_IN).expect("a bootstrap");
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn forms_of_a_file_are_told_by_its_extension() {
    let folder = std::env::temp_dir().join(format!("dragoman-bootstrap-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    for (name, content) in [
        ("a.yaml", "node: {id: edge}"),
        ("a.YML", "node: {id: edge}"),
        ("a.json", "{\"node\": {\"id\": \"edge\"}}"),
        ("a.conf", "{\"node\": {\"id\": \"edge\"}}"),
        ("a.pb_text", "node { id: \"edge\" }"),
        ("a.pb", "\x0a\x06\x0a\x04edge"),
    ] {
        let path = folder.join(name);
        fs::write(&path, content).expect("a file");
        let loaded = load(&Source { path: Some(&path), ..Source::default() }, &Extensions::BUILT_IN);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{name}: {}", lines(problems)));
        assert_eq!(loaded.bootstrap.node.id, "edge", "{name}");
    }
    fs::remove_dir_all(&folder).expect("the folder goes");
}
