//! From a directory to what can be served, or to all the reasons why not.

mod file;
mod scan;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

pub(crate) use scan::fingerprint;

use crate::kind::short_name;
use crate::resource::Resource;
use crate::snapshot::{Audience, Problem};

/// Reads all resources of a directory.
///
/// # Errors
///
/// Everything that is wrong, each with its place.
pub(crate) fn directory(root: &Path) -> Result<Vec<(Audience, Resource)>, Vec<Problem>> {
    let (files, mut problems) = scan::files(root);
    let mut resources = Vec::new();
    for found in files {
        let read = found.audience.map_err(|problem| vec![problem]).and_then(|audience| {
            let resources = file::resources(&found.path, &read(&found.path)?)?;
            Ok(resources.into_iter().map(move |one| (audience.clone(), one)))
        });
        match read {
            Ok(more) => resources.extend(more),
            Err(more) => problems.extend(more),
        }
    }
    problems.extend(duplicates(&resources));
    if problems.is_empty() { Ok(resources) } else { Err(problems) }
}

/// Reads the resources of a YAML text, in any of the forms that a file may have.
///
/// # Errors
///
/// Everything that is wrong, with line and column. References to other resources are not followed.
pub fn load_str(yaml: &str) -> Result<Vec<Resource>, Vec<Problem>> {
    let nameless = |problem| Problem { file: None, ..problem };
    match file::resources(Path::new(""), yaml) {
        Ok(resources) => Ok(resources.into_iter().map(|one| Resource { origin: None, ..one }).collect()),
        Err(problems) => Err(problems.into_iter().map(nameless).collect()),
    }
}

fn read(path: &Path) -> Result<String, Vec<Problem>> {
    fs::read_to_string(path).map_err(|error| vec![unreadable(path, &error)])
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot be read: {error}");
    Problem { file: Some(path.to_owned()), line: 0, column: 0, message }
}

/// The same name twice for the same nodes: one of them would never be served.
fn duplicates(resources: &[(Audience, Resource)]) -> Vec<Problem> {
    let mut seen: HashMap<(&Audience, &str, &str), &Resource> = HashMap::new();
    let mut problems = Vec::new();
    for (audience, resource) in resources {
        let Some(first) = seen.insert((audience, resource.type_url(), &resource.name), resource) else {
            continue;
        };
        let origin = resource.origin.as_ref();
        let place = first.origin.as_ref().map_or_else(String::new, |origin| format!(" at {origin}"));
        problems.push(Problem {
            file: origin.map(|origin| origin.file.clone()),
            line: origin.map_or(0, |origin| origin.line),
            column: 0,
            message: format!(
                "{} {:?} is there already{place}",
                short_name(resource.type_url()),
                resource.name
            ),
        });
    }
    problems
}

#[cfg(test)]
mod tests;
