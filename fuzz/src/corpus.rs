//! The inputs that mutation starts from: files in the repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The contents of all files under the directories `places` of the repository, in the order of their paths.
///
/// # Errors
///
/// When a directory or file cannot be read; a corpus that is missing must not go unnoticed.
pub fn load(places: &[&str]) -> io::Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for place in places {
        collect(&repository().join(place), &mut files)?;
    }
    files.sort();
    files.iter().map(fs::read).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::targets::TARGETS;

    #[test]
    fn every_target_has_a_corpus() {
        for target in TARGETS {
            let seeds = (target.seeds)().unwrap_or_else(|error| panic!("{}: {error}", target.name));
            assert!(!seeds.is_empty(), "{}", target.name);
        }
    }

    #[test]
    fn every_target_takes_its_corpus_as_it_is() {
        for target in TARGETS {
            for input in (target.seeds)().unwrap() {
                (target.run)(&input);
            }
        }
    }
}
