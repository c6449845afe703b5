//! Virtual hosts and clusters are discovered when a request wants them: `envoy.extensions.filters.http.on_demand.v3.OnDemand`.
//!
//! A request that no route takes waits until its table's source of virtual hosts has answered for its host, and goes on
//! with the route that it has then, or none. One whose route leads to a cluster that is not there waits until that serves,
//! is said not to exist, or the time is over. The filters that it passes stay those that it began with, as in Envoy.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::on_demand::v3;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::on_demand_cds::OnDemandCds;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::router::upstream_info;
use crate::snapshot::Wanted;

use super::read;

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

/// `OnDemand`, and `PerRouteConfig`, which says the same for a level of the route table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// `odcds`: where clusters come from; `None` where they are not discovered.
    odcds: Option<Arc<OnDemandCds>>,
}

impl Config {
    fn from_proto(message: v3::OnDemand, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::OnDemand = message; implemented { odcds } }
        Some(Config { odcds: at.message("odcds", odcds, OnDemandCds::from_proto).map(Arc::new) })
    }

    fn from_route(message: v3::PerRouteConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::PerRouteConfig = message; implemented { odcds } }
        Some(Config { odcds: at.message("odcds", odcds, OnDemandCds::from_proto).map(Arc::new) })
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

    /// Where the cluster comes from that a request with a route lacks, and its name.
    fn lacking(&self, stream: &Stream<'_>) -> Option<(Arc<OnDemandCds>, Box<str>)> {
        let name = stream.info.missing_cluster.clone()?;
        let config = stream.route_config::<Config>(&self.name).unwrap_or(&self.config);
        Some((config.odcds.clone()?, name))
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::OnDemand(Filter { shared: self, asked: false })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// Whether its virtual host was asked for.
    asked: bool,
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if !stream.has_route() {
            return if std::mem::replace(&mut self.asked, true) { Step::Continue } else { Step::Discover };
        }
        let Some((source, name)) = self.shared.lacking(stream) else {
            return Step::Continue;
        };
        let answer = stream.worker.demand(Wanted::Cluster { source, name: name.clone() });
        Step::Wait(Box::pin(async move {
            // However it is answered, what is there then counts.
            drop(answer.await);
            let found = stream.worker.snapshot().clusters.get(&*name).map(|cluster| upstream_info(cluster));
            stream.info.upstream = found;
            None
        }))
    }
}
