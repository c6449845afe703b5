//! How long a host is out, or degraded: longer each time, and shorter again after it has done well for a while.

use std::time::{Duration, Instant};

use super::settings::Settings;

/// The terms of one host: the present one, and what is remembered of those before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Term {
    active: bool,
    /// What the base time is multiplied with.
    times: u32,
    jitter: Duration,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Term {
    /// Whether one lasts.
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// Begins one that lasts `jitter` longer than it would.
    pub(super) fn begin(&mut self, now: Instant, jitter: Duration, settings: Settings<'_>) {
        self.active = true;
        self.began = Some(now);
        self.jitter = jitter;
        if settings.grows(self.times) {
            self.times = self.times.saturating_add(1);
        }
    }

    /// Whether one has lasted long enough.
    pub(super) fn is_over(&self, now: Instant, settings: Settings<'_>) -> bool {
        let time = settings.ejection_time(self.times).saturating_add(self.jitter);
        self.active && self.since_begin(now).is_some_and(|lasted| time <= lasted)
    }

    /// Ends it.
    pub(super) fn end(&mut self, now: Instant) {
        self.active = false;
        self.ended = Some(now);
    }

    /// Makes the next one shorter, where the last ended an interval ago.
    pub(super) fn shrink(&mut self, now: Instant, settings: Settings<'_>) {
        let rested = self.since_end(now).is_some_and(|rested| rested >= settings.interval());
        if !self.active && rested {
            self.times = self.times.saturating_sub(1);
        }
    }

    /// Time since the last began.
    pub(super) fn since_begin(&self, now: Instant) -> Option<Duration> {
        self.began.map(|began| now.saturating_duration_since(began))
    }

    /// Time since the last ended.
    pub(super) fn since_end(&self, now: Instant) -> Option<Duration> {
        self.ended.map(|ended| now.saturating_duration_since(ended))
    }
}
