//! The times that a stream must keep.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::HttpConnectionManager;
use crate::route::timeouts::Timeouts;

/// Why a stream is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// The response took longer than the route allows.
    ResponseTimeout,
    /// The response did not begin in the time that the route allows for an attempt.
    PerTryTimeout,
    /// Nothing of an attempt's response came for longer than the route allows.
    PerTryIdle,
    /// The stream to the host took longer than the cluster allows.
    UpstreamDuration,
    /// The same of an attempt that goes on beside another.
    AsideDuration,
    /// Nothing moved for too long.
    StreamIdle,
    /// The client did not open its windows for the end of the response in time.
    Flush,
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
        let (head, idle) = (options.timeouts.request_headers_timeout, options.timeouts.stream_idle_timeout);
        let timeout = head.into_iter().chain(idle).min()?;
        Some(HeadTimeout { at: now + timeout, is_idle: head != Some(timeout) })
    }
}

/// The deadlines of one stream. Those that are not set never come.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    response: Option<Instant>,
    per_try: Option<Instant>,
    /// Of the attempt that is made, where few have any.
    attempt: Option<Box<AttemptTimes>>,
    request: Option<Instant>,
    max_duration: Option<Instant>,
    idle: Option<Instant>,
    idle_timeout: Option<Duration>,
    /// When the next line in between is due, which ends nothing.
    log: Option<Instant>,
    /// The response is complete but for what the client has to open its windows for.
    flushing: bool,
}

