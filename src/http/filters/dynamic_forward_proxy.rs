//! Names that requests bring are resolved before the router asks for their hosts:
//! `envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig`.
//!
//! Where the cluster that the route leads to has one of its own for each name, that is made instead, and waited for.
//!
//! The cache is that of the cluster that the route leads to. What the filter leaves out, such as names for a cluster whose
//! cache is another than the filter's, the router waits for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::dynamic_forward_proxy::v3;

use crate::base::headers::Known;
use crate::config::dns_cache::DnsCache as CacheConfig;
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::http::dynamic_host;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::observability::stream_info::ResponseFlags;
use crate::snapshot::Wanted;
use crate::upstream::Cluster;
use crate::upstream::dns_cache::{Found, Outcome};
use crate::upstream::sub_clusters::{SubClusters, Target};

use super::read;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.dynamic_forward_proxy",
    type_name: "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// How long the cluster for a name is waited for where nothing else is configured.
const DEFAULT_CLUSTER_INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// `FilterConfig`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    cache: CacheConfig,
    allow_dynamic_host_from_filter_state: bool,
    /// How long the cluster for a name is waited for; more than zero, 5 s by default.
    cluster_init_timeout: Duration,
}

/// `PerRouteConfig`: what the request's host becomes before it is resolved.
#[derive(Clone, Debug, PartialEq)]
enum RouteConfig {
    /// This.
    HostRewriteLiteral(String),
    /// The first value of this header, if there is one.
    HostRewriteHeader(String),
}

impl Config {
    fn from_proto(message: v3::FilterConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::filter_config::ImplementationSpecifier as Specifier;
        open! { at, v3::FilterConfig = message;
            implemented { implementation_specifier, allow_dynamic_host_from_filter_state }
            ignored { save_upstream_address: "no filter served reads the address, and formats do not show it" }
        }
        let (cache, timeout) = match implementation_specifier {
            Some(Specifier::DnsCacheConfig(message)) => {
                (CacheConfig::from_proto(message, &mut at.field("dns_cache_config"))?, None)
            }
            Some(Specifier::SubClusterConfig(message)) => {
                let timeout = cluster_init_timeout(message, &mut at.field("sub_cluster_config"));
                (CacheConfig::unnamed(at)?, timeout)
            }
            None => (CacheConfig::unnamed(at)?, None),
        };
        let cluster_init_timeout = timeout.unwrap_or(DEFAULT_CLUSTER_INIT_TIMEOUT);
        Some(Config { cache, allow_dynamic_host_from_filter_state, cluster_init_timeout })
    }
}

fn cluster_init_timeout(message: v3::SubClusterConfig, at: &mut Scope<'_>) -> Option<Duration> {
    open! { at, v3::SubClusterConfig = message; implemented { cluster_init_timeout } }
    at.positive_duration("cluster_init_timeout", cluster_init_timeout)
}

impl RouteConfig {
    fn from_proto(message: v3::PerRouteConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::per_route_config::HostRewriteSpecifier as Specifier;
        open! { at, v3::PerRouteConfig = message; implemented { host_rewrite_specifier } }
        Some(match host_rewrite_specifier {
            Some(Specifier::HostRewriteHeader(name)) => {
                RouteConfig::HostRewriteHeader(name.to_ascii_lowercase())
            }
            Some(Specifier::HostRewriteLiteral(host)) => RouteConfig::HostRewriteLiteral(host),
            None => RouteConfig::HostRewriteLiteral(String::new()),
        })
    }

    fn apply(&self, stream: &mut Stream<'_>) {
        let host = match self {
            RouteConfig::HostRewriteLiteral(host) => Some(host.as_bytes()),
            RouteConfig::HostRewriteHeader(name) => stream.request.get_by_name(name.as_bytes()),
        };
        if let Some(host) = host.filter(|host| !host.is_empty()).map(<[u8]>::to_vec) {
            stream.request.set(Known::Authority, &host);
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
        super::Filter::DynamicForwardProxy(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl Filter<'_> {
    /// The cluster that the route leads to, if its hosts have the names that requests bring.
    fn cluster(stream: &Stream<'_>) -> Option<Arc<Cluster>> {
        let snapshot = stream.worker.snapshot();
        let cluster = snapshot.clusters.get(&*stream.info.upstream.as_ref()?.cluster.name)?;
        let is_named = cluster.dns_cache().is_some() || cluster.sub_clusters().is_some();
        is_named.then(|| Arc::clone(cluster))
    }

    /// Has the cluster for the name made, if there is none.
    fn await_cluster<'r>(&self, parent: &Arc<Cluster>, made: &SubClusters, stream: &Stream<'_>) -> Step<'r> {
        let host = stream.request.get(Known::Authority).unwrap_or_default();
        let target = Target::of(&String::from_utf8_lossy(host), parent.default_port());
        let is_there = stream.worker.snapshot().clusters.contains_key(&*target.cluster);
        if is_there && made.touch(&target.cluster) {
            return Step::Continue;
        }
        if !made.take_place(&target.cluster) {
            return Step::Reply(LocalReply::new(503, "Sub cluster overflow", "sub_cluster_overflow"));
        }
        let answer = stream.worker.demand(Wanted::SubCluster { parent: Arc::clone(parent), target });
        let timeout = self.0.config.cluster_init_timeout;
        Step::Wait(Box::pin(async move {
            // However it is answered, what is there then counts.
            let is_late = tokio::time::timeout(timeout, answer).await.is_err();
            is_late
                .then(|| LocalReply::new(503, "Sub cluster warming timeout", "sub_cluster_warming_timeout"))
        }))
    }
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Some(cluster) = Self::cluster(stream) else { return Step::Continue };
        if let Some(config) = stream.route_config::<RouteConfig>(&self.0.name) {
            config.apply(stream);
        }
        if let Some(made) = cluster.sub_clusters() {
            return self.await_cluster(&cluster, made, stream);
        }
        let (Some(cache), default_port) = (cluster.dns_cache(), cluster.default_port()) else {
            return Step::Continue;
        };
        if cache.config().name != self.0.config.cache.name {
            return Step::Continue;
        }
        let Some(pending) = cache.try_pending() else {
            let details = "dynamic_forward_proxy_pending_request_overflow";
            return Step::Reply(LocalReply::new(
                503,
                "Dynamic forward proxy pending request overflow",
                details,
            ));
        };
        let notes = stream.info.notes().filter(|_| self.0.config.allow_dynamic_host_from_filter_state);
        let Some(name) = dynamic_host::name(stream.request, notes, default_port) else {
            return Step::Reply(LocalReply::new(400, "Empty host header", "empty_host_header"));
        };
        match cache.find(&name) {
            Found::Known(outcome) => unresolved(&outcome).map_or(Step::Continue, Step::Reply),
            Found::Full => Step::Reply(LocalReply::new(503, "DNS cache overflow", "dns_cache_overflow")),
            Found::Unknown => {
                let answer = cache.ask(&name);
                Step::Wait(Box::pin(async move {
                    let _pending = pending;
                    // Without an answer the cache is gone with its clusters, and the router says what that means.
                    let outcome = answer.await.ok()?;
                    unresolved(&outcome)
                }))
            }
        }
    }
}

/// The answer to a request whose name is nowhere.
fn unresolved(outcome: &Outcome) -> Option<LocalReply> {
    let details = outcome.failure()?;
    Some(LocalReply {
        flags: ResponseFlags::DF,
        details: Cow::Owned(details),
        ..LocalReply::new(503, "DNS resolution failure", "")
    })
}
