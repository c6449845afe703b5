//! A client and a host whose bytes pass as they are.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;

use crate::base::io::Io;
use crate::http::InProgress;
use crate::network::way::{Broken, Way};
use crate::observability::stats::network::TcpProxyStats;
use crate::observability::stream_info::StreamInfo;
use crate::upstream::pool::TcpLease;

use super::flushing::Flushing;
use super::relay::{End, Progress, Sides, passed};

/// A connection to a host, which counts as a request there.
pub(super) struct Direct {
    pub(super) _counted: InProgress,
    pub(super) lease: TcpLease,
}

/// A client and its host, and the two ways between them.
pub(super) struct Ways {
    client: Io,
    host: Direct,
    up: Way,
    down: Way,
    up_done: bool,
    down_done: bool,
}

impl Ways {
    /// Between a client of whose listener `per_connection_buffer_limit_bytes` is known, and its host.
    pub(super) fn new(client: Io, host: Direct, buffer_limit_bytes: Option<u32>) -> Self {
        let up = Way::new(host.lease.buffer_limit_bytes());
        let down = Way::new(buffer_limit_bytes);
        Ways { client, host, up, down, up_done: false, down_done: false }
    }

    /// With these bytes of the client's before those that come.
    pub(super) fn after(mut self, early: &[u8]) -> Self {
        self.up.put(early);
        self
    }

    /// Whose connection ends because too much has waited for it for too long, or how else they stopped.
    fn end_of(&self, end: End) -> End {
        match end {
            _ if self.client.is_overfull() => End::ClientFull,
            _ if self.host.lease.io().is_overfull() => End::HostFull,
            end => end,
        }
    }

    fn poll_ways(&mut self, scratch: &mut BytesMut, cx: &mut Context<'_>) -> Poll<End> {
        let client_ended_first = self.up_done;
        let host = self.host.lease.io();
        // What a host has sent before its connection broke is passed on before that shows.
        if !self.down_done {
            match self.down.poll(host, &self.client, scratch, cx) {
                Poll::Ready(Ok(())) => self.down_done = true,
                Poll::Ready(Err(Broken::Source(error))) => return Poll::Ready(host_broke(&error)),
                Poll::Ready(Err(Broken::Sink(error))) => return Poll::Ready(client_broke(&error)),
                Poll::Pending => {}
            }
        }
        if !self.up_done {
            match self.up.poll(&self.client, host, scratch, cx) {
                Poll::Ready(Ok(())) => self.up_done = true,
                Poll::Ready(Err(Broken::Source(error))) => return Poll::Ready(client_broke(&error)),
                Poll::Ready(Err(Broken::Sink(error))) => return Poll::Ready(host_broke(&error)),
                Poll::Pending => {}
            }
        }
        match (self.up_done, self.down_done) {
            (true, true) => Poll::Ready(End::Complete { by_host: client_ended_first }),
            (false, true) if self.up.has_read_all() => Poll::Ready(End::Flushing),
            _ => Poll::Pending,
        }
    }
}

impl Sides for Ways {
    fn poll(&mut self, scratch: &mut BytesMut, cx: &mut Context<'_>) -> Poll<End> {
        let polled = self.poll_ways(scratch, cx).map(|end| self.end_of(end));
        if polled.is_pending() && self.host.lease.poll_failure(cx).is_ready() {
            return Poll::Ready(End::HostFailed);
        }
        polled
    }

    fn progress(&self) -> Progress {
        [self.up.read, self.up.written, self.down.read, self.down.written]
    }

    fn count(&mut self, before: Progress, stats: &TcpProxyStats, info: &mut StreamInfo) {
        let [came_up, went_up, came_down, went_down] = passed(before, self.progress());
        stats.downstream_cx_rx_bytes_total().add(came_up);
        stats.downstream_cx_tx_bytes_total().add(went_down);
        self.host.lease.count(came_down, went_up);
        let [pauses, resumptions] = self.up.take_pauses();
        stats.downstream_flow_control_paused_reading_total().add(pauses);
        stats.downstream_flow_control_resumed_reading_total().add(resumptions);
        let [pauses, resumptions] = self.down.take_pauses();
        self.host.lease.count_pauses(pauses, resumptions);
        (info.bytes_received, info.bytes_sent) = (self.up.read, self.down.read);
        // As in Envoy what was read for a side counts as sent to it, be it that it has gone.
        (info.downstream_wire.received, info.downstream_wire.sent) = (self.up.read, self.down.read);
        (info.upstream_wire.received, info.upstream_wire.sent) = (self.down.read, self.up.read);
    }

    fn end(mut self, end: End, idle_timeout: Option<Duration>, stats: &TcpProxyStats) {
        if let End::Complete { by_host: true } | End::Host { .. } = end {
            self.host.lease.closed_by_host();
        }
        match end {
            End::Host { reset: true } => self.client.reset(),
            End::Client { reset: true } => self.host.lease.io().reset(),
            End::Flushing => Flushing::new(self.host, self.up, stats).start(idle_timeout),
            _ => {}
        }
    }
}

fn client_broke(error: &io::Error) -> End {
    End::Client { reset: error.kind() == io::ErrorKind::ConnectionReset }
}

fn host_broke(error: &io::Error) -> End {
    End::Host { reset: error.kind() == io::ErrorKind::ConnectionReset }
}
