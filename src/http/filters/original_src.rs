//! Hosts see the client's address: `envoy.extensions.filters.http.original_src.v3.OriginalSrc`.
//!
//! The client is who `x-forwarded-for` says where that is trusted. Connections to hosts are bound to its address, which
//! takes `CAP_NET_ADMIN`, and routes by which what the hosts send comes back here.

use envoy_types::pb::envoy::extensions::filters::http::original_src::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::observability::stream_info::UpstreamSource;

use super::read;

pub(super) use crate::config::original_src::OriginalSrc as Config;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.original_src",
    type_name: "envoy.extensions.filters.http.original_src.v3.OriginalSrc",
    terminal: false,
    parse: |bytes, at| read(bytes, at, from_proto),
    per_route: None,
};

#[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
fn from_proto(message: v3::OriginalSrc, at: &mut Scope<'_>) -> Option<Config> {
    open! { at, v3::OriginalSrc = message; implemented { mark } }
    Some(Config::new(mark))
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory(Config);

impl Factory {
    pub(super) fn new(config: &Config, _: &Context<'_>) -> Self {
        Factory(*config)
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::OriginalSrc(Filter(&self.0))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Config);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if let Some(source) = UpstreamSource::of(stream.info.remote(), *self.0) {
            stream.info.notes_mut().set_upstream_source(source);
        }
        Step::Continue
    }
}
