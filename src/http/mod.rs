//! HTTP: connections from downstream, their requests, and the responses to them.
//!
//! - [`manager`]: what the connections of a filter chain have in common, [`worker`]: what those of a worker have;
//! - `h1`: a connection's life; `exchange`: one request's life; `router`: the part of it that is upstream;
//! - `filter`: what filters are asked on the way, and in which order; [`filters`]: those that there are; `hosted`: those
//!   between the router and a host;
//! - [`tracing`]: spans of requests; `grpc`: calls that filters make; `tunnel`: a stream for the bytes of a connection;
//! - `ingress`, `path`, `forwarding`, `egress`: what is done to headers on their way;
//! - [`local_reply`]: the answers that the proxy gives itself, and which error gives which.

mod active;
mod client_cert;
mod date;
mod deadlines;
mod downstream;
pub mod drain;
pub(crate) mod dynamic_host;
pub mod early;
mod egress;
mod exchange;
mod filter;
pub(crate) mod filter_state;
pub mod filters;
pub mod forwarding;
mod grpc;
mod h1;
mod h2;
mod hosted;
mod ingress;
pub mod local_reply;
pub mod manager;
mod origin;
pub mod path;
mod proxy_status;
mod refused;
mod render;
mod resets;
mod router;
mod sanitize;
mod snapshots;
mod subject;
mod table_source;
mod target;
pub mod tracing;
mod tunnel;
mod upstream;
mod user_agent;
mod vigil;
pub mod worker;

use std::rc::Rc;

use tokio::time::Instant;

use crate::base::io::Io;
use crate::observability::stats::HttpStats;

use active::Active;
use h1::ClosedBy;

pub use filter::check_discovered;
pub use hosted::compile_filters;
pub use manager::{Connection, ConnectionManager};
pub use origin::Peer;
pub use worker::Worker;

pub(crate) use grpc::{Call, Status};
pub(crate) use local_reply::transport_failure;
pub(crate) use router::{InProgress, criteria, destination, restored, stream_address, upstream_info};
pub(crate) use subject::subject;
pub(crate) use tunnel::{Tunnel, shown};

/// Serves a downstream connection to its end.
///
/// `greeting` gives its stream once there is one that the protocol can be spoken over.
pub async fn serve(connection: Rc<Connection>, greeting: impl Future<Output = Result<Io, Ungreeted>>) {
    let mut counted = Counted::new(&connection);
    let greeted = match connection.manager.options.common.idle_timeout {
        Some(timeout) => tokio::time::timeout(timeout, greeting).await,
        None => Ok(greeting.await),
    };
    match greeted {
        Ok(Ok(io)) => {
            counted.closed_by = h1::serve(Rc::clone(&connection), io, connection.codec()).await;
        }
        // As in Envoy it counts as the peer's doing where that is not understood.
        Ok(Err(Ungreeted::NotUnderstood)) => counted.closed_by = ClosedBy::Peer,
        Ok(Err(Ungreeted::TooSlow)) => {}
        Err(_) => counted.stats.downstream_cx_idle_timeout().inc(),
    }
}

/// Why there is nothing that a protocol could be spoken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ungreeted {
    /// The handshake failed.
    NotUnderstood,
    /// It took too long.
    TooSlow,
}

/// Counts a connection while it is open, and when it is dropped, its end.
struct Counted<'c> {
    connection: &'c Connection,
    stats: &'c HttpStats,
    _active: Active<'c>,
    _encrypted: Option<Active<'c>>,
    opened: Instant,
    /// This end, unless the other is known to have closed.
    closed_by: ClosedBy,
}

impl<'c> Counted<'c> {
    fn new(connection: &'c Connection) -> Self {
        let stats = &connection.manager.stats;
        stats.downstream_cx_total().inc();
        let _active = Active::new(stats, HttpStats::downstream_cx_active);
        let encrypted = connection.info.encrypted;
        if encrypted {
            stats.downstream_cx_ssl_total().inc();
        }
        let _encrypted = encrypted.then(|| Active::new(stats, HttpStats::downstream_cx_ssl_active));
        Counted { connection, stats, _active, _encrypted, opened: Instant::now(), closed_by: ClosedBy::Proxy }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        match self.closed_by {
            ClosedBy::Peer => self.stats.downstream_cx_destroy_remote().inc(),
            ClosedBy::Proxy => self.stats.downstream_cx_destroy_local().inc(),
        }
        self.stats.downstream_cx_destroy().inc();
        let open = self.opened.elapsed();
        self.stats.downstream_cx_length_ms().record(open.as_millis() as u64);
        self.connection.manager.user_agent.count_end(self.connection.user_agent.get(), open);
    }
}
