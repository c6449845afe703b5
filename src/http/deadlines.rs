//! The times that a stream must keep.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::HttpConnectionManager;
use crate::route::action::Timeouts;

/// Why a stream is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// The response took longer than the route allows.
    ResponseTimeout,
    /// The response did not begin in the time that the route allows for an attempt.
    PerTryTimeout,
    /// Nothing of an attempt's response came for longer than the route allows.
    PerTryIdle,
    /// Nothing moved for too long.
    StreamIdle,
    /// The request took too long to come.
    RequestTimeout,
    /// The stream took longer than it may.
    MaxDuration,
    /// The peer has gone away.
    DownstreamClosed,
    /// The peer has reset the stream.
    DownstreamReset,
    /// The stream was reset for a fault of the peer's.
    DownstreamFault,
}

/// The time that the head of a request has, once it has begun: that of heads, or that of a stream on which nothing
/// happens, for until its head is complete nothing has.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadTimeout {
    pub(super) at: Instant,
    /// Whether the stream's time is the shorter one.
    pub(super) is_idle: bool,
}

impl HeadTimeout {
    /// The time of a head that begins now.
    pub(super) fn new(now: Instant, options: &HttpConnectionManager) -> Option<Self> {
        let (head, idle) = (options.request_headers_timeout, options.stream_idle_timeout);
        let timeout = head.into_iter().chain(idle).min()?;
        Some(HeadTimeout { at: now + timeout, is_idle: head != Some(timeout) })
    }
}

/// The deadlines of one stream. Those that are not set never come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadlines {
    response: Option<Instant>,
    per_try: Option<Instant>,
    per_try_idle: Option<Instant>,
    request: Option<Instant>,
    max_duration: Option<Instant>,
    idle: Option<Instant>,
    idle_timeout: Option<Duration>,
    /// When the next line in between is due, which ends nothing.
    log: Option<Instant>,
    per_try_idle_timeout: Option<Duration>,
}

impl Deadlines {
    /// The deadlines that hold before a route is known.
    pub(super) fn new(
        now: Instant,
        idle_timeout: Option<Duration>,
        request_timeout: Option<Duration>,
        max_duration: Option<Duration>,
    ) -> Self {
        Deadlines {
            response: None,
            per_try: None,
            per_try_idle: None,
            request: request_timeout.map(|timeout| now + timeout),
            max_duration: max_duration.map(|timeout| now + timeout),
            idle: idle_timeout.map(|timeout| now + timeout),
            idle_timeout,
            log: None,
            per_try_idle_timeout: None,
        }
    }

    /// The first to come.
    pub(super) fn next(&self) -> Option<Instant> {
        let (attempt, idle) = ([self.per_try, self.per_try_idle], [self.idle, self.log]);
        let all = [self.response, self.request, self.max_duration].into_iter().chain(attempt).chain(idle);
        all.flatten().min()
    }

    /// Sets when the next line of the access log is due before the end; gives what was set before.
    pub(super) fn set_log(&mut self, due: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut self.log, due)
    }

    /// Whether it is due.
    pub(super) fn log_is_due(&self, now: Instant) -> bool {
        self.log.is_some_and(|due| due <= now)
    }

    /// The one that has passed.
    pub(super) fn passed(&self, now: Instant) -> Option<Interrupt> {
        [
            (self.response, Interrupt::ResponseTimeout),
            (self.per_try, Interrupt::PerTryTimeout),
            (self.per_try_idle, Interrupt::PerTryIdle),
            (self.request, Interrupt::RequestTimeout),
            (self.max_duration, Interrupt::MaxDuration),
            (self.idle, Interrupt::StreamIdle),
        ]
        .into_iter()
        .find_map(|(deadline, interrupt)| (deadline? <= now).then_some(interrupt))
    }

    /// A route's own idle timeout takes the place of the connection manager's.
    pub(super) fn set_idle_timeout(&mut self, now: Instant, timeout: Option<Duration>) {
        self.idle_timeout = timeout;
        self.touch(now);
    }

    /// A route's own limit takes the place of the connection manager's.
    pub(super) fn set_max_duration(&mut self, deadline: Option<Instant>) {
        self.max_duration = deadline;
    }

    /// Something moved.
    pub(super) fn touch(&mut self, now: Instant) {
        self.idle = self.idle_timeout.map(|timeout| now + timeout);
        self.per_try_idle = self.per_try_idle_timeout.map(|timeout| now + timeout);
    }

    /// The request has come, but not gone on: its own time ends.
    pub(super) fn request_received(&mut self) {
        self.request = None;
    }

    /// The request is complete: its own time ends, and that of the response begins.
    pub(super) fn request_complete(&mut self, now: Instant, response: Timeouts) {
        self.request = None;
        self.response = response.global.map(|timeout| now + timeout);
    }

    /// The request is complete and there is a connection for it: the time of this attempt begins.
    pub(super) fn attempt_begun(&mut self, now: Instant, response: Timeouts) {
        self.per_try = response.per_try.map(|timeout| now + timeout);
        self.per_try_idle_timeout = response.per_try_idle;
        self.per_try_idle = response.per_try_idle.map(|timeout| now + timeout);
    }

    /// The attempt is over and another follows.
    pub(super) fn attempt_over(&mut self) {
        (self.per_try, self.per_try_idle, self.per_try_idle_timeout) = (None, None, None);
    }

    /// An answer of the proxy's own goes out: whichever time has passed, it ends no more than once, and what is left is
    /// how long the client takes.
    pub(super) fn reply_begun(&mut self, now: Instant) {
        *self = Deadlines { idle_timeout: self.idle_timeout, log: self.log, ..Deadlines::default() };
        self.touch(now);
    }

    /// The response has begun: from here on only the whole of it has a limit.
    pub(super) fn response_begun(&mut self) {
        self.per_try = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_has_passed_does_not_end_the_answer_that_tells_of_it() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut deadlines = Deadlines::new(start, Some(seconds(5)), Some(seconds(1)), Some(seconds(2)));
        assert_eq!(deadlines.passed(start + seconds(3)), Some(Interrupt::RequestTimeout));
        deadlines.reply_begun(start + seconds(3));
        assert_eq!(deadlines.passed(start + seconds(7)), None);
        assert_eq!(deadlines.passed(start + seconds(8)), Some(Interrupt::StreamIdle));
    }

    #[test]
    fn the_first_deadline_counts_and_movement_puts_the_idle_one_off() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut deadlines = Deadlines::new(start, Some(seconds(5)), Some(seconds(9)), None);
        assert_eq!(deadlines.next(), Some(start + seconds(5)));
        deadlines.touch(start + seconds(4));
        assert_eq!(deadlines.passed(start + seconds(6)), None);
        let times = Timeouts { global: Some(seconds(1)), ..Timeouts::default() };
        deadlines.request_complete(start + seconds(6), times);
        assert_eq!(deadlines.passed(start + seconds(7)), Some(Interrupt::ResponseTimeout));
        assert_eq!(deadlines.passed(start + seconds(6)), None);
    }
}
