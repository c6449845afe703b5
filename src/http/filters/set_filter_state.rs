//! Filter state from format strings: `envoy.extensions.filters.http.set_filter_state.v3.Config`.
//!
//! What the chain says comes first, then what the levels of the route say, from the most general to the most specific.

use envoy_types::pb::envoy::extensions::filters::http::set_filter_state::v3;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::filter_state::Value;
use crate::observability::format;

use super::read;

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.set_filter_state.v3.Config";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.set_filter_state",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::from_proto) }),
};

/// `Config`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    values: Vec<Value>,
    /// Look for the route again after it.
    clear_route_cache: bool,
}

impl Config {
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { on_request_headers, clear_route_cache } }
        if on_request_headers.is_empty() {
            at.field("on_request_headers").violation("value must contain at least 1 item(s)");
        }
        let values = at.list("on_request_headers", on_request_headers, Value::from_proto);
        Some(Config { values, clear_route_cache })
    }

    fn apply(&self, stream: &mut Stream<'_>) {
        for value in &self.values {
            let context = format::Context::new(stream.info, stream.request, stream.response);
            if let Some(object) = value.object(&context) {
                value.set(object, stream.info.notes_mut());
            }
        }
        if self.clear_route_cache {
            stream.info.notes_mut().clear_route();
        }
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory { name: context.name.into(), config: config.clone() }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::SetFilterState(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        self.0.config.apply(stream);
        stream.route_configs::<Config>(&self.0.name).rev().for_each(|config| config.apply(stream));
        Step::Continue
    }
}
