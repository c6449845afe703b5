//! Cases that run a program to its end: `--mode validate`, `--version`, configurations that it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use regex::Regex;

use crate::case::Command;
use crate::common::run_to_end;
use crate::group::Outcome;
use crate::observation::Observation;
use crate::subject::Program;

/// The content of a file with the paths of certificates in place of their names.
fn with_certificates(content: &str) -> Result<String, String> {
    let pattern = Regex::new(r"\{pem:([^}]+)\}").map_err(|error| error.to_string())?;
    let path = |found: &regex::Captures<'_>| crate::tls::path(&found[1]).display().to_string();
    Ok(pattern.replace_all(content, path).into_owned())
}

/// Variables with the content of certificates in place of their names.
pub(crate) fn environment(variables: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, String> {
    let whole = |value: &str| match value.strip_prefix("{pem:").and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => {
            let path = crate::tls::path(name);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        }
        None => Ok(value.to_owned()),
    };
    variables.iter().map(|(name, value)| Ok((name.clone(), whole(value)?))).collect()
}

/// Runs `command` with its files in `directory`.
pub(crate) fn run(command: &Command, program: &Program, directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for (name, content) in &command.files {
        let path = directory.join(name);
        fs::write(&path, with_certificates(content)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let place = directory.display().to_string();
    let args = command.args.iter().map(|arg| arg.replace("{dir}", &place));
    let mut process = std::process::Command::new(&program.path);
    process.args(args);
    let (status, output) = run_to_end(&mut process, directory)?;
    let mut shown = match status.code() {
        Some(code) => format!("exit code {code}\n"),
        None => format!("{status}\n"),
    };
    if let Some(pattern) = &command.output {
        let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
        for found in pattern.find_iter(&output) {
            shown.push_str(&found.as_str().replace(&place, "{dir}"));
            shown.push('\n');
        }
    }
    Ok(Observation { client: vec![shown.trim_end().to_owned()], ..Observation::default() })
}
