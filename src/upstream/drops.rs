//! Requests to a cluster that went to no host, for load reports.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many there were.
#[derive(Debug, Default)]
pub struct Drops {
    all: AtomicU64,
    by_policy: AtomicU64,
}

impl Drops {
    /// All of them: those that a circuit breaker, maintenance or the management server's policy kept back.
    pub fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Those that the management server wanted dropped.
    pub fn by_policy(&self) -> u64 {
        self.by_policy.load(Ordering::Relaxed)
    }

    /// Counts a request that was kept back, for whatever reason.
    pub fn drop_one(&self) {
        self.all.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that the policy drops, which is counted among all at its end.
    pub fn drop_by_policy(&self) {
        self.by_policy.fetch_add(1, Ordering::Relaxed);
    }
}
