//! Requests to a cluster that went to no host: which the policy of its endpoints drops, and how many there were, for
//! load reports.

use std::ops::DerefMut;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::random::Rng;

/// What the share of dropped requests is counted of.
pub const MILLION: u32 = 1_000_000;

/// Whether a request is among the so many of a million that are dropped. Asks for chance only where there is a share.
pub fn hits<R: DerefMut<Target = Rng>>(share: u32, rng: impl FnOnce() -> R) -> bool {
    share > 0 && rng().below(MILLION.into()) < share.into()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_requests_are_dropped_as_the_policy_says() {
        const REQUESTS: u32 = 200_000;
        for share in [0, 1, 1_000, 250_000, 500_000, 999_000, MILLION] {
            for seed in 0..5 {
                let rng = &mut Rng::seeded(seed);
                let dropped = (0..REQUESTS).filter(|_| hits(share, || &mut *rng)).count() as f64;
                let chance = f64::from(share) / f64::from(MILLION);
                let expected = chance * f64::from(REQUESTS);
                // Five times the standard deviation of so many draws, and one for shares that hardly happen.
                let bound = 5.0 * (expected * (1.0 - chance)).sqrt() + f64::from(u8::from(share == 1));
                assert!((dropped - expected).abs() <= bound, "{share}: {dropped}, not {expected}");
            }
        }
    }
}
