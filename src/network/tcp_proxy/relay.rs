//! Bytes both ways. Each side may end its half before the other does: that is passed on like the bytes before it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::base::io::Io;
use crate::base::timer::Timer;
use crate::network::way::{Broken, Way};
use crate::observability::format::LogType;
use crate::observability::stream_info::{CloseType, ResponseFlags};
use crate::upstream::pool::TcpLease;

use super::connecting::ToHost;
use super::session::Session;

/// The two ways of a connection, and its timers.
struct Relay {
    client: Io,
    up: Way,
    down: Way,
    up_done: bool,
    down_done: bool,
    idle_end: Option<Instant>,
    next_line: Option<Instant>,
    timer: Timer,
}

/// How bytes stopped passing.
enum End {
    /// Both sides have ended, the host last or not.
    Complete { by_host: bool },
    /// The client's connection broke.
    Client(io::Error),
    /// The host's connection broke.
    Host(io::Error),
    /// The host was found to have failed, and connections end with that.
    HostFailed,
    /// No byte passed for too long.
    Idle,
}

/// Bytes that have passed, up and down: what came, and what went.
type Progress = [u64; 4];

impl Session<'_> {
    /// Passes bytes until both sides have ended, one breaks, or nothing passes for too long.
    pub(super) async fn relay(&mut self, client: Io, mut host: ToHost) {
        let limit = host.lease.buffer_limit_bytes();
        let mut relay = Relay {
            client,
            up: Way::new(limit),
            down: Way::new(self.proxy.buffer_limit_bytes),
            up_done: false,
            down_done: false,
            idle_end: self.proxy.config.idle_timeout.map(|idle| Instant::now() + idle),
            next_line: self.proxy.config.log_moments.interval.map(|interval| Instant::now() + interval),
            timer: Timer::default(),
        };
        let end = poll_fn(|cx| self.poll_relay(&mut relay, &mut host.lease, cx)).await;
        match end {
            End::Complete { by_host: false } | End::HostFailed => {}
            End::Complete { by_host: true } => host.lease.closed_by_host(),
            End::Idle => {
                self.proxy.stats.idle_timeout().inc();
                self.note_close("tcp_session_idle_timeout");
            }
            End::Host(error) => {
                host.lease.closed_by_host();
                if is_reset(&error) {
                    self.info.response_flags.insert(ResponseFlags::UR);
                    let ending = self.info.ending_mut();
                    ending.upstream_close = CloseType::RemoteReset;
                    ending.downstream_close = CloseType::LocalReset;
                    relay.client.reset();
                }
            }
            End::Client(error) => {
                if is_reset(&error) {
                    self.info.ending_mut().downstream_close = CloseType::RemoteReset;
                    host.lease.io().reset();
                }
            }
        }
    }

    fn poll_relay(&mut self, relay: &mut Relay, lease: &mut TcpLease, cx: &mut Context<'_>) -> Poll<End> {
        let before = relay.progress();
        let polled = relay.poll(lease.io(), &mut self.worker.scratch(), cx);
        let after = relay.progress();
        if before != after {
            self.count(relay, lease, before, after);
            relay.idle_end = self.proxy.config.idle_timeout.map(|idle| Instant::now() + idle);
        }
        if polled.is_ready() {
            return polled;
        }
        if lease.poll_failure(cx).is_ready() {
            return Poll::Ready(End::HostFailed);
        }
        while relay.timer.poll(earlier(relay.idle_end, relay.next_line), cx).is_ready() {
            let now = Instant::now();
            if relay.idle_end.is_some_and(|end| end <= now) {
                return Poll::Ready(End::Idle);
            }
            self.log(LogType::TcpPeriodic);
            relay.next_line = self.proxy.config.log_moments.interval.map(|interval| now + interval);
        }
        Poll::Pending
    }

    /// Counts what has passed.
    fn count(&mut self, relay: &mut Relay, lease: &mut TcpLease, before: Progress, after: Progress) {
        let [came_up, went_up, came_down, went_down] =
            std::array::from_fn(|index| after[index] - before[index]);
        let stats = &self.proxy.stats;
        stats.downstream_cx_rx_bytes_total().add(came_up);
        stats.downstream_cx_tx_bytes_total().add(went_down);
        lease.count(came_down, went_up);
        let [pauses, resumptions] = relay.up.take_pauses();
        stats.downstream_flow_control_paused_reading_total().add(pauses);
        stats.downstream_flow_control_resumed_reading_total().add(resumptions);
        let [pauses, resumptions] = relay.down.take_pauses();
        lease.count_pauses(pauses, resumptions);
        let info = &mut *self.info;
        (info.bytes_received, info.bytes_sent) = (relay.up.read, relay.down.read);
        (info.downstream_wire.received, info.downstream_wire.sent) = (relay.up.read, relay.down.written);
        (info.upstream_wire.received, info.upstream_wire.sent) = (relay.down.read, relay.up.written);
    }
}

impl Relay {
    fn progress(&self) -> Progress {
        [self.up.read, self.up.written, self.down.read, self.down.written]
    }

    fn poll(&mut self, host: &Io, scratch: &mut bytes::BytesMut, cx: &mut Context<'_>) -> Poll<End> {
        let client_ended_first = self.up_done;
        // What a host has sent before its connection broke is passed on before that shows.
        if !self.down_done {
            match self.down.poll(host, &self.client, scratch, cx) {
                Poll::Ready(Ok(())) => self.down_done = true,
                Poll::Ready(Err(Broken::Source(error))) => return Poll::Ready(End::Host(error)),
                Poll::Ready(Err(Broken::Sink(error))) => return Poll::Ready(End::Client(error)),
                Poll::Pending => {}
            }
        }
        if !self.up_done {
            match self.up.poll(&self.client, host, scratch, cx) {
                Poll::Ready(Ok(())) => self.up_done = true,
                Poll::Ready(Err(Broken::Source(error))) => return Poll::Ready(End::Client(error)),
                Poll::Ready(Err(Broken::Sink(error))) => return Poll::Ready(End::Host(error)),
                Poll::Pending => {}
            }
        }
        match self.up_done && self.down_done {
            true => Poll::Ready(End::Complete { by_host: client_ended_first }),
            false => Poll::Pending,
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionReset
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
