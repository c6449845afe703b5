//! Streams of connections that requests share, each lent for one request.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use tokio::time::Instant;

use super::Connection;
use crate::codec::h2::ClientStream;
use crate::codec::{CONNECT_ERROR, PROTOCOL_ERROR, StreamError};
use crate::upstream::pool::HostPool;
use crate::upstream::pool::connect::Established;

/// A stream lent for one request. Dropped before its end, it is reset.
#[derive(Debug)]
pub struct StreamLease {
    stream: ClientStream,
    pub(super) connection: Rc<Connection>,
    pool: Rc<HostPool>,
    broken: bool,
}

impl StreamLease {
    /// A stream of a connection that has room for one.
    pub(super) fn new(connection: Rc<Connection>, pool: Rc<HostPool>) -> Self {
        let begun = connection.begun.get() + 1;
        connection.streams.set(connection.streams.get() + 1);
        connection.begun.set(begun);
        if pool.cluster.config.http.max_requests_per_connection.is_some_and(|limit| begun >= limit) {
            pool.cluster.stats.upstream_cx_max_requests().inc();
            connection.retired.set(true);
        }
        let client = connection.client.borrow();
        let stream = client.as_ref().expect("a connection that takes streams has its client").stream();
        drop(client);
        StreamLease { stream, connection, pool, broken: false }
    }

    /// Notes what the stream broke by. A connection whose host broke the protocol is taken out of use: streams that are
    /// on it go on, others begin elsewhere.
    pub fn broke(&mut self, error: StreamError) {
        self.broken = true;
        let stats = &self.pool.cluster.stats;
        match error {
            StreamError::Protocol(_) => {
                stats.upstream_rq_tx_reset().inc();
                self.connection.retire();
            }
            // As in Envoy, which takes the two for its own resets.
            StreamError::Reset(PROTOCOL_ERROR) => stats.upstream_rq_tx_reset().inc(),
            StreamError::Reset(CONNECT_ERROR) | StreamError::Refused => {}
            // As in Envoy, though it waited for nothing.
            StreamError::Closed => stats.upstream_rq_pending_failure_eject().inc(),
            StreamError::Reset(_) => stats.upstream_rq_rx_reset().inc(),
        }
    }

    /// What is known of its connection from its making.
    pub fn established(&self) -> Established {
        self.connection.established.clone()
    }
}

impl Deref for StreamLease {
    type Target = ClientStream;

    fn deref(&self) -> &ClientStream {
        &self.stream
    }
}

impl DerefMut for StreamLease {
    fn deref_mut(&mut self) -> &mut ClientStream {
        &mut self.stream
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        let connection = &self.connection;
        if !self.broken && self.stream.is_open() {
            self.pool.cluster.stats.upstream_rq_tx_reset().inc();
        }
        connection.streams.set(connection.streams.get() - 1);
        connection.idle_since.set(Instant::now());
        connection.count_bytes(&self.pool.cluster.stats);
        if connection.retired.get() {
            connection.retire();
        }
        connection.changed.notify_waiters();
    }
}
