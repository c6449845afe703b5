//! The argument of `FILE_CONTENT`: a file, and where changes of it are seen.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::data_source;

/// A file whose content is told as it is at the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileContent {
    /// The file.
    pub path: PathBuf,
    /// The directory in which changes are seen.
    pub directory: PathBuf,
    /// What changes there; `None` where it is whatever is moved there.
    pub name: Option<OsString>,
}

impl FileContent {
    /// Parses `PATH` or `PATH:DIRECTORY`; the file has to be there.
    pub(super) fn parse(argument: &str) -> Result<Self, String> {
        let parts: Vec<&str> = argument.split(':').filter(|part| !part.is_empty()).collect();
        let (path, directory) = match parts[..] {
            [path] => (path, None),
            [path, directory] => (path, Some(directory)),
            _ => {
                return Err(format!(
                    "FILE_CONTENT: expected format 'path' or 'path:watch_directory', got '{argument}'"
                ));
            }
        };
        let file = FileContent::new(Path::new(path), directory.map(Path::new));
        file.read().map_err(|error| format!("unable to read file: {path}: {error}"))?;
        Ok(file)
    }

    fn new(path: &Path, directory: Option<&Path>) -> Self {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        FileContent {
            path: path.to_owned(),
            directory: directory.or(parent).unwrap_or(Path::new(".")).to_owned(),
            name: path.file_name().filter(|_| directory.is_none()).map(ToOwned::to_owned),
        }
    }

    /// What it holds now.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        data_source::read_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_seen_beside_the_file_or_where_they_are_said_to_be() {
        let file =
            |path, directory: Option<&str>| FileContent::new(Path::new(path), directory.map(Path::new));
        let beside = file("/a/b", None);
        assert_eq!((beside.directory, beside.name), ("/a".into(), Some("b".into())));
        let elsewhere = file("/a/b", Some("/c"));
        assert_eq!((elsewhere.directory, elsewhere.name), ("/c".into(), None));
        assert_eq!(file("b", None).directory, Path::new("."));
    }

    #[test]
    fn what_is_no_path_or_not_there_is_refused() {
        let refused = |argument| FileContent::parse(argument).expect_err("an error");
        let words = "FILE_CONTENT: expected format 'path' or 'path:watch_directory', got ";
        assert_eq!(refused(":"), format!("{words}':'"));
        assert_eq!(refused("a:b:c"), format!("{words}'a:b:c'"));
        assert!(refused("/none/such").starts_with("unable to read file: /none/such: "));
    }
}
