//! Ending connections without losing requests.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// How long an idle connection is left open when its listener drains, for the request that may be on its way.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// How the connections of a listener that drains come to their end: `--drain-strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each with its next response, and soon if it is idle.
    Immediate,
    /// One after the other over this time: a response is its connection's last the more likely the later it is. Idle
    /// connections are left until the time is over.
    Gradual(Duration),
}

/// Tells the connections of a listener, on one worker, to end: first when they can, then at once.
#[derive(Debug, Default)]
pub struct Drain {
    stage: Cell<Stage>,
    /// When a gradual drain began, and how long it takes; `None` when it is immediate.
    gradual: Cell<Option<(Instant, Duration)>>,
    /// Since when connections end with their next response, and idle ones soon.
    immediate: Cell<Option<Instant>>,
    reason: Cell<Option<&'static str>>,
    /// Whether each response is its connection's last, the program being unhealthy.
    unhealthy: Cell<bool>,
    changed: Notify,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connections go on.
    #[default]
    Serving,
    /// Connections end after what they are at.
    Draining,
    /// Connections end now.
    Closing,
}

impl Drain {
    /// Another that is as far as this one.
    pub fn like(&self) -> Self {
        Drain {
            stage: self.stage.clone(),
            gradual: self.gradual.clone(),
            immediate: self.immediate.clone(),
            reason: self.reason.clone(),
            unhealthy: self.unhealthy.clone(),
            changed: Notify::new(),
        }
    }

    /// Lets connections end. A drain that has begun only becomes faster.
    pub fn begin(&self, pace: Pace) {
        let began = self.stage.get() != Stage::Serving;
        let gradual = match pace {
            Pace::Immediate => None,
            Pace::Gradual(_) if began => return,
            Pace::Gradual(time) => Some((Instant::now(), time)),
        };
        if gradual.is_none() && self.immediate.get().is_none() {
            self.immediate.set(Some(Instant::now()));
        }
        let faster = self.gradual.replace(gradual).is_some() && gradual.is_none();
        if !self.advance(Stage::Draining) && faster {
            self.changed.notify_waiters();
        }
    }

    /// Lets connections end with their next response while the program is unhealthy; idle ones stay.
    pub fn heed(&self, unhealthy: bool) {
        self.unhealthy.set(unhealthy);
    }

    /// Ends connections at once; access logs show why.
    pub fn close(&self, reason: &'static str) {
        self.reason.set(Some(reason));
        self.advance(Stage::Closing);
    }

    /// Why connections have to end at once, if they have.
    pub fn closing_reason(&self) -> Option<&'static str> {
        self.reason.get()
    }

    /// Goes on to a later stage. True if it was not there yet.
    fn advance(&self, stage: Stage) -> bool {
        let later = stage > self.stage.get();
        if later {
            self.stage.set(stage);
            self.changed.notify_waiters();
        }
        later
    }

    /// How far the drain has come.
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Waits until connections are to end now.
    pub async fn closing(&self) {
        loop {
            let changed = self.changed();
            if self.stage() == Stage::Closing {
                return;
            }
            changed.await;
        }
    }

    /// Whether connections wait for a response that is chosen to be their last.
    pub fn is_gradual(&self) -> bool {
        self.gradual.get().is_some()
    }

    /// When a connection that is idle since a moment ends, its listener draining: a request may have been on its way when
    /// the drain began, however long the connection had been idle by then; and one that was opened after that has its
    /// first still to send. `None` as long as it may stay.
    pub fn idle_end(&self, idle_since: Instant) -> Option<Instant> {
        self.immediate.get().map(|since| since.max(idle_since) + IDLE_GRACE)
    }

    /// Whether the response that now goes out is to be its connection's last. `random` is asked only when it matters.
    pub fn ends_connection(&self, random: impl FnOnce() -> u64) -> bool {
        match (self.stage.get(), self.gradual.get()) {
            _ if self.unhealthy.get() => true,
            (Stage::Serving, _) => false,
            (Stage::Closing, _) | (Stage::Draining, None) => true,
            (Stage::Draining, Some((began, time))) => {
                let (elapsed, whole) = (began.elapsed().as_millis(), time.as_millis());
                elapsed >= whole || elapsed > u128::from(random()) % whole
            }
        }
    }

    /// Ready at the next change of the stage after this is first polled or enabled.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_has_its_grace_from_the_moment_at_which_the_drain_becomes_immediate() {
        let drain = Drain::default();
        let opened = Instant::now();
        drain.begin(Pace::Gradual(TIME));
        assert_eq!(drain.idle_end(opened), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        let begun = Instant::now();
        drain.begin(Pace::Immediate);
        tokio::time::advance(Duration::from_millis(900)).await;
        drain.begin(Pace::Immediate);
        assert_eq!(drain.idle_end(opened), Some(begun + IDLE_GRACE));
        let later = begun + TIME;
        assert_eq!(drain.idle_end(later), Some(later + IDLE_GRACE), "it may have its first request to send");
    }

    #[test]
    fn connections_end_with_their_responses_while_the_program_is_unhealthy() {
        let drain = Drain::default();
        drain.heed(true);
        let (of_a_chain, opened) = (drain.like(), Instant::now());
        for drain in [&drain, &of_a_chain] {
            assert!(drain.ends_connection(|| 0));
            assert_eq!((drain.stage(), drain.idle_end(opened)), (Stage::Serving, None), "idle ones stay");
            drain.heed(false);
            assert!(!drain.ends_connection(|| 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gradual_drain_ends_the_more_connections_the_later_it_is() {
        let drain = Drain::default();
        let ended = |drain: &Drain| (0..10_000).filter(|random| drain.ends_connection(|| *random)).count();
        assert_eq!(ended(&drain), 0);
        drain.begin(Pace::Gradual(TIME));
        for (seconds, expected) in [(0, 0), (1, 1000), (4, 5000), (5, 10_000)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(ended(&drain), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_becomes_faster_but_not_slower() {
        let drain = Drain::default();
        drain.begin(Pace::Gradual(TIME));
        assert!(drain.is_gradual());
        drain.begin(Pace::Immediate);
        drain.begin(Pace::Gradual(TIME));
        assert!(drain.ends_connection(|| 9999));
        drain.close("the time is over");
        assert_eq!(drain.stage(), Stage::Closing);
    }
}
