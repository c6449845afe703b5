//! Bytes that stand in the configuration, in a file or in the environment: `envoy.config.core.v3.DataSource`.

use std::io;
use std::path::Path;

use envoy_types::pb::envoy::config::core::v3;

use super::field::{Scope, open};

/// Files beyond this size are refused before they are read.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The bytes, of which there may be so many. Files are read now and not again. `None` where that is noted as an error.
pub fn read(message: v3::DataSource, max_bytes: Option<u32>, at: &mut Scope<'_>) -> Option<Vec<u8>> {
    use v3::data_source::Specifier;
    open! { at, v3::DataSource = message;
        implemented { specifier }
        rejected { watched_directory: "the file is read once" }
    }
    let bytes = match at.required("specifier", specifier)? {
        Specifier::InlineString(text) => text.into_bytes(),
        Specifier::InlineBytes(bytes) => bytes,
        Specifier::Filename(path) => read_file(&path)
            .map_err(|error| at.field("filename").error(format!("Unable to read file: {path}: {error}")))
            .ok()?,
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
pub(super) fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {MAX_FILE_BYTES} bytes"),
        ));
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let refused = |path| read_file(path).map_err(|error| error.to_string());
        assert_eq!(refused("/dev/zero"), Err("not a regular file".to_owned()));
        assert!(refused("/").is_err() && refused("/none/such").is_err());
    }
}
