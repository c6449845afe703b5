//! Pings to find dead connections: `envoy.config.core.v3.KeepaliveSettings`.
//!
//! As in Envoy, a frame of any kind puts the deadline of the answer off, since the answer may be held up behind
//! it, and the next ping goes out an interval (and a random part of the jitter) after the answer to the last.

use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::Instant;

use crate::base::random::Rng;
use crate::base::timer::Timer;
use crate::config::protocol::KeepaliveSettings;

use super::meter::Meter;

/// The pings of a connection.
pub(super) struct Keepalive {
    pings: PingPong,
    schedule: Schedule,
    timer: Timer,
    random: Rng,
}

impl Keepalive {
    /// Begins with the first interval.
    pub(super) fn new(settings: KeepaliveSettings, pings: PingPong) -> Self {
        let mut random = Rng::from_entropy();
        let schedule = Schedule::new(settings, Instant::now(), random.next_u64());
        Keepalive { pings, schedule, timer: Timer::default(), random }
    }

    /// Sends pings as they are due. Ready when an answer did not come in time, which is counted.
    pub(super) fn poll(&mut self, meter: &Meter, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            self.schedule.begun(meter.streams_begun(), now);
            self.schedule.heard(meter.frames_read(), now);
            if let Poll::Ready(Ok(_)) = self.pings.poll_pong(cx) {
                self.schedule.answered(now, self.random.next_u64());
            }
            match self.schedule.due(now) {
                Due::Nothing => {}
                Due::Ping => {
                    // One that cannot be sent belongs to a connection that is ending.
                    if self.pings.send_ping(Ping::opaque()).is_err() {
                        return Poll::Pending;
                    }
                    self.schedule.sent(now);
                    continue;
                }
                Due::GiveUp => {
                    meter.keepalive_timeout();
                    return Poll::Ready(());
                }
            }
            if self.timer.poll(self.schedule.next(), cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Ping,
    GiveUp,
}

/// When pings go out and answers must be there.
#[derive(Debug)]
struct Schedule {
    settings: KeepaliveSettings,
    /// Of the next ping; `None` while an answer is waited for, or without an interval.
    ping: Option<Instant>,
    /// Of the answer that is waited for.
    answer: Option<Instant>,
    frames: u64,
    streams: u64,
    last_heard: Instant,
}

impl Schedule {
    fn new(settings: KeepaliveSettings, now: Instant, random: u64) -> Self {
        let mut schedule =
            Schedule { settings, ping: None, answer: None, frames: 0, streams: 0, last_heard: now };
        schedule.answered(now, random);
        schedule
    }

    fn next(&self) -> Option<Instant> {
        self.answer.or(self.ping)
    }

    fn due(&self, now: Instant) -> Due {
        match (self.answer, self.ping) {
            (Some(answer), _) if answer <= now => Due::GiveUp,
            (None, Some(ping)) if ping <= now => Due::Ping,
            _ => Due::Nothing,
        }
    }

    fn sent(&mut self, now: Instant) {
        self.ping = None;
        self.answer = Some(now + self.settings.timeout);
    }

    fn answered(&mut self, now: Instant, random: u64) {
        self.answer = None;
        self.ping = self.settings.interval.map(|interval| now + interval + self.jitter(interval, random));
    }

    /// A part of the interval, up to the percentage that is configured, in whole milliseconds.
    fn jitter(&self, interval: Duration, random: u64) -> Duration {
        let most = (interval.as_millis() as f64 * self.settings.interval_jitter / 100.0) as u64;
        Duration::from_millis(random.checked_rem(most).unwrap_or(0))
    }

    /// So many frames have come in all.
    fn heard(&mut self, frames: u64, now: Instant) {
        if frames == self.frames {
            return;
        }
        self.frames = frames;
        self.last_heard = now;
        if let Some(answer) = &mut self.answer {
            *answer = now + self.settings.timeout;
        }
    }

    /// So many streams have begun in all: a connection that was silent for long is asked whether it is alive.
    fn begun(&mut self, streams: u64, now: Instant) {
        if streams == self.streams {
            return;
        }
        self.streams = streams;
        let silent = self.settings.connection_idle_interval;
        if self.answer.is_none() && silent.is_some_and(|silent| now >= self.last_heard + silent) {
            self.ping = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(start: Instant, random: u64) -> Schedule {
        let settings = KeepaliveSettings {
            interval: Some(10 * SECOND),
            timeout: 2 * SECOND,
            interval_jitter: 15.0,
            connection_idle_interval: Some(5 * SECOND),
        };
        Schedule::new(settings, start, random)
    }

    #[test]
    fn a_ping_goes_out_at_the_interval_and_the_connection_is_given_up_after_the_timeout() {
        let start = Instant::now();
        let mut schedule = schedule(start, 0);
        assert_eq!(schedule.next(), Some(start + 10 * SECOND));
        assert_eq!(schedule.due(start + 9 * SECOND), Due::Nothing);
        assert_eq!(schedule.due(start + 10 * SECOND), Due::Ping);
        schedule.sent(start + 10 * SECOND);
        assert_eq!(schedule.due(start + 11 * SECOND), Due::Nothing);
        assert_eq!(schedule.due(start + 12 * SECOND), Due::GiveUp);
    }

    #[test]
    fn an_answer_begins_the_next_interval_with_its_jitter() {
        let start = Instant::now();
        let mut schedule = schedule(start, 0);
        schedule.sent(start);
        schedule.answered(start + SECOND, 1_499);
        assert_eq!(schedule.next(), Some(start + 11 * SECOND + Duration::from_millis(1_499)));
        schedule.answered(start + SECOND, 1_500);
        assert_eq!(schedule.next(), Some(start + 11 * SECOND), "15 percent of 10 s are the most");
    }

    #[test]
    fn any_frame_puts_the_answer_off() {
        let start = Instant::now();
        let mut schedule = schedule(start, 0);
        schedule.sent(start);
        schedule.heard(1, start + SECOND);
        assert_eq!(schedule.due(start + 2 * SECOND), Due::Nothing);
        schedule.heard(1, start + 2 * SECOND);
        assert_eq!(schedule.due(start + 3 * SECOND), Due::GiveUp);
    }

    #[test]
    fn a_stream_on_a_connection_that_was_silent_is_preceded_by_a_ping() {
        let start = Instant::now();
        let mut schedule = schedule(start, 0);
        schedule.begun(1, start + 4 * SECOND);
        assert_eq!(schedule.due(start + 4 * SECOND), Due::Nothing);
        schedule.begun(2, start + 5 * SECOND);
        assert_eq!(schedule.due(start + 5 * SECOND), Due::Ping);
    }
}
