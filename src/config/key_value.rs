//! Where values are kept from one start to the next: `envoy.config.common.key_value.v3.KeyValueStoreConfig`, of which
//! there is one kind, `envoy.extensions.key_value.file_based.v3.FileBasedKeyValueStoreConfig`.

use std::path::PathBuf;
use std::time::Duration;

use envoy_types::pb::envoy::config::common::key_value::v3;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::key_value::file_based::v3::FileBasedKeyValueStoreConfig;
use prost::Name as _;

use super::extension;
use super::field::{Scope, open};

/// How many values are kept where nothing is said.
const DEFAULT_MAX_ENTRIES: u32 = 1000;

/// A file of keys and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueStore {
    /// The file, which need not be there.
    pub filename: PathBuf,
    /// How often what has changed is written; `None` for at once, which 0 means, too.
    pub flush_interval: Option<Duration>,
    /// How many values are kept, the latest; 0 for any number; 1,000 by default.
    pub max_entries: u32,
}

impl KeyValueStore {
    /// From its proto.
    pub fn from_proto(message: v3::KeyValueStoreConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::KeyValueStoreConfig = message; implemented { config } }
        let mut at = at.field("config");
        open! { at, TypedExtensionConfig = config.unwrap_or_default(); implemented { name, typed_config } }
        let any = typed_config.unwrap_or_default();
        let mut at = at.field("typed_config");
        let (kind, known) = (extension::contained_type(&any), FileBasedKeyValueStoreConfig::full_name());
        if kind != known {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{kind}'; known: {known}"
            ));
            return None;
        }
        Self::of_file(extension::read(any, &mut at)?, &mut at)
    }

    fn of_file(message: FileBasedKeyValueStoreConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, FileBasedKeyValueStoreConfig = message;
            implemented { filename, flush_interval, max_entries }
        }
        let flush_interval = at.duration("flush_interval", flush_interval);
        Some(KeyValueStore {
            filename: at.required_string("filename", filename).into(),
            flush_interval: flush_interval.filter(|interval| !interval.is_zero()),
            max_entries: max_entries.map_or(DEFAULT_MAX_ENTRIES, |most| most.value),
        })
    }
}
