//! The command: its options, what it does with them, its exit code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use super::finding::Finding;
use super::input::{self, Input, Read};
use super::report::{self, Looked};
use super::{resource, rules, summary};
use crate::config::extension::Extensions;

/// Bytes of all files together; what is beyond is refused.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Findings that are told; the others are counted.
const MAX_FINDINGS: usize = 100_000;

/// Exit code when there are errors, or what is not supported.
const BLOCKED: u8 = 1;

/// Exit code when something could not be read.
const UNREADABLE: u8 = 2;

/// Says what would become of a configuration, field by field, without starting anything.
///
/// Takes bootstraps, files of xDS resources, folders of those, /config_dump of Envoy or dragoman, what
/// `istioctl proxy-config … -o json` prints, and JSON lines. What is named together is looked at together.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "dragoman check", bin_name = "dragoman check")]
pub struct Options {
    /// Files and folders to look at.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// The form of the findings.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print how many sources would run unchanged, and what blocks how many of the others.
    #[arg(long)]
    summary: bool,
    /// Findings to leave out, by their ids; docs/checks.md lists them.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = rules::switchable())]
    disable: Vec<String>,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each finding, as compilers write theirs.
    Text,
    /// One object with all findings.
    Json,
    /// SARIF 2.1.0.
    Sarif,
}

/// A command line that cannot be obeyed, or a text that it asks for.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct OptionsError {
    /// What to print.
    text: String,
    /// Whether it was asked for: `--help`.
    pub wanted: bool,
}

impl Options {
    /// From the words behind `check`.
    ///
    /// # Errors
    /// The words cannot be understood, or ask for help.
    pub fn parse_words(words: &[String]) -> Result<Self, OptionsError> {
        let words = std::iter::once("dragoman check".to_owned()).chain(words.iter().cloned());
        Self::try_parse_from(words)
            .map_err(|error| OptionsError { text: error.to_string(), wanted: !error.use_stderr() })
    }
}

