//! The HTTP connection manager: what all connections of a filter chain have in common.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::codec::h1::{HeadLimits, Limits};
use crate::config;
use crate::config::bootstrap::Node;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::http_connection_manager::{CodecType, ProxyName};
use crate::config::listener::TrafficDirection;
use crate::observability::access_log::{AccessLog, Sinks};
use crate::observability::stats::http::{ListenerHttpStats, RouteResolutionStats, RouterStats, TracingStats};
use crate::observability::stats::{CodecStats, HttpStats, Registry, matching};
use crate::observability::stream_info::{ConnectionInfo, Protocol};
use crate::route::Table;
use crate::snapshot::{Places, Snapshot, Wanted};

use super::drain::Drain;
use super::filter::{Current, Filters, KnownChains};
use super::h1::ClosedBy;
use super::origin::Peer;
use super::table_source::TableSource;
use super::tracing::{self, Tracers};
use super::user_agent::{UserAgent, UserAgents};
use super::worker::Worker;

/// What a connection's buffer holds where nothing is configured, in bytes.
pub(super) const DEFAULT_BUFFER_LIMIT: u32 = 1024 * 1024;

/// A connection manager in force.
#[derive(Debug)]
pub struct ConnectionManager {
    /// What it was made from.
    pub options: config::HttpConnectionManager,
    /// `http.<stat_prefix>.`
    pub stats: HttpStats,
    /// `listener.<address>.http.<stat_prefix>.`
    pub listener_stats: ListenerHttpStats,
    /// What the router filter counts: `http.<stat_prefix>.` too.
    pub router_stats: RouterStats,
    /// How routes were looked for, where that is asked for: `http.<stat_prefix>.` too.
    pub(super) route_resolution: Option<RouteResolutionStats>,
    /// Whether it is measured how long looking for routes takes, whatever the table says.
    pub(super) times_routes: bool,
    /// Whether requests were chosen to be traced: `http.<stat_prefix>.tracing.`
    pub tracing_stats: TracingStats,
    /// What requests are traced with; `None` where they are not.
    pub(super) tracing: Option<tracing::Setting>,
    /// `http1.` and `http2.`, shared with all others.
    pub codec_stats: CodecStats,
    /// Where requests are logged.
    pub access_log: Box<[AccessLog]>,
    /// The filters, and the router at their end.
    filters: Filters,
    /// `per_connection_buffer_limit_bytes` of the listener.
    pub buffer_limit_bytes: Option<u32>,
    /// What hosts are told of this proxy, and the count of user agents.
    pub(super) user_agent: UserAgents,
    /// Who speaks in `proxy-status`.
    pub(super) proxy_name: Box<str>,
    tables: TableSource,
    _held: Option<Arc<()>>,
}

impl ConnectionManager {
    /// Compiles a connection manager of a listener whose statistics begin with `listener_prefix`.
    ///
    /// # Errors
    /// Names a filter that is not served, or a log that cannot be opened.
    pub fn new(
        options: config::HttpConnectionManager,
        (registry, places): (&Registry, &Places),
        listener_prefix: &str,
        codec_stats: CodecStats,
        sinks: &Arc<Sinks>,
        buffer_limit_bytes: Option<u32>,
        (tracers, direction): (&mut Tracers, TrafficDirection),
    ) -> Result<Self, String> {
        let node = &*Arc::clone(tracers.node());
        let prefix = format!("http.{}.", options.stat_prefix);
        let buffer_limit = buffer_limit_bytes.unwrap_or(DEFAULT_BUFFER_LIMIT).into();
        let access_log = AccessLog::build(&options.access_log, sinks).map_err(|error| error.to_string())?;
        let filters = Filters::new(&options, registry, &prefix, buffer_limit, sinks)?;
        if let Some(tree) = &options.forward_client_cert_matcher {
            tree.count_with(&matching::counters(registry));
        }
        let tracing =
            options.tracing.as_ref().map(|config| tracing::Setting::new(config, tracers, direction));
        let tables = TableSource::new(&options.routes, registry, places);
        Ok(ConnectionManager {
            tracing,
            user_agent: UserAgents::new(node, registry, &prefix),
            proxy_name: proxy_name(&options, node).into(),
            times_routes: options.record_route_resolution_stats || options.times_routes,
            route_resolution: options
                .record_route_resolution_stats
                .then(|| RouteResolutionStats::new(registry, &prefix)),
            options,
            stats: HttpStats::new(registry, &prefix),
            listener_stats: ListenerHttpStats::new(registry, &format!("{listener_prefix}{prefix}")),
            router_stats: RouterStats::new(registry, &prefix),
            tracing_stats: TracingStats::new(registry, &prefix),
            codec_stats,
            access_log,
            filters,
            buffer_limit_bytes,
            tables,
            _held: None,
        })
    }

    /// The same, which holds this for as long as it lasts: by that it is known whether there are any.
    #[must_use]
    pub fn holding(self, held: Arc<()>) -> Self {
        ConnectionManager { _held: Some(held), ..self }
    }

    /// Whether configurations of its filters come over ECDS.
    pub fn discovers(&self) -> bool {
        self.filters.are_discovered()
    }

