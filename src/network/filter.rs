//! The seam of network filters: what a filter is asked, when, and what it may answer.
//!
//! The order is Envoy's. A connection passes the filters when it is accepted, before the first byte is read and before
//! TLS is spoken; the last filter is a terminal one, which has the connection from then on. The filters before it are
//! asked again when the client has sent something, which waits meanwhile; what is sent to the client does not.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{LocalBoxFuture, Shared};

use crate::base::io::Io;
use crate::http::drain::Drain;
use crate::http::{Ungreeted, Worker};
use crate::observability::access_log::Sinks;
use crate::observability::stats::Registry;
use crate::observability::stream_info::{Refusal, StreamInfo};

pub use super::guest::Guest;
use super::local_ratelimit::SharedBuckets;

/// What filters are compiled with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where their statistics are.
    pub registry: &'a Registry,
    /// Where their access logs are.
    pub sinks: &'a Sinks,
    /// The token buckets that several of them take from.
    pub shared_buckets: &'a SharedBuckets,
    /// `per_connection_buffer_limit_bytes` of the listener.
    pub buffer_limit_bytes: Option<u32>,
}

/// A filter, compiled for the connections of a chain.
#[derive(Debug)]
pub enum Made {
    /// It ends the chain.
    Terminal(Arc<dyn Terminal>),
    /// It passes connections on.
    Filter(Arc<dyn Filter>),
}

/// A filter that passes connections on.
pub trait Filter: fmt::Debug + Send + Sync {
    /// A connection was accepted, and the filters before this one have let it pass. Runs once.
    fn accepted(&self, _guest: &Rc<Guest>) -> Step {
        Step::Pass
    }

    /// TLS is spoken from here on. Runs once, and not on plain connections.
    fn greeted(&self, _guest: &Guest) {}

    /// Whether it is asked about what the client sends.
    fn watches(&self) -> Watches {
        Watches::Nothing
    }

    /// The client has sent something. Runs as often as [`watches`](Self::watches) says.
    fn data(&self, _guest: &Rc<Guest>) -> Step {
        Step::Pass
    }
}

/// What a filter makes of a connection.
pub enum Step {
    /// It goes on.
    Pass,
    /// It is closed.
    Refuse(Refusal),
    /// It is known later.
    Wait(LocalBoxFuture<'static, Result<(), Refusal>>),
}

/// What of that which the client sends a filter is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watches {
    /// None of it.
    Nothing,
    /// Whatever comes first.
    First,
    /// All of it.
    All,
}

/// A filter that has the connection.
pub trait Terminal: fmt::Debug + Send + Sync {
    /// Serves a connection to its end. Dropping the future closes it.
    fn serve<'c>(&'c self, connection: Connection<'c>) -> LocalBoxFuture<'c, ()>;
}

/// That a connection may go on.
pub type Admission = Shared<LocalBoxFuture<'static, ()>>;

/// A connection from downstream that a terminal filter is given.
pub struct Connection<'c> {
    /// Gives its stream once there is one that bytes can be read from: after the handshake, where TLS is spoken.
    pub greeting: LocalBoxFuture<'c, Result<Io, Ungreeted>>,
    /// Ready once the filters before have let it pass, which the greeting waits for, too; `None` where there are none.
    pub admission: Option<Admission>,
    /// What is known of it, for access logs; the listener's follow when it has ended.
    pub info: &'c mut StreamInfo,
    /// What its worker has.
    pub worker: &'c Rc<Worker>,
    /// Whether it is to end.
    pub drain: &'c Drain,
    /// Writes the listener's own lines, for who has lines to follow them; where nobody calls it they are written anyway.
    pub log_listener: &'c dyn Fn(&mut StreamInfo),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Pass => f.write_str("Pass"),
            Step::Refuse(refusal) => f.debug_tuple("Refuse").field(refusal).finish(),
            Step::Wait(_) => f.write_str("Wait"),
        }
    }
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("info", &self.info).finish_non_exhaustive()
    }
}
