//! `dragoman-fuzz TARGET|all [--seconds N] [--seed S] [--input FILE]`: exits with 1 when a target fails.

use std::process::ExitCode;
use std::time::Duration;

use dragoman_fuzz::driver;
use dragoman_fuzz::targets::{TARGETS, Target};

/// What the command line asks for.
struct Arguments {
    targets: Vec<&'static Target>,
    duration: Duration,
    seed: u64,
    input: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    for target in &arguments.targets {
        if let Some(path) = &arguments.input {
            let input = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
            (target.run)(&input);
            continue;
        }
        let seed = arguments.seed;
        let report = driver::run(target, arguments.duration, seed);
        let report = report.map_err(|error| format!("{}: {error}", target.name))?;
        if let Some(path) = report.failure {
            return Err(format!("{} panicked on {} (seed {seed})", target.name, path.display()));
        }
        say(&format!("{}: {} inputs, seed {seed}", target.name, report.runs));
    }
    Ok(())
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let name = words.next().ok_or_else(usage)?;
        let targets: Vec<_> = TARGETS.iter().filter(|target| name == "all" || target.name == name).collect();
        if targets.is_empty() {
            return Err(format!("there is no target {name}; {}", usage()));
        }
        let mut arguments = Self { targets, duration: Duration::from_secs(5), seed: 1, input: None };
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--seconds" => arguments.duration = Duration::from_secs(number(&value)?),
                "--seed" => arguments.seed = number(&value)?,
                "--input" => arguments.input = Some(value),
                _ => return Err(format!("there is no flag {flag}; {}", usage())),
            }
        }
        Ok(arguments)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn usage() -> String {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    format!("usage: dragoman-fuzz {}|all [--seconds N] [--seed S] [--input FILE]", names.join("|"))
}

#[expect(clippy::print_stdout, reason = "the program's report")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the program's error")]
fn fail(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