    /// Puts configurations in force that were discovered.
    pub fn configure(&self, configs: &ExtensionConfigs) {
        if let Err(problem) = self.filters.configure(&self.options, configs) {
            // What came was read by one of this build's filters.
            ::tracing::error!(target: "config", problem, "configurations of filters are not in force");
        }
    }

    /// The route table of a request; `None` before it has come, or when the request is in no scope.
    pub(super) fn table<'s>(&'s self, snapshot: &'s Snapshot, request: &Headers) -> Option<&'s Table> {
        self.tables.find(snapshot, request)
    }

    /// What a request without a table may wait for.
    pub(super) fn lacking(&self, snapshot: &Snapshot, request: &Headers) -> Option<Wanted> {
        self.tables.lacking(snapshot, request)
    }

    /// Bytes of a body that a filter may hold where it has no limit of its own.
    pub(super) fn buffer_limit(&self) -> u64 {
        self.buffer_limit_bytes.unwrap_or(DEFAULT_BUFFER_LIMIT).into()
    }

    /// What an HTTP/1.1 connection may take of a peer.
    pub(super) fn limits(&self) -> Limits {
        let head = HeadLimits {
            bytes: self.options.max_request_headers_kb as usize * 1024,
            count: self.options.common.max_headers_count as usize,
        };
        Limits { head, buffer_bytes: self.buffer_limit_bytes }
    }
}

/// What a connection has carried in its life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    /// The protocol that it spoke; `None` where nothing came.
    pub protocol: Option<Protocol>,
    /// Bytes from the client, what TLS adds not counted.
    pub received: u64,
    /// Bytes to the client, likewise.
    pub sent: u64,
}

impl Connection {
    /// What it has carried; nothing before its end.
    pub fn carried(&self) -> Carried {
        self.carried.get()
    }

    /// Counts what it has carried, at its end.
    pub(super) fn count_carried(&self, protocol: Protocol, received: u64, sent: u64) {
        let protocol = (received > 0).then_some(protocol);
        self.carried.set(Carried { protocol, received, sent });
        self.manager.stats.downstream_cx_rx_bytes_total().add(received);
        self.manager.stats.downstream_cx_tx_bytes_total().add(sent);
    }

    /// Counts that it ends while requests are served: by what its client sent (`Proxy`), or in any other way. That is
    /// counted as the client's doing, as in Envoy.
    pub(super) fn count_cut_off(&self, by: ClosedBy) {
        let stats = &self.manager.stats;
        stats.downstream_cx_destroy_active_rq().inc();
        match by {
            ClosedBy::Proxy => stats.downstream_cx_destroy_local_active_rq().inc(),
            ClosedBy::Peer => {
                stats.downstream_cx_destroy_remote_active_rq().inc();
                self.manager.user_agent.count_cut_off(self.user_agent.get());
            }
        }
    }

    /// A connection that was accepted.
    pub fn new(
        manager: Arc<ConnectionManager>,
        worker: Rc<Worker>,
        info: Rc<ConnectionInfo>,
        peer: Peer,
        drain: Rc<Drain>,
    ) -> Self {
        let (ending, user_agent, carried, known_chains) = Default::default();
        Connection { manager, worker, info, peer, drain, ending, user_agent, carried, known_chains }
    }

    /// The filters of a request that begins now.
    pub(super) fn filters(&self) -> Current<'_> {
        self.manager.filters.current(&self.known_chains)
    }

    /// When a connection that begins now has lived for as long as it may.
    pub(super) fn ends(&self) -> Option<Instant> {
        let limit = self.manager.options.common.max_connection_duration?;
        Some(Instant::now() + limit.drawn(|| self.worker.random()))
    }
}

/// Who speaks in `proxy-status`.
fn proxy_name<'n>(options: &'n config::HttpConnectionManager, node: &'n Node) -> &'n str {
    match options.proxy_status.as_ref().map(|status| &status.proxy_name) {
        None | Some(ProxyName::Server) => &options.server_name,
        Some(ProxyName::NodeId) => &node.id,
        Some(ProxyName::Literal(name)) => name,
    }
}

impl Connection {
    /// The protocol that is spoken: the one agreed on in the handshake where any may come.
    pub(super) fn codec(&self) -> CodecType {
        let agreed = self.info.tls.get().map(|tls| &*tls.alpn).filter(|alpn| !alpn.is_empty());
        match (self.manager.options.codec_type, agreed) {
            (CodecType::Auto, Some(b"h2")) => CodecType::Http2,
            (CodecType::Auto, Some(_)) => CodecType::Http1,
            (codec, _) => codec,
        }
    }
}

/// One downstream connection, as its streams see it.
#[derive(Debug)]
pub struct Connection {
    /// What it is served by.
    pub manager: Arc<ConnectionManager>,
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// What access logs say of it.
    pub info: Rc<ConnectionInfo>,
    /// Who is at the other end.
    pub peer: Peer,
    /// Whether it is to end.
    pub drain: Rc<Drain>,
    /// Whether one of its responses was chosen to be among the last.
    pub ending: Cell<bool>,
    /// The user agent at the other end.
    pub(super) user_agent: Cell<UserAgent>,
    carried: Cell<Carried>,
    known_chains: KnownChains,
}
