//! Which files of a directory are read, and for whom; and whether they changed.
//!
//! Symbolic links are followed, so a link that is swapped to another directory is a change of its files.
//! Names that begin with a dot are passed over: editors' swap files, and the versioned directories that
//! Kubernetes keeps beside the links of a mounted ConfigMap.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::unreadable;
use crate::snapshot::{Audience, Problem};

/// The directory whose subdirectories are for one node each, by `node.id`.
const BY_NODE: &str = "by-node";
/// The directory whose subdirectories are for the nodes of one cluster each, by `node.cluster`.
const BY_CLUSTER: &str = "by-cluster";
/// Extensions of files that hold resources; other files may lie beside them.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// How deep directories may be nested. Deeper is a link that leads back up.
const MAX_DEPTH: usize = 32;

/// A file with resources.
pub(super) struct Found {
    /// Its path, beginning with that of the directory that is served.
    pub(super) path: PathBuf,
    /// For whom it is.
    pub(super) audience: Result<Audience, Problem>,
}

/// What tells one state of a directory from another without reading the files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<(PathBuf, Option<Stamp>)>);

/// What changes when a file does. A new file under the old name has another inode; a file written in place
/// has another change time, which no program can set back.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The state of a directory now. What cannot be read is part of it.
pub(crate) fn fingerprint(root: &Path) -> Fingerprint {
    let mut stamps = Vec::new();
    walk(root, 0, &mut |path, metadata| {
        stamps.push((path.to_owned(), metadata.ok().map(|metadata| Stamp::of(&metadata))));
    });
    Fingerprint(stamps)
}

/// The files of a directory that hold resources, in the order of their paths, and what could not be looked at.
pub(super) fn files(root: &Path) -> (Vec<Found>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    walk(root, 0, &mut |path, metadata| match metadata {
        Ok(_) => files.push(Found { path: path.to_owned(), audience: audience(root, path) }),
        Err(error) => problems.push(unreadable(path, &error)),
    });
    (files, problems)
}

/// Shows every file that holds resources, and everything that cannot be looked at.
fn walk(directory: &Path, depth: usize, show: &mut impl FnMut(&Path, io::Result<Metadata>)) {
    if depth > MAX_DEPTH {
        let error =
            io::Error::other(format!("more than {MAX_DEPTH} directories deep; a link may lead back up"));
        return show(directory, Err(error));
    }
    let entries = match list(directory) {
        Ok(entries) => entries,
        Err(error) => return show(directory, Err(error)),
    };
    for path in entries {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(&path, depth + 1, show),
            metadata if holds_resources(&path) => show(&path, metadata),
            _ => {}
        }
    }
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect();
    let mut entries = entries?;
    entries.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    entries.sort();
    Ok(entries)
}

fn holds_resources(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// For whom a file is: `by-node/ID/...`, `by-cluster/CLUSTER/...`, or everyone.
fn audience(root: &Path, path: &Path) -> Result<Audience, Problem> {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let mut parts = inside.iter().map(OsStr::to_string_lossy);
    let (top, name, rest) = (parts.next(), parts.next(), parts.next());
    let make: fn(String) -> Audience = match top.as_deref() {
        Some(BY_NODE) => Audience::Node,
        Some(BY_CLUSTER) => Audience::Cluster,
        _ => return Ok(Audience::All),
    };
    match (name, rest) {
        (Some(name), Some(_)) => Ok(make(percent_decoded(&name))),
        _ => Err(Problem {
            file: Some(path.to_owned()),
            line: 0,
            column: 0,
            message: format!("belongs into a directory named after a node or cluster, as {BY_NODE}/ID/"),
        }),
    }
}

/// Undoes `%2F`, since the name of a directory cannot hold a slash.
fn percent_decoded(name: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_says_for_whom_a_file_is() {
        let of = |path: &str| audience(Path::new("/srv"), Path::new(path)).ok();
        assert_eq!(of("/srv/a.yaml"), Some(Audience::All));
        assert_eq!(of("/srv/clusters/a.yaml"), Some(Audience::All));
        assert_eq!(of("/srv/by-node/n1/deep/a.yaml"), Some(Audience::Node("n1".into())));
        assert_eq!(of("/srv/by-cluster/edge%2F1%/a.yaml"), Some(Audience::Cluster("edge/1%".into())));
        assert_eq!(of("/srv/by-node/a.yaml"), None);
    }
}
