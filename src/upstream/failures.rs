//! How often a host was found to have failed, and who hears of that at once.
//!
//! Connections that were made before serve no further request, whatever their kind. Those that carry bytes without
//! requests end at once where the cluster says so (`close_connections_on_host_health_failure`).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Ready once the host it belongs to has failed; it may be ready only then.
pub(super) type NextFailure = Pin<Box<OwnedNotified>>;

/// The failures of one host.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: AtomicU32,
    /// There where connections end with the host's health.
    told: Option<Arc<Notify>>,
}

impl Failures {
    /// None yet; whether anybody hears of them at once is for the cluster to say.
    pub(super) fn new(told: bool) -> Self {
        Failures { count: AtomicU32::new(0), told: told.then(Arc::default) }
    }

    /// How many there were.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Connections that are there serve no further request.
    pub(super) fn drain(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The host was found to have failed.
    pub(super) fn note(&self) {
        self.drain();
        if let Some(told) = &self.told {
            told.notify_waiters();
        }
    }

    /// What ends connections of the host at once, where anything does.
    pub(super) fn next(&self) -> Option<NextFailure> {
        self.told.as_ref().map(|told| Box::pin(Arc::clone(told).notified_owned()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn those_who_wait_hear_of_a_failure_and_not_of_a_drain() {
        let failures = Failures::new(true);
        let waiting = failures.next().expect("a future");
        failures.drain();
        assert!(waiting.now_or_never().is_none());
        let waiting = failures.next().expect("a future");
        failures.note();
        assert!(waiting.now_or_never().is_some());
        assert_eq!(failures.count(), 2);
    }

    #[test]
    fn nobody_waits_where_connections_outlive_the_health_of_their_host() {
        assert!(Failures::new(false).next().is_none());
    }
}
