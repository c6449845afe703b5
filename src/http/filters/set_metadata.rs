//! Dynamic metadata from the configuration: `envoy.extensions.filters.http.set_metadata.v3.Config`.
//!
//! What the chain says comes first, then what the most specific level of the route says.

use envoy_types::pb::envoy::extensions::filters::http::set_metadata::v3;
use serde_json::Value;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::metadata::to_object;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::observability::stats::http::SetMetadataStats;

use super::read;

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.set_metadata.v3.Config";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.set_metadata",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::from_proto) }),
};

/// `Config`: what is set, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config(Vec<Entry>);

/// `Metadata`
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// The name of the metadata.
    namespace: String,
    /// Goes into metadata that is there; otherwise it is set only where there is none of the name.
    allow_overwrite: bool,
    /// An object.
    value: Value,
}

impl Config {
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { metadata_namespace, value, metadata } }
        let older = value.filter(|_| !metadata_namespace.is_empty()).map(|value| Entry {
            namespace: metadata_namespace,
            allow_overwrite: true,
            value: to_object(value),
        });
        let entries = at.list("metadata", metadata, |message, at| Some(Entry::from_proto(message, at)));
        Some(Config(older.into_iter().chain(entries.into_iter().flatten()).collect()))
    }

    fn apply(&self, stream: &mut Stream<'_>, stats: &SetMetadataStats) {
        for entry in &self.0 {
            let notes = stream.info.notes_mut();
            if entry.allow_overwrite || !notes.has_metadata(&entry.namespace) {
                notes.merge_metadata(&entry.namespace, &entry.value);
            } else {
                stats.overwrite_denied().inc();
            }
        }
    }
}

impl Entry {
    /// `None` for typed metadata alone.
    fn from_proto(message: v3::Metadata, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Metadata = message;
            implemented { metadata_namespace, allow_overwrite, value }
            ignored { typed_value: "nothing that is served reads typed metadata" }
        }
        let namespace = at.required_string("metadata_namespace", metadata_namespace);
        Some(Entry { namespace, allow_overwrite, value: to_object(value?) })
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    stats: SetMetadataStats,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let prefix = format!("{}set_metadata.", context.stat_prefix);
        Factory {
            name: context.name.into(),
            config: config.clone(),
            stats: SetMetadataStats::new(context.registry, &prefix),
        }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::SetMetadata(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Factory { name, config, stats } = self.0;
        config.apply(stream, stats);
        if let Some(config) = stream.route_config::<Config>(name) {
            config.apply(stream, stats);
        }
        Step::Continue
    }
}
