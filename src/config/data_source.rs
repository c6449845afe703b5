//! Bytes that stand in the configuration, in a file or in the environment: `envoy.config.core.v3.DataSource`.

use std::io;
use std::path::Path;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;

use super::field::{Scope, open};
use super::watched::{WatchedDirectory, WatchedFile};

/// Files beyond this size are refused before they are read.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The bytes, of which there may be so many. Files are read now and not again. `None` where that is noted as an error.
pub fn read(message: v3::DataSource, max_bytes: Option<u32>, at: &mut Scope<'_>) -> Option<Vec<u8>> {
    open! { at, v3::DataSource = message;
        implemented { specifier }
        ignored {
            watched_directory: "as in Envoy only bodies of direct responses and bundles of SPIFFE are read again",
        }
    }
    bytes(at.required("specifier", specifier)?, max_bytes, at)
}

/// Like [`read`], and the file that the bytes will be in from now on, where `watched_directory` is given.
pub fn follow(
    message: v3::DataSource,
    max_bytes: Option<u32>,
    at: &mut Scope<'_>,
) -> Option<(Vec<u8>, Option<WatchedFile>)> {
    open! { at, v3::DataSource = message; implemented { specifier, watched_directory } }
    let directory = at.message("watched_directory", watched_directory, WatchedDirectory::from_proto);
    let specifier = at.required("specifier", specifier)?;
    let file = match (&specifier, directory) {
        (Specifier::Filename(path), Some(directory)) => {
            Some(WatchedFile { max_bytes, ..WatchedFile::new(Path::new(path), Some(directory)) })
        }
        _ => None,
    };
    Some((bytes(specifier, max_bytes, at)?, file))
}

fn bytes(specifier: Specifier, max_bytes: Option<u32>, at: &mut Scope<'_>) -> Option<Vec<u8>> {
    let bytes = match specifier {
        Specifier::InlineString(text) => text.into_bytes(),
        Specifier::InlineBytes(bytes) => bytes,
        Specifier::Filename(path) => {
            let bytes = read_file(&path, max_bytes).map_err(|error| {
                at.field("filename").error(format!("Unable to read file: {path}: {error}"));
            });
            return bytes.ok();
        }
        Specifier::EnvironmentVariable(name) => std::env::var(&name)
            .map_err(|_| {
                at.field("environment_variable").error(format!("Environment variable doesn't exist: {name}"));
            })
            .ok()?
            .into_bytes(),
    };
    if let Some(max) = max_bytes
        && bytes.len() as u64 > u64::from(max)
    {
        let size = bytes.len();
        at.error(format!("response body size is {size} bytes; maximum is {max}"));
        return None;
    }
    Some(bytes)
}

/// Reads a regular file of bounded size: reading a pipe or a device, which a control plane may name as well, might
/// never end.
pub(super) fn read_file(path: impl AsRef<Path>, max_bytes: Option<u32>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let (size, max) = (metadata.len(), max_bytes.map_or(MAX_FILE_BYTES, u64::from));
    if size > max {
        let problem = format!("its size is {size} bytes; maximum is {max}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let refused = |path| read_file(path, None).map_err(|error| error.to_string());
        assert_eq!(refused("/dev/zero"), Err("not a regular file".to_owned()));
        assert!(refused("/").is_err() && refused("/none/such").is_err());
    }
}
