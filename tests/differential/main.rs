//! The same bootstrap and the same bytes to dragoman and to Envoy 1.40; they must do the same.
//!
//! The cases are data, see `tests/differential/README.md`. `cargo test --test differential -- WORD…` plays those whose
//! `topic/name` contains one of the words.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program reports there")]

mod again;
mod bootstrap;
mod case;
mod client;
mod command;
mod datagrams;
mod discovered;
mod dns;
mod fields;
mod group;
mod grpc;
mod handshake;
mod http2;
mod observation;
mod otlp;
mod plane;
mod proxied;
mod recorded;
mod report;
mod script;
mod set;
mod spans;
mod subject;
mod suite;
mod tls;
mod tunnel;
mod upstream;
mod verdict;
mod wire;

#[path = "../common/mod.rs"]
mod common;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use subject::Subject;
use suite::Loaded;
use verdict::Tally;

/// How many cases may come out right at the second look only.
const UNSTEADY_AT_MOST: usize = 5;

fn main() -> ExitCode {
    match run() {
        Ok(tally) => {
            println!("\n{} passed, {} failed", tally.passed, tally.failed);
            ExitCode::from(u8::from(tally.failed > 0))
        }
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Tally, String> {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let record = env::var("DIFFERENTIAL_RECORD").is_ok_and(|value| value == "1");
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let mut topics = suite::load(&home, &words)?;
    let without = env::var("DIFFERENTIAL_WITHOUT").ok();
    topics.iter_mut().for_each(|loaded| loaded.topic.without.clone_from(&without));
    if env::args().any(|word| word == "--list") {
        list(&topics);
        return Ok(Tally::default());
    }
    let mut programs = subject::programs()?;
    if record {
        programs.retain(|program| program.subject == Subject::Envoy);
        if programs.is_empty() {
            return Err("there is no Envoy to record from".to_owned());
        }
    } else {
        suite::check_recorded(&topics)?;
    }
    let scratch = Scratch::new()?;
    let mut outcomes = suite::play(&topics, &programs, record, &scratch.0);
    if record {
        return verdict::write(&home, &topics, &outcomes);
    }
    let unsteady = again::play(&topics, &programs, &mut outcomes, &scratch.0);
    let tally = verdict::judge(&topics, &outcomes);
    for program in &programs {
        println!("played against {}: {}", program.subject.name(), program.path.display());
    }
    println!("known gaps of dragoman: {}", tally.gaps);
    if unsteady > 0 {
        println!("unsteady: {unsteady}");
    }
    if unsteady > UNSTEADY_AT_MOST {
        return Err(format!("{unsteady} cases came out right at the second look only"));
    }
    Ok(tally)
}

fn list(topics: &[Loaded]) {
    for topic in topics {
        topic
            .indices
            .iter()
            .for_each(|index| println!("{}/{}: test", topic.name, topic.topic.cases[*index].name));
    }
}

/// A directory for the run's files; kept when `DIFFERENTIAL_KEEP=1`.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = env::temp_dir().join(format!("dragoman-differential-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if env::var("DIFFERENTIAL_KEEP").is_ok_and(|value| value == "1") {
            println!("files of the run: {}", self.0.display());
        } else {
            // A leftover in the temporary directory is no failure of the comparison.
            std::fs::remove_dir_all(&self.0).ok();
        }
    }
}
