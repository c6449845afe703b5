//! Virtual hosts are discovered when a request wants them: `envoy.extensions.filters.http.on_demand.v3.OnDemand`.
//!
//! A request that no route takes waits until its table's source of virtual hosts has answered for its host, and goes on
//! with the route that it has then, or none.

use envoy_types::pb::envoy::extensions::filters::http::on_demand::v3;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};

use super::read;

/// Why clusters are not discovered.
const NO_CLUSTERS: &str = "clusters are discovered over CDS, before requests want them";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.on_demand",
    type_name: "envoy.extensions.filters.http.on_demand.v3.OnDemand",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.on_demand.v3.PerRouteConfig",
        parse: |bytes, at| read(bytes, at, Config::from_route),
    }),
};

/// `OnDemand`, and `PerRouteConfig`: what they say concerns clusters alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Config;

impl Config {
    fn from_proto(message: v3::OnDemand, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::OnDemand = message; implemented {} rejected { odcds: NO_CLUSTERS } }
        Some(Config)
    }

    fn from_route(message: v3::PerRouteConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::PerRouteConfig = message; implemented {} rejected { odcds: NO_CLUSTERS } }
        Some(Config)
    }
}

/// What the requests of a chain share: nothing.
#[derive(Debug)]
pub(super) struct Factory;

impl Factory {
    pub(super) fn new(_: &Config, _: &Context<'_>) -> Self {
        Factory
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::OnDemand(Filter(std::marker::PhantomData))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(std::marker::PhantomData<&'c ()>);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if stream.has_route() { Step::Continue } else { Step::Discover }
    }
}
