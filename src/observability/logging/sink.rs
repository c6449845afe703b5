//! Where log lines go: standard error or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A destination; a clone is another handle to the same one.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    file: Option<Arc<LogFile>>,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

/// A log file that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to open log-file '{path}'")]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

impl Sink {
    /// Standard error, one write a line.
    pub fn stderr() -> Self {
        Self::default()
    }

    /// The file at `path`, appended to, made when absent.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn file(path: &Path) -> Result<Self, OpenError> {
        let file = LogFile { path: path.to_owned(), file: Mutex::new(open(path)?) };
        Ok(Self { file: Some(Arc::new(file)) })
    }

    /// Opens the file anew, after something has moved it away; the old one stays in use when that fails.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let Some(log) = &self.file else { return Ok(()) };
        let fresh = open(&log.path)?;
        *log.file.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Writes one line. A line that cannot be written is lost: there is nowhere to complain to.
    pub(super) fn write(&self, line: &str) {
        let written = match &self.file {
            Some(log) => log.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()),
            None => io::stderr().lock().write_all(line.as_bytes()),
        };
        written.unwrap_or_default();
    }
}

fn open(path: &Path) -> Result<File, OpenError> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|source| OpenError { path: path.to_owned(), source })
}
