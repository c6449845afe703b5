//! HTTP: connections from downstream, their requests, and the responses to them.
//!
//! - [`manager`]: what the connections of a filter chain have in common, [`worker`]: what those of a worker have;
//! - `h1`: a connection's life; `exchange`: one request's life; `router`: the part of it that is upstream;
//! - `filter`: what filters are asked on the way, and in which order; [`filters`]: those that there are;
//! - `ingress`, `path`, `forwarding`, `egress`: what is done to headers on their way;
//! - [`local_reply`]: the answers that the proxy gives itself, and which error gives which.

mod date;
mod deadlines;
mod downstream;
pub mod drain;
mod egress;
mod exchange;
mod filter;
pub mod filters;
mod forwarding;
mod h1;
mod h2;
mod ingress;
pub mod local_reply;
pub mod manager;
pub mod path;
mod refused;
mod render;
mod router;
mod sanitize;
mod target;
mod upstream;
pub mod worker;

use std::rc::Rc;

use crate::base::io::Io;

use h1::ClosedBy;

pub use ingress::Peer;
pub use manager::{Connection, ConnectionManager};
pub use worker::Worker;

/// Serves a downstream connection to its end.
pub async fn serve(connection: Rc<Connection>, io: Io) {
    let stats = connection.manager.stats.clone();
    let opened = tokio::time::Instant::now();
    stats.downstream_cx_total().inc();
    stats.downstream_cx_active().inc();
    let codec = connection.manager.options.codec_type;
    let closed = h1::serve(connection, io, codec).await;
    match closed {
        ClosedBy::Peer => stats.downstream_cx_destroy_remote().inc(),
        ClosedBy::Proxy => stats.downstream_cx_destroy_local().inc(),
    }
    stats.downstream_cx_active().dec();
    stats.downstream_cx_destroy().inc();
    stats.downstream_cx_length_ms().record(opened.elapsed().as_millis() as u64);
}
