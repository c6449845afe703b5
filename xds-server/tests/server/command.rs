//! The command: what it prints, how it ends.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::http::get;
use crate::support::within;

fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman-xds"));
    command.arg(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> Output {
    within("that the command ends", command.output()).await.unwrap()
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("the command runs").to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_on_a_signal() {
    for name in ["TERM", "INT"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = command(directory.path());
        let mut child = command.args(["--listen", "127.0.0.1:0", "--status", "[::1]:0"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let xds = within("a line", lines.next_line()).await.unwrap().unwrap();
        assert!(xds.starts_with("xds 127.0.0.1:") && !xds.ends_with(":0"), "{xds}");
        let status = within("a line", lines.next_line()).await.unwrap().unwrap();
        let address = status.strip_prefix("status ").unwrap().parse().unwrap();
        assert_eq!(get(address, "/ready").await.0, 200);
        signal(&child, name).await;
        let ended = within("that the command ends", child.wait()).await.unwrap();
        assert_eq!(ended.code(), Some(0), "after SIG{name}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_served_is_exit_code_1_with_all_reasons() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), "clusters: [{nme: a}]\n").unwrap();
    fs::write(directory.path().join("b.yaml"), "routes: [{name: r}, {name: r}]\n").unwrap();
    let output = output(command(directory.path())).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("a.yaml:1:13: nme: ") && error.contains("b.yaml:1: "), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path());
    command.args(["--listen", &address]);
    let output = output(command).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(&format!("cannot listen on {address}: Address already in use")), "{error}");
}

#[tokio::test]
async fn check_only_says_whether_the_directory_can_be_served() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("a.yaml"),
        "routes:\n- name: r\n  request_mirror_policies: {cluster: known}\n",
    )
    .unwrap();
    let mut refused = command(directory.path());
    refused.arg("--check");
    let refused = output(refused).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a.yaml:3: RouteConfiguration"));

    let mut accepted = command(directory.path());
    accepted.args(["--check", "--static-cluster", "known"]);
    let accepted = output(accepted).await;
    assert_eq!(accepted.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&accepted.stdout), "1 resources can be served\n");
}
