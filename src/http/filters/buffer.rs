//! Requests go on once they are complete: `envoy.extensions.filters.http.buffer.v3.Buffer`.
//!
//! Hosts that cannot do with a body that comes slowly, or without its length, are spared both: a request without
//! `content-length` gets one. What a route says takes the place of what the chain says.

use envoy_types::pb::envoy::extensions::filters::http::buffer::v3;

use crate::base::headers::Known;
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::http::exchange::Held;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};

use super::read;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.buffer",
    type_name: "envoy.extensions.filters.http.buffer.v3.Buffer",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// `Buffer`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Config {
    /// Bytes of body, 1 or more. A request with more is answered 413.
    max_request_bytes: u32,
}

/// `BufferPerRoute`
#[derive(Clone, Copy, Debug, PartialEq)]
enum RouteConfig {
    Disabled,
    Buffer(Config),
}

impl Config {
    fn from_proto(message: v3::Buffer, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Buffer = message; implemented { max_request_bytes } }
        let max_request_bytes = at.required("max_request_bytes", max_request_bytes);
        let max_request_bytes = at.within("max_request_bytes", max_request_bytes, 1..=u32::MAX)?;
        Some(Config { max_request_bytes })
    }
}

impl RouteConfig {
    fn from_proto(message: v3::BufferPerRoute, at: &mut Scope<'_>) -> Option<Self> {
        use v3::buffer_per_route::Override;
        open! { at, v3::BufferPerRoute = message; implemented { r#override } }
        match at.required("override", r#override)? {
            Override::Disabled(true) => Some(RouteConfig::Disabled),
            Override::Disabled(false) => {
                at.field("disabled").violation("value must equal true");
                None
            }
            Override::Buffer(buffer) => {
                Config::from_proto(buffer, &mut at.field("buffer")).map(RouteConfig::Buffer)
            }
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
        Factory { name: context.name.into(), config: *config }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Buffer(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let config = match stream.route_config::<RouteConfig>(&self.0.name) {
            Some(RouteConfig::Disabled) => return Step::Continue,
            Some(RouteConfig::Buffer(config)) => config,
            None => &self.0.config,
        };
        match stream.bodiless {
            true => Step::Continue,
            false => Step::Hold(config.max_request_bytes.into()),
        }
    }

    fn request_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
        if !stream.request.contains(Known::ContentLength) {
            stream.request.append(Known::ContentLength, itoa::Buffer::new().format(body.bytes()).as_bytes());
        }
        Step::Continue
    }
}
