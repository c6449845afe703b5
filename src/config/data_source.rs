//! Bytes that stand in the configuration, in a file or in the environment: `envoy.config.core.v3.DataSource`.

use envoy_types::pb::envoy::config::core::v3;

use super::field::{Scope, open};

/// The bytes, of which there may be so many. Files are read now and not again.
pub(super) fn read(message: v3::DataSource, max_bytes: Option<u32>, at: &mut Scope<'_>) -> Option<Vec<u8>> {
    use v3::data_source::Specifier;
    open! { at, v3::DataSource = message;
        implemented { specifier }
        rejected { watched_directory: "the file is read once" }
    }
    let bytes = match at.required("specifier", specifier)? {
        Specifier::InlineString(text) => text.into_bytes(),
        Specifier::InlineBytes(bytes) => bytes,
        Specifier::Filename(path) => std::fs::read(&path)
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
