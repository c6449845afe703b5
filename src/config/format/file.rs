//! The argument of `FILE_CONTENT`: a file, and where changes of it are seen.

use std::path::Path;

use crate::config::watched::{WatchedDirectory, WatchedFile};

/// Parses `PATH` or `PATH:DIRECTORY`; the file has to be there.
pub(super) fn parse(argument: &str) -> Result<WatchedFile, String> {
    let parts: Vec<&str> = argument.split(':').filter(|part| !part.is_empty()).collect();
    let (path, directory) = match parts[..] {
        [path] => (path, None),
        [path, directory] => (path, Some(WatchedDirectory { path: directory.into(), watch_modify: false })),
        _ => {
            return Err(format!(
                "FILE_CONTENT: expected format 'path' or 'path:watch_directory', got '{argument}'"
            ));
        }
    };
    let file = WatchedFile::new(Path::new(path), directory);
    file.read().map_err(|error| format!("unable to read file: {path}: {error}"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_or_not_there_is_refused() {
        let refused = |argument| parse(argument).expect_err("an error");
        let words = "FILE_CONTENT: expected format 'path' or 'path:watch_directory', got ";
        assert_eq!(refused(":"), format!("{words}':'"));
        assert_eq!(refused("a:b:c"), format!("{words}'a:b:c'"));
        assert!(refused("/none/such").starts_with("unable to read file: /none/such: "));
    }
}
