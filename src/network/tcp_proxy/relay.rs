//! Bytes both ways. Each side may end its half before the other does: that is passed on like the bytes before it.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::base::io::OVERFULL;
use crate::base::timer::Timer;
use crate::observability::format::LogType;
use crate::observability::stats::network::TcpProxyStats;
use crate::observability::stream_info::{CloseType, ResponseFlags, StreamInfo};

use super::session::Session;

/// The two sides of a connection, and what is between them.
pub(super) trait Sides {
    /// Moves what there is.
    fn poll(&mut self, scratch: &mut BytesMut, cx: &mut Context<'_>) -> Poll<End>;

    /// Bytes that have passed so far.
    fn progress(&self) -> Progress;

    /// Counts and notes what has passed since the progress was `before`.
    fn count(&mut self, before: Progress, stats: &TcpProxyStats, info: &mut StreamInfo);

    /// Lets go of what lasts longer than bytes pass. What is left to be written is, unless nothing is taken for this long.
    fn end(self, end: End, idle_timeout: Option<Duration>, stats: &TcpProxyStats);
}

/// How bytes stopped passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides have ended, the host last or not.
    Complete { by_host: bool },
    /// Both sides have ended, and something still waits for the host.
    Flushing,
    /// The client's connection broke.
    Client { reset: bool },
    /// The host's connection broke.
    Host { reset: bool },
    /// The host was found to have failed, and connections end with that.
    HostFailed,
    /// Too much waited for the client for too long.
    ClientFull,
    /// Too much waited for the host for too long.
    HostFull,
    /// No byte passed for too long.
    Idle,
    /// Bytes have passed while the listener drains.
    Drained,
}

/// Bytes that have passed, up and down: what came, and what went.
pub(super) type Progress = [u64; 4];

/// What ends a connection that does not end by itself, and when it is logged meanwhile.
struct Clock {
    idle_timeout: Option<Duration>,
    idle_end: Option<Instant>,
    next_line: Option<Instant>,
    timer: Timer,
}

impl Session<'_> {
    /// Passes bytes until both sides have ended, one breaks, or nothing passes for too long.
    pub(super) async fn relay(&mut self, mut sides: impl Sides) {
        let idle_timeout = self.idle_timeout();
        let mut clock = Clock {
            idle_timeout,
            idle_end: idle_timeout.map(|idle| Instant::now() + idle),
            next_line: self.next_line(Instant::now()),
            timer: Timer::default(),
        };
        let end = poll_fn(|cx| self.poll_relay(&mut sides, &mut clock, cx)).await;
        sides.count(sides.progress(), &self.proxy.stats, self.info);
        sides.end(end, idle_timeout, &self.proxy.stats);
        match end {
            End::Idle => self.note_idle(),
            End::ClientFull => self.note_close(OVERFULL),
            End::HostFull => {
                self.info.upstream.iter_mut().for_each(|host| host.local_close_reason = Some(OVERFULL.into()));
            }
            End::Drained => {
                self.proxy.stats.downstream_cx_drain_close().inc();
                self.note_close("tcp_proxy_drain_close");
            }
            End::Host { reset: true } => {
                self.info.response_flags.insert(ResponseFlags::UR);
                let ending = self.info.ending_mut();
                ending.upstream_close = CloseType::RemoteReset;
                ending.downstream_close = CloseType::LocalReset;
            }
            End::Client { reset: true } => {
                self.info.ending_mut().downstream_close = CloseType::RemoteReset;
            }
            End::Complete { .. }
            | End::Flushing
            | End::Client { reset: false }
            | End::Host { reset: false }
            | End::HostFailed => {}
        }
    }

    fn poll_relay(&mut self, sides: &mut impl Sides, clock: &mut Clock, cx: &mut Context<'_>) -> Poll<End> {
        let before = sides.progress();
        let polled = sides.poll(&mut self.worker.scratch(), cx);
        if before != sides.progress() {
            sides.count(before, &self.proxy.stats, self.info);
            clock.idle_end = clock.idle_timeout.map(|idle| Instant::now() + idle);
        }
        if polled.is_ready() {
            return polled;
        }
        let [.., came, went] = sides.progress();
        if before != sides.progress() && came == went && self.ends_with_drain() {
            return Poll::Ready(End::Drained);
        }
        while clock.timer.poll(earlier(clock.idle_end, clock.next_line), cx).is_ready() {
            let now = Instant::now();
            if clock.idle_end.is_some_and(|end| end <= now) {
                return Poll::Ready(End::Idle);
            }
            self.log(LogType::TcpPeriodic);
            clock.next_line = self.next_line(now);
        }
        Poll::Pending
    }

    fn next_line(&self, now: Instant) -> Option<Instant> {
        self.proxy.config.log_moments.interval.map(|interval| now + interval)
    }
}

/// What has passed between two moments.
pub(super) fn passed(before: Progress, after: Progress) -> Progress {
    std::array::from_fn(|index| after[index] - before[index])
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
