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
    let mut read = Read::default();
    let unreadable = read_all(options, &mut read, err)?;
    let mut progress = Progress::new(read.inputs.len());
    let (findings, looked) = look(read, &options.disable, extensions, || progress.step(err))?;
    match (options.summary, options.format) {
        (true, _) => summary::print(&findings, looked, out)?,
        (false, Format::Text) => report::text(&findings, looked, out)?,
        (false, Format::Json) => report::json(&findings, looked, out)?,
        (false, Format::Sarif) => report::sarif(&findings, out)?,
    }
    out.flush()?;
    Ok(match findings.iter().any(|finding| finding.severity.blocks()) {
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
    let Read { inputs, mut findings } = read;
    let mut resources = Vec::new();
    for input in &inputs {
        resources.extend(resource::examine(input, extensions, &mut findings));
        step()?;
    }
    rules::apply(&resources, &mut findings);
    findings.retain(|finding| !disabled.iter().any(|id| id == finding.id));
    findings.sort_by(|one, other| {
        (&one.source, one.line, one.column).cmp(&(&other.source, other.line, other.column))
    });
    findings.dedup();
    let looked = Looked { sources: sources(&inputs, &findings), resources: resources.len() };
    Ok((findings, looked))
}

/// Reads all files; says whether some cannot be.
fn read_all(options: &Options, all: &mut Read, err: &mut impl Write) -> io::Result<bool> {
    let mut unreadable = false;
    for path in &options.paths {
        let files = input::files(path).and_then(|files| files.iter().map(|file| input::read(file)).collect());
        let read: Vec<Read> = match files {
            Ok(read) => read,
            Err(problem) => {
                writeln!(err, "error: {problem}")?;
                unreadable = true;
                continue;
            }
        };
        for read in read {
            all.inputs.extend(read.inputs);
            all.findings.extend(read.findings);
        }
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
    done: usize,
    all: usize,
    said: Instant,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self { done: 0, all, said: Instant::now() }
    }

    fn step(&mut self, err: &mut impl Write) -> io::Result<()> {
        self.done += 1;
        if self.said.elapsed() < Duration::from_secs(1) {
            return Ok(());
        }
        self.said = Instant::now();
        writeln!(err, "{} of {} looked at", self.done, self.all)
    }
}
