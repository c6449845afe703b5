//! Files that count as they are at the time, and the directories in which changes of them are seen.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use envoy_types::pb::envoy::config::core::v3;

use super::data_source;
use super::field::{Scope, open};

/// `envoy.config.core.v3.WatchedDirectory`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchedDirectory {
    /// The directory.
    pub path: PathBuf,
    /// Whether files that are written in place count, besides what is moved into the directory.
    pub watch_modify: bool,
}

impl WatchedDirectory {
    /// From its proto.
    pub fn from_proto(message: v3::WatchedDirectory, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::WatchedDirectory = message; implemented { path, watch_modify } }
        Some(WatchedDirectory { path: at.required_string("path", path).into(), watch_modify })
    }

    /// The directory that a file is in, of which only what is moved into it counts.
    pub fn around(file: &Path) -> Self {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        WatchedDirectory { path: parent.unwrap_or(Path::new(".")).to_owned(), watch_modify: false }
    }
}

/// A file whose content counts as it is at the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchedFile {
    /// The file.
    pub path: PathBuf,
    /// Where changes are seen.
    pub directory: WatchedDirectory,
    /// What changes there; `None` where it is anything.
    pub name: Option<OsString>,
    /// Whether it counts, wherever changes are seen, when it is written in place.
    pub in_place: bool,
    /// How large it may be; larger content does not take the place of what was there before.
    pub max_bytes: Option<u32>,
}

impl WatchedFile {
    /// A file of which changes are seen in a directory that is said, or beside the file itself. There, as in Envoy, it
    /// counts too when it is written in place.
    pub fn new(path: &Path, directory: Option<WatchedDirectory>) -> Self {
        WatchedFile {
            path: path.to_owned(),
            name: path.file_name().filter(|_| directory.is_none()).map(ToOwned::to_owned),
            directory: directory
                .unwrap_or_else(|| WatchedDirectory { watch_modify: true, ..WatchedDirectory::around(path) }),
            in_place: false,
            max_bytes: None,
        }
    }

    /// What it holds now.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        data_source::read_file(&self.path, self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_seen_beside_the_file_or_where_they_are_said_to_be() {
        let beside = WatchedFile::new(Path::new("/a/b"), None);
        let directory = WatchedDirectory { path: "/a".into(), watch_modify: true };
        assert_eq!((beside.directory, beside.name), (directory, Some("b".into())));
        let directory = WatchedDirectory { path: "/c".into(), watch_modify: false };
        let elsewhere = WatchedFile::new(Path::new("/a/b"), Some(directory.clone()));
        assert_eq!((elsewhere.directory, elsewhere.name), (directory, None));
        assert_eq!(WatchedFile::new(Path::new("b"), None).directory.path, Path::new("."));
    }
}
