//! The log as a whole: events in, lines in a file out.

use std::path::PathBuf;

use tracing::{debug, error, info, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// A log into a file of its own.
struct Fixture {
    levels: Levels,
    sink: Sink,
    path: PathBuf,
    directory: PathBuf,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("dragoman-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("log");
        Self { levels: Levels::new(Level::Info), sink: Sink::file(&path).unwrap(), path, directory }
    }

    fn run(&self, format: &str, escaped: bool, events: impl FnOnce()) -> String {
        let log = Log::new(self.levels.clone(), self.sink.clone(), Form::new(format), escaped);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), events);
        std::fs::read_to_string(&self.path).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

#[test]
fn an_event_becomes_a_line_in_envoys_form() {
    let fixture = Fixture::new("form");
    let text = fixture.run(DEFAULT_FORMAT, false, || {
        info!(target: "upstream", cluster = "app", hosts = 3, "{} added", "host");
    });
    let (date, rest) = text.split_once("][").unwrap();
    assert_eq!(date.len(), "[2026-11-22 01:04:52.064".len(), "{text}");
    let (thread, rest) = rest.split_once("][").unwrap();
    assert_eq!(thread, nix::unistd::gettid().to_string());
    let (place, message) = rest.split_once("] [Tags").unwrap();
    let source = place.strip_prefix("info][upstream] [").unwrap();
    let (file, line) = source.rsplit_once(':').unwrap();
    assert_eq!(file, file!());
    assert!(line.parse::<u32>().unwrap() < line!(), "{line}");
    assert_eq!(message, r#": "cluster":"app","hosts":"3"] host added"#.to_owned() + "\n");
}

#[test]
fn a_component_below_its_level_is_silent() {
    let fixture = Fixture::new("levels");
    fixture.levels.set("upstream", Level::Debug).unwrap();
    fixture.levels.set("http", Level::Off).unwrap();
    let text = fixture.run("%n %l %v", false, || {
        debug!(target: "upstream", "heard");
        debug!(target: "main", "not heard");
        warn!(target: "http", "not heard");
        fixture.levels.set_all(Level::Error);
        warn!(target: "upstream", "not heard");
    });
    assert_eq!(text, "upstream debug heard\n");
}

#[test]
fn a_critical_error_is_more_than_an_error() {
    let fixture = Fixture::new("critical");
    fixture.levels.set_all(Level::Critical);
    let text = fixture.run("%l %L %v", false, || {
        error!(target: "main", "not heard");
        error!(target: "main", critical = true, "cannot start");
    });
    assert_eq!(text, "critical C cannot start\n");
}

#[test]
fn an_escaped_line_is_one_line() {
    let fixture = Fixture::new("escaped");
    let text = fixture.run("%v", true, || info!(target: "main", "a\nb"));
    assert_eq!(text, "a\\nb\n");
}

#[test]
fn a_field_cannot_break_out_of_its_tag() {
    let fixture = Fixture::new("forged");
    let text = fixture.run("%v", false, || info!(target: "main", path = "/\n\"x", "seen"));
    assert_eq!(text, "[Tags: \"path\":\"/\\n\\\"x\"] seen\n");
}

#[test]
fn a_reopened_file_starts_anew_and_the_old_one_keeps_its_lines() {
    let fixture = Fixture::new("reopen");
    let moved = fixture.directory.join("log.1");
    let text = fixture.run("%v", false, || {
        info!(target: "main", "before");
        std::fs::rename(&fixture.path, &moved).unwrap();
        info!(target: "main", "between");
        fixture.sink.reopen().unwrap();
        info!(target: "main", "after");
    });
    assert_eq!(text, "after\n");
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "before\nbetween\n");
}

#[test]
fn a_log_file_in_a_missing_directory_is_an_error_that_names_it() {
    let error = Sink::file(std::path::Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.to_string(), "failed to open log-file '/nowhere/at/all'");
}
