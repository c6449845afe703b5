//! Dynamic metadata from the configuration: `envoy.extensions.filters.http.set_metadata.v3.Config`.
//!
//! What the chain says comes first, then what the most specific level of the route says.

use envoy_types::pb::envoy::extensions::filters::http::set_metadata::v3;
use serde_json::Value;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::metadata::{TypedMetadata, to_object};
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
    value: NewValue,
}

/// What is set.
#[derive(Clone, Debug, PartialEq)]
enum NewValue {
    /// An object.
    Untyped(Value),
    /// A message.
    Typed(TypedMetadata),
}

impl Config {
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { metadata_namespace, value, metadata } }
        let older = value.filter(|_| !metadata_namespace.is_empty()).map(|value| Entry {
            namespace: metadata_namespace,
            allow_overwrite: true,
            value: NewValue::Untyped(to_object(value)),
        });
        let entries = at.list("metadata", metadata, |message, at| Some(Entry::from_proto(message, at)));
        Some(Config(older.into_iter().chain(entries.into_iter().flatten()).collect()))
    }

    fn apply(&self, stream: &mut Stream<'_>, stats: &SetMetadataStats) {
        for entry in &self.0 {
            let (notes, namespace) = (stream.info.notes_mut(), &entry.namespace);
            match &entry.value {
                NewValue::Untyped(value) if entry.allow_overwrite || !notes.has_metadata(namespace) => {
                    notes.merge_metadata(namespace, value);
                }
                NewValue::Typed(value) if entry.allow_overwrite || !notes.has_typed_metadata(namespace) => {
                    notes.set_typed_metadata(namespace, value.clone());
                }
                NewValue::Untyped(_) | NewValue::Typed(_) => stats.overwrite_denied().inc(),
            }
        }
    }
}

impl Entry {
    /// `None` where it says nothing. As in Envoy typed metadata counts where there is no other.
    fn from_proto(message: v3::Metadata, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Metadata = message;
            implemented { metadata_namespace, allow_overwrite, value, typed_value }
        }
        let namespace = at.required_string("metadata_namespace", metadata_namespace);
        let untyped = value.map(|value| NewValue::Untyped(to_object(value)));
        let typed = || {
            let typed = TypedMetadata::from_any(&typed_value?, &mut at.field("typed_value"));
            Some(NewValue::Typed(typed))
        };
        Some(Entry { namespace, allow_overwrite, value: untyped.or_else(typed)? })
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
