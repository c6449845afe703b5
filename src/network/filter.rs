//! The seam of network filters: what a filter is asked, when, and what it may answer.
//!
//! The order is Envoy's. A connection passes the filters when it is accepted, before the first byte is read and before
//! TLS is spoken; the last filter is a terminal one, which has the connection from then on.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::base::io::Io;
use crate::http::drain::Drain;
use crate::http::{Ungreeted, Worker};
use crate::observability::access_log::Sinks;
use crate::observability::stats::Registry;
use crate::observability::stream_info::StreamInfo;

/// What filters are compiled with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where their statistics are.
    pub registry: &'a Registry,
    /// Where their access logs are.
    pub sinks: &'a Sinks,
    /// `per_connection_buffer_limit_bytes` of the listener.
    pub buffer_limit_bytes: Option<u32>,
}

/// A filter, compiled for the connections of a chain.
#[derive(Debug)]
pub enum Made {
    /// It ends the chain.
    Terminal(Arc<dyn Terminal>),
}

/// A filter that has the connection.
pub trait Terminal: fmt::Debug + Send + Sync {
    /// Serves a connection to its end. Dropping the future closes it.
    fn serve<'c>(&'c self, connection: Connection<'c>) -> LocalBoxFuture<'c, ()>;
}

/// A connection from downstream that a terminal filter is given.
pub struct Connection<'c> {
    /// Gives its stream once there is one that bytes can be read from: after the handshake, where TLS is spoken.
    pub greeting: LocalBoxFuture<'c, Result<Io, Ungreeted>>,
    /// What is known of it, for access logs; the listener's follow when it has ended.
    pub info: &'c mut StreamInfo,
    /// What its worker has.
    pub worker: &'c Rc<Worker>,
    /// Whether it is to end.
    pub drain: &'c Drain,
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("info", &self.info).finish_non_exhaustive()
    }
}
