//! Connections to a host whose bytes are no HTTP: what a CONNECT request that ends here becomes.

use std::future::Future as _;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::base::io::Io;
use crate::codec::{Frame, MessageStream, Plain, StreamError};
use crate::observability::stream_info::WireBytes;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::failures::NextFailure;
use crate::upstream::host_stats::ActiveConnection;

use super::AcquireError;
use super::connect::Established;
use super::ended::Ended;
use super::host::{Carries, Connected, HostPool, Maker, Turn};

/// A connection of its own, closed when it is dropped.
#[derive(Debug)]
pub struct TcpLease {
    stream: Plain,
    closed_by_host: bool,
    opened: Instant,
    established: Established,
    /// What ends it before its time, where anything does.
    next_failure: Option<NextFailure>,
    /// Its host has failed, and it ends with that.
    ends: bool,
    pool: Rc<HostPool>,
    _place: Guard,
    _active: ActiveConnection,
}

impl HostPool {
    /// A connection of its own for bytes that are no HTTP.
    ///
    /// Dropping the future gives up waiting or connecting.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_tcp(self: &Rc<Self>, high_priority: bool) -> Result<TcpLease, AcquireError> {
        if self.preconnects() {
            if let Some(lease) = self.ready_tcp() {
                return Ok(lease);
            }
            let taken = |pool: &Rc<Self>, connection| {
                pool.give_back(connection);
                None
            };
            return self.acquire_made(Carries::Bytes, high_priority, Self::ready_tcp, taken).await;
        }
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, waiting) = self.begin_pending(breaker)?;
        let acquired = async {
            loop {
                if let Some(place) = self.place(breaker, self.has_none_open(), false) {
                    return self.open_tcp(place).await;
                }
                match self.wait().await {
                    // It speaks HTTP; one that is closed leaves the place that is wanted.
                    Turn::Take(connection) => self.give_back(connection),
                    Turn::Open => {}
                    Turn::Failed(error) => return Err(error),
                }
            }
        };
        waiting.over(acquired).await
    }

    async fn open_tcp(self: &Rc<Self>, place: Guard) -> Result<TcpLease, AcquireError> {
        let opening = self.opening();
        let connected = self.connect_counted(Carries::Bytes, Maker::Request).await?;
        opening.opened();
        Ok(TcpLease::new(connected, place, Rc::clone(self)))
    }
}

impl TcpLease {
    /// A connection that was made just now, or that waited.
    pub(super) fn new(connected: Connected, place: Guard, pool: Rc<HostPool>) -> Self {
        let Connected { io, established, active, .. } = connected;
        TcpLease {
            stream: Plain::new(io),
            closed_by_host: false,
            opened: established.begun + established.took,
            established,
            next_failure: pool.host.failures.next(),
            ends: false,
            pool,
            _place: place,
            _active: active,
        }
    }

    /// What is known of the connection from its making.
    pub fn established(&self) -> Established {
        self.established.clone()
    }

    /// The connection itself, for who moves its bytes and [counts](Self::count) them.
    pub fn io(&self) -> &Io {
        self.stream.io()
    }

    /// Bytes that may wait for the host; 0 means no limit.
    pub fn buffer_limit_bytes(&self) -> Option<u32> {
        self.pool.cluster.config.buffer.limit_bytes
    }

    /// Counts bytes that were moved from and to the host.
    pub fn count(&self, received: u64, sent: u64) {
        let stats = &self.pool.cluster.stats;
        stats.upstream_cx_rx_bytes_total().add(received);
        stats.upstream_cx_tx_bytes_total().add(sent);
    }

    /// Counts how often reading from the host stopped because nobody took what came, and went on.
    pub fn count_pauses(&self, pauses: u64, resumptions: u64) {
        let stats = &self.pool.cluster.stats;
        stats.upstream_flow_control_paused_reading_total().add(pauses);
        stats.upstream_flow_control_resumed_reading_total().add(resumptions);
    }

    /// Ready once the host was found to have failed, where connections end with that.
    pub fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(next) = &mut self.next_failure else { return Poll::Pending };
        self.ends =
            self.ends || self.established.has_failed(&self.pool.host) || next.as_mut().poll(cx).is_ready();
        if self.ends { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Notes that the host ended the connection, for the statistics.
    pub fn closed_by_host(&mut self) {
        self.closed_by_host = true;
    }

    /// What came and went so far: bytes alone, without headers.
    pub fn wire(&self) -> WireBytes {
        WireBytes { received: self.stream.read(), sent: self.stream.written(), ..WireBytes::default() }
    }
}

impl MessageStream for TcpLease {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        if self.poll_failure(cx).is_ready() {
            return Poll::Ready(Err(StreamError::Closed));
        }
        self.stream.poll_frame(cx)
    }

    fn send_data(&mut self, data: Bytes) {
        self.stream.send_data(data);
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        self.stream.send_end(trailers);
    }

    fn buffered(&self) -> usize {
        self.stream.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.stream.poll_flush(cx)
    }
}

impl Drop for TcpLease {
    fn drop(&mut self) {
        self.count(self.stream.read(), self.stream.written());
        let by_host = !self.ends && (self.closed_by_host || self.stream.has_ended());
        let ended = if by_host { Ended::RemoteWithRequest } else { Ended::LocalWithRequest };
        self.pool.closed(ended, self.opened);
    }
}
