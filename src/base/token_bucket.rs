//! A token bucket that many threads take from without a lock.
//!
//! Its whole state is one number: the moment at which it would have been empty, had nothing been taken since. What it
//! holds at any other moment follows from that, so taking is one compare and exchange, and filling needs no timer. As
//! in Envoy it fills steadily, and not by so many tokens at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The slowest a bucket fills, in tokens a second: one a year.
const SLOWEST: f64 = 1.0 / (365.0 * 24.0 * 60.0 * 60.0);

/// The bucket. Time is handed in, as what has gone by since a moment that all callers agree on.
#[derive(Debug)]
pub struct TokenBucket {
    max_tokens: f64,
    /// Tokens a second.
    rate: f64,
    /// The bits of the moment at which it was empty, in seconds.
    empty_at: AtomicU64,
}

impl TokenBucket {
    /// A full bucket that holds `max_tokens`, of which `tokens_per_fill` come back in each `fill_interval`.
    pub fn new(max_tokens: u32, tokens_per_fill: u32, fill_interval: Duration) -> Self {
        let rate = f64::from(tokens_per_fill) / fill_interval.as_secs_f64();
        TokenBucket {
            max_tokens: f64::from(max_tokens),
            // A number in any case, also where the interval is none.
            rate: if rate.is_finite() { rate.max(SLOWEST) } else { f64::MAX },
            empty_at: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
        }
    }

    /// Takes so many tokens, or none where there are fewer. None at all cannot be taken.
    pub fn take(&self, tokens: f64, now: Duration) -> bool {
        self.change(now, |held| (tokens > 0.0 && held >= tokens).then_some(held - tokens))
    }

    /// Puts tokens back, as many as there is room for.
    pub fn give_back(&self, tokens: f64, now: Duration) {
        self.change(now, |held| (held < self.max_tokens).then_some((held + tokens).min(self.max_tokens)));
    }

    /// Has it hold what is left of what it holds; false where that is nothing it can hold.
    fn change(&self, now: Duration, left: impl Fn(f64) -> Option<f64>) -> bool {
        let now = now.as_secs_f64();
        let mut before = self.empty_at.load(Ordering::Relaxed);
        loop {
            let Some(left) = left(self.held(before, now)) else { return false };
            let after = now - left / self.rate;
            let swapped = self.empty_at.compare_exchange_weak(
                before,
                after.to_bits(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return true,
                Err(other) => before = other,
            }
        }
    }

    /// What it holds at most.
    pub fn max_tokens(&self) -> f64 {
        self.max_tokens
    }

    /// How fast it fills, in tokens a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// What it holds.
    pub fn tokens(&self, now: Duration) -> f64 {
        self.held(self.empty_at.load(Ordering::Relaxed), now.as_secs_f64())
    }

    /// How long to come back later where it holds no whole token: what one takes to fill, as Envoy tells it. Whole
    /// milliseconds.
    pub fn next_token(&self, now: Duration) -> Duration {
        if self.tokens(now) >= 1.0 {
            return Duration::ZERO;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the slowest rate makes it a year"
        )]
        let millis = (1000.0 / self.rate).ceil() as u64;
        Duration::from_millis(millis)
    }

    fn held(&self, empty_at: u64, now: f64) -> f64 {
        ((now - f64::from_bits(empty_at)) * self.rate).min(self.max_tokens)
    }
}

/// A bucket with a clock: that of the process.
#[derive(Debug)]
pub struct Started {
    tokens: TokenBucket,
    /// The moment that times are counted from: that of its first use.
    origin: OnceLock<Instant>,
}

impl Started {
    /// Over a bucket that nothing was taken from.
    pub fn new(tokens: TokenBucket) -> Self {
        Started { tokens, origin: OnceLock::new() }
    }

    /// Takes a token; false where there is none.
    pub fn take(&self) -> bool {
        let now = tokio::time::Instant::now().into_std();
        self.tokens.take(1.0, now.saturating_duration_since(*self.origin.get_or_init(|| now)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Rng;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_is_full_at_first_and_fills_steadily() {
        let bucket = TokenBucket::new(2, 1, 10 * SECOND);
        assert!(bucket.take(2.0, SECOND));
        assert!(!bucket.take(1.0, SECOND));
        assert_eq!(bucket.next_token(SECOND), 10 * SECOND);
        assert!(!bucket.take(1.0, 10 * SECOND));
        assert!(bucket.take(1.0, 12 * SECOND));
        assert_eq!(bucket.tokens(1000 * SECOND), 2.0);
        assert_eq!(bucket.next_token(1000 * SECOND), Duration::ZERO);
    }

    #[test]
    fn what_is_given_back_fills_no_more_than_there_is_room_for() {
        let bucket = TokenBucket::new(3, 1, 1000 * SECOND);
        bucket.give_back(1.0, SECOND);
        assert!(bucket.take(3.0, SECOND));
        bucket.give_back(2.0, SECOND);
        assert!(bucket.take(2.0, SECOND) && !bucket.take(1.0, SECOND));
        bucket.give_back(5.0, SECOND);
        assert_eq!(bucket.tokens(SECOND), 3.0);
    }

    #[test]
    fn more_than_it_holds_is_never_had_and_neither_is_nothing() {
        let bucket = TokenBucket::new(2, 1, SECOND);
        assert!(!bucket.take(3.0, 100 * SECOND));
        assert!(!bucket.take(0.0, 100 * SECOND));
        assert!(bucket.take(2.0, 100 * SECOND));
    }

    #[test]
    fn an_interval_of_nothing_is_no_limit_but_the_size() {
        let bucket = TokenBucket::new(1, 1, Duration::ZERO);
        assert!(bucket.take(1.0, SECOND));
        assert!(!bucket.take(2.0, 2 * SECOND));
    }

    /// Whatever is asked and whenever: never more than it held and what came since, and what is refused was not there.
    #[test]
    fn what_is_taken_is_what_came() {
        for seed in 0..200 {
            let mut rng = Rng::seeded(seed);
            let (max, per_fill) = (1 + rng.below(20) as u32, 1 + rng.below(10) as u32);
            let interval = Duration::from_millis(50 + rng.below(5000));
            let bucket = TokenBucket::new(max, per_fill, interval);
            let rate = f64::from(per_fill) / interval.as_secs_f64();
            let (mut now, mut model) = (SECOND, f64::from(max));
            for _ in 0..500 {
                let passed = Duration::from_micros(rng.below(2_000_000));
                now += passed;
                model = (model + passed.as_secs_f64() * rate).min(f64::from(max));
                let wanted = 1.0 + rng.below(5) as f64;
                // Where it is a close thing either answer is right.
                if (model - wanted).abs() < 1e-6 {
                    continue;
                }
                assert_eq!(bucket.take(wanted, now), model >= wanted, "seed {seed}: {model} of {wanted}");
                if model >= wanted {
                    model -= wanted;
                }
                assert!((bucket.tokens(now) - model).abs() < 1e-6, "seed {seed}");
            }
        }
    }

    #[test]
    fn threads_share_what_there_is() {
        let bucket = TokenBucket::new(1000, 1, 3600 * SECOND);
        let taken: u32 = std::thread::scope(|scope| {
            let take = || (0..1000).map(|_| u32::from(bucket.take(1.0, SECOND))).sum::<u32>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }
}
