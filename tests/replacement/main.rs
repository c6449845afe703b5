//! dragoman in place of Envoy: the bootstraps of the corpus that dragoman takes run with both, and both show the same.
//!
//! The corpus is looked for as in `tests/corpus.rs`, Envoy as in `tests/differential/`. Without either there is nothing
//! to compare, and the test says so.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

mod adapt;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the differential tests use the rest")]
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Proxy, http1, run_to_end};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// Bootstraps that dragoman took when the test was written: fewer is a step back.
const TAKEN_AT_LEAST: usize = 9;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

const ARGUMENTS: [&str; 9] = [
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "--service-node",
    "node",
    "--service-cluster",
    "cluster",
    "-l",
    "warning",
];

/// What a running proxy shows.
#[derive(Debug, PartialEq)]
struct Shown {
    ready: String,
    /// Their names, and the answer of each to one request.
    listeners: Vec<(String, String)>,
    clusters: BTreeSet<String>,
}

#[test]
fn bootstraps_of_other_projects_run_as_with_envoy() {
    let Some(envoy) = common::envoy() else {
        let required = std::env::var("DRAGOMAN_REQUIRE_ENVOY").is_ok_and(|value| value == "1");
        assert!(!required, "DRAGOMAN_REQUIRE_ENVOY=1, but there is no envoy");
        println!("skipped: no envoy on the PATH and no ENVOY_BIN");
        return;
    };
    let Some(corpus) = corpus() else {
        println!("skipped: no corpus; set DRAGOMAN_CORPUS to its folder");
        return;
    };
    let dragoman = Path::new(env!("CARGO_BIN_EXE_dragoman"));
    let (_refusing, nowhere) = refusing();
    let mut taken = 0;
    let mut differing = Vec::new();
    for (source, bootstrap) in bootstraps(&corpus) {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("bootstrap.json");
        let adapted = adapt::adapt(&bootstrap, nowhere, directory.path());
        fs::write(&config, adapted.to_string()).unwrap();
        if !takes(dragoman, &config, directory.path()) {
            continue;
        }
        taken += 1;
        let (ours, theirs) = (shown(dragoman, &config, "ours"), shown(&envoy, &config, "theirs"));
        println!("{source}: {}", if ours == theirs { "the same" } else { "DIFFERENT" });
        if ours != theirs {
            differing.push(format!("{source}\n  dragoman: {ours:#?}\n  envoy: {theirs:#?}"));
        }
    }
    println!("{taken} bootstraps taken");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(taken >= TAKEN_AT_LEAST, "{taken} taken, {TAKEN_AT_LEAST} before");
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("DRAGOMAN_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/public"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

/// Every bootstrap of the corpus, with where it is from.
fn bootstraps(corpus: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in fs::read_to_string(path).unwrap().lines() {
            let document: Value = serde_json::from_str(line).unwrap();
            let source = document["source"].as_str().unwrap_or_default().to_owned();
            let resources = document["resources"].as_array().cloned().unwrap_or_default();
            let is_bootstrap =
                |value: &Value| value["@type"].as_str().is_some_and(|kind| kind.ends_with(".Bootstrap"));
            found.extend(resources.into_iter().filter(is_bootstrap).map(|value| (source.clone(), value)));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// A port that nobody listens on, for as long as the socket is there.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn takes(program: &Path, config: &Path, directory: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(["--mode", "validate", "-c"]).arg(config).args(ARGUMENTS);
    run_to_end(&mut command, directory).unwrap().0.success()
}

/// What `program` shows with `config`; its files go to a directory of this name beside it.
fn shown(program: &Path, config: &Path, name: &str) -> Result<Shown, String> {
    let directory = config.with_file_name(name);
    fs::create_dir(&directory).unwrap();
    let proxy = Proxy::start(program, config, &ARGUMENTS, &directory)?;
    let text = |path| proxy.get(path).map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    let clusters = text("/clusters")?;
    let mut listeners: Vec<_> = proxy
        .listeners()?
        .into_iter()
        .map(|(name, address)| (shown_name(name), answer(address).unwrap_or_else(|error| error.to_string())))
        .collect();
    listeners.sort();
    Ok(Shown {
        ready: text("/ready")?,
        listeners,
        clusters: clusters.lines().filter_map(|line| Some(line.split_once("::")?.0.to_owned())).collect(),
    })
}

/// A reset is the end of a connection.
fn ended(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(()),
        result => result,
    }
}

/// The name of a listener; those that are configured without one get an identifier.
fn shown_name(name: String) -> String {
    let is_identifier = name.len() == 36 && name.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if is_identifier { "<uuid>".to_owned() } else { name }
}

/// The answer to a plain request, without the date.
///
/// A connection that a TCP proxy gives up, since its host refuses, ends with a reset where the request has come by then and
/// was not read, and without one otherwise: which of the two it is is left to chance, and not told.
fn answer(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ended(stream.write_all(b"GET / HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n"))?;
    let mut answer = Vec::new();
    ended(stream.read_to_end(&mut answer).map(drop))?;
    let Some(message) = http1::read(&answer, http1::Kind::Response, true) else {
        return Ok(String::from_utf8_lossy(&answer).into_owned());
    };
    let lines = message.shown.lines().filter(|line| !line.starts_with("date:"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}
