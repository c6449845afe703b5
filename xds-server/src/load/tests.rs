use std::fs;
use std::path::Path;

use super::*;
use crate::kind::{CLUSTER, ENDPOINTS, LISTENER, RUNTIME};

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// What a directory with these files holds.
fn names(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), files);
    let resources = directory(root.path()).unwrap_or_else(|problems| panic!("{problems:?}"));
    resources.into_iter().map(|(_, one)| (one.type_url().to_owned(), one.name.to_string())).collect()
}

/// What is wrong with a directory with these files, without the directory's own name.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), files);
    let problems = directory(root.path()).expect_err("something is wrong");
    let prefix = format!("{}/", root.path().display());
    problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
}

fn expect(files: &[(&str, &str)], expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(kind, name)| (kind.to_string(), name.to_string())).collect();
    assert_eq!(names(files), expected);
}

const TYPED: &str = r#""@type": type.googleapis.com/envoy.config.cluster.v3.Cluster"#;

#[test]
fn a_file_may_hold_one_resource() {
    expect(&[("a.yaml", &format!("{TYPED}\nname: a\n"))], &[(CLUSTER, "a")]);
}

#[test]
fn a_file_may_hold_a_list_of_resources() {
    expect(
        &[("a.yaml", &format!("- {TYPED}\n  name: a\n- {TYPED}\n  name: b\n"))],
        &[(CLUSTER, "a"), (CLUSTER, "b")],
    );
}

#[test]
fn a_file_may_be_a_discovery_response() {
    let text = format!("version_info: '1'\nresources:\n- {TYPED}\n  name: a\n");
    expect(&[("a.yaml", &text)], &[(CLUSTER, "a")]);
}

#[test]
fn a_file_may_hold_several_documents() {
    let text = format!("{TYPED}\nname: a\n---\n---\n{TYPED}\nname: b\n");
    expect(&[("a.yaml", &text)], &[(CLUSTER, "a"), (CLUSTER, "b")]);
}

#[test]
fn a_file_may_hold_a_list_for_each_kind() {
    expect(
        &[(
            "a.yml",
            "listeners: [{name: l}]\nclusters:\n- name: c\nendpoints: {clusterName: e}\nruntimes:\n- name: r\nroutes:\n",
        )],
        &[(LISTENER, "l"), (CLUSTER, "c"), (ENDPOINTS, "e"), (RUNTIME, "r")],
    );
}

#[test]
fn json_is_read_as_well() {
    expect(&[("a.json", r#"{"clusters": [{"name": "a"}]}"#)], &[(CLUSTER, "a")]);
}

#[test]
fn other_files_and_hidden_ones_are_passed_over() {
    expect(
        &[
            ("README.md", "no yaml: ["),
            (".a.yaml", "no yaml: ["),
            ("..data/b.yaml", "no yaml: ["),
            ("deep/er/c.yaml", "clusters: [{name: c}]"),
        ],
        &[(CLUSTER, "c")],
    );
}

#[test]
fn a_wrapped_resource_has_a_name_and_a_time_to_live() {
    let root = tempfile::tempdir().unwrap();
    let text = format!(
        "'@type': type.googleapis.com/envoy.service.discovery.v3.Resource\nname: other\nttl: 1.5s\n\
         resource:\n  {TYPED}\n  name: a\n"
    );
    write(root.path(), &[("a.yaml", &text)]);
    let resources = directory(root.path()).unwrap();
    let (_, resource) = &resources[0];
    assert_eq!((&*resource.name, resource.type_url()), ("other", CLUSTER));
    assert_eq!(resource.ttl, Some(std::time::Duration::from_millis(1500)));
}

#[test]
fn every_problem_of_every_file_is_named() {
    assert_eq!(
        problems(&[
            ("a.yaml", "clusters:\n- name: a\n  connect_timeout: soon\n- nme: b\n"),
            ("b.yaml", "clusters: [{name: 'b\n"),
            ("c.yaml", "cluster: []\n"),
            ("by-node/d.yaml", ""),
        ])
        .iter()
        .map(|problem| problem.split(": ").next().unwrap_or_default())
        .collect::<Vec<_>>(),
        ["a.yaml:3:20", "a.yaml:4:3", "b.yaml:1:19", "by-node/d.yaml", "c.yaml:1:1"],
    );
}

#[test]
fn a_resource_needs_a_name() {
    assert_eq!(
        problems(&[("a.yaml", "endpoints:\n- endpoints: []\n")]),
        ["a.yaml:2:3: a resource needs a name: `cluster_name` is missing or empty"]
    );
}

#[test]
fn the_same_name_twice_is_a_problem_unless_for_other_nodes() {
    let text = "clusters: [{name: a}]";
    expect(&[("a.yaml", text), ("by-node/n/a.yaml", text)], &[(CLUSTER, "a"), (CLUSTER, "a")]);
    let found = problems(&[("a.yaml", text), ("b.yaml", text)]);
    assert_eq!(found, [r#"b.yaml:1: Cluster "a" is there already at a.yaml:1"#]);
}

#[test]
fn a_reference_knows_its_line() {
    let root = tempfile::tempdir().unwrap();
    let text = "routes:\n- name: r\n  virtual_hosts:\n  - name: app\n    domains: ['*']\n    routes:\n\
                \x20   - match: {prefix: /}\n      route:\n        cluster: app\n";
    write(root.path(), &[("a.yaml", text)]);
    let resources = directory(root.path()).unwrap();
    assert_eq!(resources[0].1.references[0].line, 9);
}

#[test]
fn a_link_that_leads_back_up_is_a_problem() {
    let root = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("again")).unwrap();
    let problems = directory(root.path()).expect_err("a loop");
    assert!(problems[0].message.contains("a link may lead back up"), "{problems:?}");
}

#[test]
fn a_swapped_link_changes_the_fingerprint() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &[(".v1/a.yaml", ""), (".v2/a.yaml", "")]);
    let link = |target: &str| std::os::unix::fs::symlink(target, root.path().join("new")).unwrap();
    let swap = || fs::rename(root.path().join("new"), root.path().join("current")).unwrap();
    link(".v1");
    swap();
    let before = fingerprint(root.path());
    assert_eq!(before, fingerprint(root.path()));
    link(".v2");
    swap();
    assert_ne!(before, fingerprint(root.path()));
}