/// What one attempt must keep beside its time.
#[derive(Clone, Copy, Debug, Default)]
struct AttemptTimes {
    idle: Option<Instant>,
    idle_timeout: Option<Duration>,
    /// The end of the longest time of a stream to the host.
    end: Option<Instant>,
    /// The first such end of the attempts that go on beside this one.
    asides: Option<Instant>,
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
            attempt: None,
            request: request_timeout.map(|timeout| now + timeout),
            max_duration: max_duration.map(|timeout| now + timeout),
            idle: idle_timeout.map(|timeout| now + timeout),
            idle_timeout,
            log: None,
            flushing: false,
        }
    }

    /// The first to come.
    pub(super) fn next(&self) -> Option<Instant> {
        let attempt = self.attempt.iter().flat_map(|attempt| [attempt.idle, attempt.end, attempt.asides]);
        let all = [self.response, self.request, self.max_duration, self.per_try, self.idle, self.log];
        all.into_iter().chain(attempt).flatten().min()
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
        let attempt = self.attempt.as_deref();
        [
            (self.response, Interrupt::ResponseTimeout),
            (self.per_try, Interrupt::PerTryTimeout),
            (attempt.and_then(|attempt| attempt.idle), Interrupt::PerTryIdle),
            (attempt.and_then(|attempt| attempt.end), Interrupt::UpstreamDuration),
            (attempt.and_then(|attempt| attempt.asides), Interrupt::AsideDuration),
            (self.request, Interrupt::RequestTimeout),
            (self.max_duration, Interrupt::MaxDuration),
            (self.idle, if self.flushing { Interrupt::Flush } else { Interrupt::StreamIdle }),
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
        if let Some(attempt) = &mut self.attempt {
            attempt.idle = attempt.idle_timeout.map(|timeout| now + timeout);
        }
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

    /// The time of the response begins though the request does not end: it asks for another protocol, and what follows is
    /// none of it.
    pub(super) fn upgrade_asked(&mut self, now: Instant, response: Timeouts) {
        self.response = response.global.map(|timeout| now + timeout);
    }

    /// Another protocol was agreed to: the response has no end that could be late.
    pub(super) fn tunnel_begun(&mut self) {
        self.response = None;
        self.forget_per_try();
    }

    /// The request is complete and there is a connection for it: the time of this attempt begins.
    pub(super) fn attempt_begun(&mut self, now: Instant, response: Timeouts) {
        self.per_try = response.per_try.map(|timeout| now + timeout);
        if let Some(timeout) = response.per_try_idle {
            let attempt = self.attempt.get_or_insert_default();
            (attempt.idle, attempt.idle_timeout) = (Some(now + timeout), Some(timeout));
        }
    }

    /// A stream to a host begins, which may last no longer than this.
    pub(super) fn stream_begun(&mut self, now: Instant, longest: Option<Duration>) {
        if let Some(longest) = longest {
            self.attempt.get_or_insert_default().end = Some(now + longest);
        }
    }

    /// The end of the longest time of the stream to the host, if it has one.
    pub(super) fn stream_end(&self) -> Option<Instant> {
        self.attempt.as_ref().and_then(|attempt| attempt.end)
    }

    /// The first end of the longest times of streams to hosts that go on beside this attempt.
    pub(super) fn watch_asides(&mut self, end: Option<Instant>) {
        if end.is_some() || self.attempt.is_some() {
            self.attempt.get_or_insert_default().asides = end;
        }
    }

    /// The attempt is over and another follows.
    pub(super) fn attempt_over(&mut self) {
        self.per_try = None;
        let asides = self.attempt.take().and_then(|attempt| attempt.asides);
        self.watch_asides(asides);
    }

    /// The attempt goes on though its time is over.
    pub(super) fn soften(&mut self, interrupt: Interrupt) {
        match (interrupt, &mut self.attempt) {
            (Interrupt::PerTryTimeout, _) => self.per_try = None,
            (Interrupt::PerTryIdle, Some(attempt)) => attempt.idle = None,
            _ => {}
        }
    }

    /// No time of the attempt counts any more but that of its stream.
    pub(super) fn forget_per_try(&mut self) {
        self.per_try = None;
        if let Some(attempt) = &mut self.attempt {
            (attempt.idle, attempt.idle_timeout) = (None, None);
        }
    }

    /// An answer of the proxy's own goes out: whichever time has passed, it ends no more than once, and what is left is
    /// how long the client takes.
    pub(super) fn reply_begun(&mut self, now: Instant) {
        *self = Deadlines { idle_timeout: self.idle_timeout, log: self.log, ..Deadlines::default() };
        self.touch(now);
    }

    /// The whole response is there, and the client is to open its windows for the rest of it: nothing else has a limit
    /// any more. `None` leaves it to the time of streams on which nothing moves.
    pub(super) fn flush_begun(&mut self, now: Instant, timeout: Option<Option<Duration>>) {
        if !self.flushing {
            self.idle_timeout = timeout.unwrap_or(self.idle_timeout);
            self.reply_begun(now);
            self.flushing = true;
        }
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
    fn a_stream_to_a_host_ends_after_its_longest_time_however_much_moves_on_it() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut deadlines = Deadlines::new(start, None, None, None);
        deadlines.stream_begun(start, Some(seconds(3)));
        deadlines.attempt_begun(start, Timeouts { per_try_idle: Some(seconds(2)), ..Timeouts::default() });
        assert_eq!(deadlines.next(), Some(start + seconds(2)));
        deadlines.touch(start + seconds(2));
        deadlines.response_begun();
        assert_eq!(deadlines.passed(start + seconds(3)), Some(Interrupt::UpstreamDuration));
        deadlines.attempt_over();
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_stream_that_goes_on_beside_the_next_attempt_ends_after_its_longest_time_too() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut deadlines = Deadlines::new(start, None, None, None);
        deadlines.stream_begun(start, Some(seconds(3)));
        deadlines.watch_asides(deadlines.stream_end());
        deadlines.attempt_over();
        deadlines.stream_begun(start + seconds(2), Some(seconds(3)));
        assert_eq!(deadlines.passed(start + seconds(3)), Some(Interrupt::AsideDuration));
        deadlines.watch_asides(None);
        assert_eq!(deadlines.passed(start + seconds(3)), None);
        assert_eq!(deadlines.passed(start + seconds(5)), Some(Interrupt::UpstreamDuration));
    }

    #[test]
    fn a_response_that_is_complete_has_the_time_of_its_flush_only() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        for (timeout, expected) in [(None, Some(5)), (Some(Some(seconds(9))), Some(9)), (Some(None), None)] {
            let mut deadlines = Deadlines::new(start, Some(seconds(5)), None, Some(seconds(1)));
            deadlines.flush_begun(start, timeout);
            deadlines.flush_begun(start + seconds(1), Some(Some(seconds(100))));
            assert_eq!(deadlines.next(), expected.map(|after| start + seconds(after)));
            if let Some(after) = expected {
                assert_eq!(deadlines.passed(start + seconds(after)), Some(Interrupt::Flush));
            }
        }
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
