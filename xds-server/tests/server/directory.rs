//! A directory that changes while it is served.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dragoman_xds::{CLUSTER, Handle, Server, Status};

use crate::support::{replace, within};

async fn serve(directory: &Path) -> Handle {
    Server::builder().directory(directory).start().await.unwrap()
}

fn clusters(names: &[&str]) -> String {
    names.iter().fold(String::from("clusters:\n"), |text, name| format!("{text}- name: {name}\n"))
}

fn count(status: &Status) -> usize {
    status.resources.iter().find(|one| one.type_url == CLUSTER).map_or(0, |one| one.count)
}

async fn until_there_are(plane: &Handle, wanted: usize) {
    let there = plane.wait_for(|status| (count(status) == wanted).then_some(()));
    within("that the change is served", there).await;
}

async fn problem(plane: &Handle) -> String {
    within("that the change is refused", plane.wait_for(|status| status.problems.first().cloned())).await
}

#[tokio::test]
async fn files_that_come_change_and_go_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let plane = serve(directory.path()).await;
    let file = directory.path().join("deep/er/a.yaml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, clusters(&["a"])).unwrap();
    until_there_are(&plane, 1).await;
    replace(&file, &clusters(&["a", "b"]));
    until_there_are(&plane, 2).await;
    fs::write(&file, clusters(&["a", "b", "c"])).unwrap();
    until_there_are(&plane, 3).await;
    fs::remove_file(file).unwrap();
    until_there_are(&plane, 0).await;
}

#[tokio::test]
async fn a_config_map_that_is_swapped_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (version, names) in [("..v1", &["a"][..]), ("..v2", &["a", "b"])] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("clusters.yaml"), clusters(names)).unwrap();
    }
    symlink("..v1", root.join("..data")).unwrap();
    symlink("..data/clusters.yaml", root.join("clusters.yaml")).unwrap();
    let plane = serve(root).await;
    until_there_are(&plane, 1).await;
    symlink("..v2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    until_there_are(&plane, 2).await;
}

#[tokio::test]
async fn a_directory_that_is_itself_a_swapped_link_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (version, names) in [("v1", &["a"][..]), ("v2", &["a", "b"])] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("clusters.yaml"), clusters(names)).unwrap();
    }
    symlink("v1", root.join("current")).unwrap();
    let plane = serve(&root.join("current")).await;
    until_there_are(&plane, 1).await;
    symlink("v2", root.join("next")).unwrap();
    fs::rename(root.join("next"), root.join("current")).unwrap();
    until_there_are(&plane, 2).await;
}

#[tokio::test]
async fn a_change_that_does_not_parse_is_refused_with_its_place_until_it_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    fs::write(&file, clusters(&["a"])).unwrap();
    let plane = serve(directory.path()).await;
    replace(&file, "clusters:\n- name: a\n- name: b\n  lb_policy: NO_SUCH\n");
    let problem = problem(&plane).await;
    assert!(problem.contains("a.yaml:4:14: lb_policy: "), "{problem}");
    assert_eq!(count(&plane.status()), 1);
    replace(&file, &clusters(&["a", "b"]));
    until_there_are(&plane, 2).await;
    assert!(plane.status().problems.is_empty());
}

#[tokio::test]
async fn a_change_that_is_taken_back_is_no_problem_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    fs::write(&file, clusters(&["a"])).unwrap();
    let plane = serve(directory.path()).await;
    replace(&file, "clusters: [{name: 'a");
    problem(&plane).await;
    replace(&file, &clusters(&["a"]));
    let mended = plane.wait_for(|status| status.problems.is_empty().then_some(status.generation));
    assert_eq!(within("that the change is taken back", mended).await, 1);
}

#[tokio::test]
async fn a_directory_that_vanishes_takes_nothing_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("served");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), clusters(&["a"])).unwrap();
    let plane = serve(&root).await;
    fs::rename(&root, directory.path().join("elsewhere")).unwrap();
    let problem = problem(&plane).await;
    assert!(problem.contains("served: cannot be read: No such file"), "{problem}");
    assert_eq!(count(&plane.status()), 1);
}

#[tokio::test]
async fn a_directory_that_cannot_be_served_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), "clusters: 1\n").unwrap();
    let error = Server::builder().directory(directory.path()).start().await.unwrap_err().to_string();
    assert!(error.contains("a.yaml:1:11: expected a resource, found a number"), "{error}");
}
