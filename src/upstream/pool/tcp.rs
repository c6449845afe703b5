//! Connections to a host whose bytes are no HTTP: what a CONNECT request that ends here becomes.

use std::future::Future as _;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::base::io::Io;
use crate::codec::h1::Output;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::observability::stream_info::WireBytes;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::failures::NextFailure;
use crate::upstream::host_stats::ActiveConnection;

use super::AcquireError;
use super::connect::Established;
use super::ended::Ended;
use super::host::{Carries, Connected, HostPool, Maker, Turn};

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// A connection of its own, closed when it is dropped.
#[derive(Debug)]
pub struct TcpLease {
    io: Io,
    input: BytesMut,
    output: Output,
    read: u64,
    /// The host sends nothing more.
    host_ended: bool,
    /// Nothing more is sent to the host, once what waits is written.
    ending: bool,
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
        let Connected { io, established, active, .. } =
            self.connect_counted(Carries::Bytes, Maker::Request).await?;
        opening.opened();
        Ok(TcpLease {
            io,
            input: BytesMut::new(),
            output: Output::default(),
            read: 0,
            host_ended: false,
            ending: false,
            closed_by_host: false,
            opened: established.begun + established.took,
            established,
            next_failure: self.host.failures.next(),
            ends: false,
            pool: Rc::clone(self),
            _place: place,
            _active: active,
        })
    }
}

impl TcpLease {
    /// What is known of the connection from its making.
    pub fn established(&self) -> Established {
        self.established.clone()
    }

    /// The connection itself, for who moves its bytes and [counts](Self::count) them.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Bytes that may wait for the host; 0 means no limit.
    pub fn buffer_limit_bytes(&self) -> Option<u32> {
        self.pool.cluster.config.per_connection_buffer_limit_bytes
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
        WireBytes { received: self.read, sent: self.output.written(), ..WireBytes::default() }
    }
}

impl MessageStream for TcpLease {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        if self.poll_failure(cx).is_ready() {
            return Poll::Ready(Err(StreamError::Closed));
        }
        if self.host_ended {
            return Poll::Ready(Ok(None));
        }
        self.input.reserve(READ_SIZE);
        self.io.poll_read(cx, &mut self.input).map(|read| match read {
            Ok(0) => {
                self.host_ended = true;
                Ok(None)
            }
            Ok(read) => {
                self.read += read as u64;
                Ok(Some(Frame::Data(self.input.split().freeze())))
            }
            Err(_) => Err(StreamError::Closed),
        })
    }

    fn send_data(&mut self, data: Bytes) {
        self.output.push(data);
    }

    fn send_end(&mut self, _: Option<&Headers>) {
        self.ending = true;
    }

    fn buffered(&self) -> usize {
        self.output.len()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let flushed = self.output.poll_flush(&self.io, cx);
        if self.ending && matches!(flushed, Poll::Ready(Ok(()))) {
            self.ending = false;
            self.io.shutdown_write();
        }
        flushed.map_err(|_| StreamError::Closed)
    }
}

impl Drop for TcpLease {
    fn drop(&mut self) {
        self.count(self.read, self.output.written());
        let by_host = !self.ends && (self.closed_by_host || self.host_ended);
        let ended = if by_host { Ended::RemoteWithRequest } else { Ended::LocalWithRequest };
        self.pool.closed(ended, self.opened);
    }
}