/// Looks at everything that the options name. Findings go to `out`, progress and what cannot be read to `err`.
///
/// The exit code is 0 when nothing blocks, 1 when something does, 2 when something cannot be read.
///
/// # Errors
/// Nothing can be written.
pub fn run(
    options: &Options,
    extensions: &Extensions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<ExitCode> {
    let mut progress = Progress { said: Instant::now() };
    let mut read = Read::default();
    let unreadable = read_all(options, &mut read, err, &mut progress)?;
    let (all, mut done) = (read.inputs.len(), 0);
    let (findings, looked) = look(read, &options.disable, extensions, || {
        done += 1;
        progress.step(Instant::now(), err, || format!("{done} of {all} looked at"))
    })?;
    match (options.summary, options.format) {
        (true, _) => summary::print(&findings, looked, out)?,
        (false, Format::Text) => report::text(&findings, looked, out)?,
        (false, Format::Json) => report::json(&findings, looked, out)?,
        (false, Format::Sarif) => report::sarif(&findings, looked, out)?,
    }
    out.flush()?;
    Ok(match looked.is_blocked {
        _ if unreadable => ExitCode::from(UNREADABLE),
        true => ExitCode::from(BLOCKED),
        false => ExitCode::SUCCESS,
    })
}

/// Looks at the bytes of one file with this extension: the report as text.
pub fn report_of(name: &str, extension: &str, bytes: Vec<u8>, extensions: &Extensions) -> String {
    let read = input::parse(name, extension, bytes);
    let mut out = Vec::new();
    let told = look(read, &[], extensions, || Ok(()))
        .and_then(|(findings, looked)| report::text(&findings, looked, &mut out));
    debug_assert!(told.is_ok(), "memory takes everything");
    String::from_utf8_lossy(&out).into_owned()
}

/// The findings in what was read, in the order of the places.
fn look(
    read: Read,
    disabled: &[String],
    extensions: &Extensions,
    mut step: impl FnMut() -> io::Result<()>,
) -> io::Result<(Vec<Finding>, Looked)> {
    let Read { inputs, findings: mut fresh } = read;
    let (mut findings, mut looked) = (Vec::new(), Looked::default());
    let mut resources = Vec::new();
    for input in &inputs {
        resources.extend(resource::examine(input, extensions, &mut fresh));
        keep(&mut fresh, disabled, &mut findings, &mut looked);
        step()?;
    }
    rules::apply(&resources, &mut fresh);
    keep(&mut fresh, disabled, &mut findings, &mut looked);
    findings.sort_by(|one, other| {
        (&one.source, one.line, one.column).cmp(&(&other.source, other.line, other.column))
    });
    findings.dedup();
    (looked.sources, looked.resources) = (sources(&inputs, &findings), resources.len());
    Ok((findings, looked))
}

/// Moves findings to those that are told, but for what nobody wants and what is too much.
fn keep(fresh: &mut Vec<Finding>, disabled: &[String], kept: &mut Vec<Finding>, looked: &mut Looked) {
    fresh.retain(|finding| !disabled.iter().any(|id| id == finding.id));
    looked.is_blocked |= fresh.iter().any(|finding| finding.severity.blocks());
    let room = MAX_FINDINGS - kept.len();
    looked.omitted += fresh.len().saturating_sub(room);
    fresh.truncate(room);
    kept.append(fresh);
}

/// Reads all files; says whether some cannot be.
fn read_all(
    options: &Options,
    all: &mut Read,
    err: &mut impl Write,
    progress: &mut Progress,
) -> io::Result<bool> {
    let mut unreadable = false;
    let mut left = MAX_BYTES;
    for path in &options.paths {
        let read = input::files(path).and_then(|files| {
            files.iter().try_for_each(|file| {
                let read = input::read(file, &mut left)?;
                all.inputs.extend(read.inputs);
                all.findings.extend(read.findings);
                Ok(())
            })
        });
        if let Err(problem) = read {
            writeln!(err, "error: {problem}")?;
            unreadable = true;
        }
        progress.step(Instant::now(), err, || format!("{} read", all.inputs.len()))?;
    }
    Ok(unreadable)
}

/// How many sources there are: several documents of one file are one, and so is a file that cannot be parsed.
fn sources(inputs: &[Input], findings: &[Finding]) -> usize {
    let mut names: Vec<_> = inputs.iter().map(|input| &input.name).collect();
    names.extend(findings.iter().map(|finding| &finding.source));
    names.sort();
    names.dedup();
    names.len()
}

/// A line now and then for whoever waits.
struct Progress {
    said: Instant,
}

impl Progress {
    /// Says how far the work is when a second has passed since the last time.
    fn step(
        &mut self,
        now: Instant,
        err: &mut impl Write,
        how_far: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if now.saturating_duration_since(self.said) < Duration::from_secs(1) {
            return Ok(());
        }
        self.said = now;
        writeln!(err, "{}", how_far())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_once_a_second() {
        let began = Instant::now();
        let mut progress = Progress { said: began };
        let mut err = Vec::new();
        for (number, milliseconds) in [100, 999, 1000, 1500, 2000].into_iter().enumerate() {
            let now = began + Duration::from_millis(milliseconds);
            progress.step(now, &mut err, || format!("{number} of 5")).expect("memory takes everything");
        }
        assert_eq!(String::from_utf8_lossy(&err), "2 of 5\n4 of 5\n");
    }
    #[test]
    fn of_many_findings_the_first_are_told_and_the_others_counted() {
        let at = dragoman_proto::tree::Position::default();
        let error = Finding::of_source(&"a".into(), at, "", "bad".to_owned());
        let (mut kept, mut looked) = (Vec::new(), Looked::default());
        for _ in 0..2 {
            let mut fresh = vec![error.clone(); MAX_FINDINGS - 1];
            keep(&mut fresh, &[], &mut kept, &mut looked);
        }
        assert_eq!((kept.len(), looked.omitted, looked.is_blocked), (MAX_FINDINGS, MAX_FINDINGS - 2, true));
    }
}
