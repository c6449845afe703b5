//! The seam of listener filters: what a filter is asked, when, and what it may answer.
//!
//! A filter sees the first bytes of a connection, which stay with the connection unless the filter takes them.

use std::fmt;

use crate::base::io::Socket;
use crate::http::Worker;
use crate::observability::stream_info::ConnectionInfo;

/// One filter, for all connections of a listener.
pub(super) trait ListenerFilter: fmt::Debug + Send + Sync {
    /// A connection has come. Runs once, when the filters before this one have let it pass.
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict;

    /// The bytes that are there, from the first on; each time some have come since the last. Runs if
    /// [`accepted`](Self::accepted) waits for them.
    fn data(&self, _bytes: &[u8], _connection: &mut Accepted<'_>) -> Verdict {
        Verdict::Continue
    }

    /// How many bytes it looks at.
    fn max_bytes(&self) -> usize {
        0
    }
}

/// What a filter makes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on to the next filter.
    Continue,
    /// It goes on without so many of its first bytes.
    Take(usize),
    /// More bytes are needed.
    More,
    /// It is closed.
    Close,
}

/// A connection that was accepted, and what is found out about it.
#[derive(Debug)]
pub(in crate::listener) struct Accepted<'c> {
    /// What is known of it.
    pub(in crate::listener) info: &'c mut ConnectionInfo,
    /// Whose it is.
    pub(in crate::listener) worker: &'c Worker,
    /// Its socket.
    pub(in crate::listener) socket: &'c Socket,
    /// What it speaks first; empty if nobody knows.
    pub(in crate::listener) transport_protocol: &'static str,
    /// The protocols that the client offers.
    pub(in crate::listener) application_protocols: Vec<Box<str>>,
}
