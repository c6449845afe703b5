//! Back-off: growing, jittered pauses between attempts that fail, as Envoy's
//! `JitteredExponentialBackOffStrategy`.

use std::time::Duration;

use super::random::Rng;

/// Pauses from zero up to a limit that doubles from `base` to `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackOff {
    base: Duration,
    max: Duration,
    limit: Duration,
}

impl BackOff {
    /// The first pause is below `base`, none is above `max`.
    pub fn new(base: Duration, max: Duration) -> Self {
        BackOff { base, max: max.max(base), limit: base }
    }

    /// The next pause: random, so that proxies that lost the same peer do not come back all at once.
    pub fn next_pause(&mut self, rng: &mut Rng) -> Duration {
        let pause = rng.duration_below(self.limit);
        self.limit = self.limit.saturating_mul(2).min(self.max);
        pause
    }

    /// An attempt succeeded: begin again with `base`.
    pub fn reset(&mut self) {
        self.limit = self.base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_double_up_to_the_maximum_and_begin_again_after_a_reset() {
        let second = Duration::from_secs(1);
        let mut back_off = BackOff::new(second, 5 * second);
        let mut rng = Rng::seeded(1);
        for limit in [1, 2, 4, 5, 5] {
            assert_eq!(back_off.limit, limit * second);
            assert!(back_off.next_pause(&mut rng) < limit * second);
        }
        back_off.reset();
        assert_eq!(back_off.limit, second);
    }
}
