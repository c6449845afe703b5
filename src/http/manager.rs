//! The HTTP connection manager: what all connections of a filter chain have in common.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::codec::h1::{HeadLimits, Limits};
use crate::config;
use crate::config::http_connection_manager::RouteSpecifier;
use crate::config::router::Router;
use crate::observability::access_log::AccessLog;
use crate::observability::stats::http::{ListenerHttpStats, RouterStats, TracingStats};
use crate::observability::stats::{CodecStats, HttpStats, Registry};
use crate::observability::stream_info::ConnectionInfo;
use crate::route::Table;
use crate::snapshot::Snapshot;

use super::drain::Drain;
use super::filter::Chain;
use super::ingress::Peer;
use super::worker::Worker;

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
    /// Zero as long as no request is traced; control planes expect them to be there.
    _tracing_stats: TracingStats,
    /// `http1.` and `http2.`, shared with all others.
    pub codec_stats: CodecStats,
    /// Where requests are logged.
    pub access_log: Box<[AccessLog]>,
    /// The filters before the router.
    pub(super) chain: Chain,
    /// `per_connection_buffer_limit_bytes` of the listener.
    pub buffer_limit_bytes: Option<u32>,
    /// What the router filter was told.
    pub(super) router: Router,
    inline_routes: Option<Table>,
}

impl ConnectionManager {
    /// Compiles a connection manager of a listener whose statistics begin with `listener_prefix`.
    ///
    /// # Errors
    /// Names a filter that is not served.
    pub fn new(
        options: config::HttpConnectionManager,
        registry: &Registry,
        listener_prefix: &str,
        codec_stats: CodecStats,
        access_log: Box<[AccessLog]>,
        buffer_limit_bytes: Option<u32>,
    ) -> Result<Self, String> {
        let prefix = format!("http.{}.", options.stat_prefix);
        let chain = Chain::new(&options.http_filters, registry, &prefix)?;
        let router =
            options.http_filters.iter().find_map(|filter| filter.extension.downcast::<Router>()).cloned();
        let inline_routes = match &options.routes {
            RouteSpecifier::Inline(routes) => Some(Table::new(Arc::clone(routes))),
            RouteSpecifier::Rds { .. } => None,
        };
        Ok(ConnectionManager {
            options,
            stats: HttpStats::new(registry, &prefix),
            listener_stats: ListenerHttpStats::new(registry, &format!("{listener_prefix}{prefix}")),
            router_stats: RouterStats::new(registry, &prefix),
            _tracing_stats: TracingStats::new(registry, &prefix),
            codec_stats,
            access_log,
            chain,
            buffer_limit_bytes,
            router: router.unwrap_or_default(),
            inline_routes,
        })
    }

    /// The route table in force; `None` before it has come.
    pub(super) fn table<'s>(&'s self, snapshot: &'s Snapshot) -> Option<&'s Table> {
        match &self.options.routes {
            RouteSpecifier::Inline(_) => self.inline_routes.as_ref(),
            RouteSpecifier::Rds { route_config_name, .. } => {
                snapshot.routes.get(route_config_name.as_str()).map(|table| &**table)
            }
        }
    }

    /// What an HTTP/1.1 connection may take of a peer.
    pub(super) fn limits(&self) -> Limits {
        let head = HeadLimits {
            bytes: self.options.max_request_headers_kb as usize * 1024,
            count: self.options.max_headers_count as usize,
        };
        Limits { head, buffer_bytes: self.buffer_limit_bytes }
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
    /// Whether one of its responses was chosen to be the last.
    pub ending: Cell<bool>,
}
