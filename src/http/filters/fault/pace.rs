//! How a response is slowed down: a token bucket that is filled twenty times a second, as Envoy's `StreamRateLimiter`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Slices of a second.
const SLICES: u32 = 20;
/// How long a slice is.
const SLICE: Duration = Duration::from_millis(1000 / SLICES as u64);

/// The bytes that may go out.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes for each slice, at least 1.
    bytes: usize,
    /// Slices that have not been used: one at the beginning, those of a second at the most.
    unused: u32,
    /// When the last of them began; `None` before there was anything to send.
    began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// So many KiB a second.
    pub(super) fn new(kbps: u64) -> Self {
        let bytes = usize::try_from(kbps.saturating_mul(1024) / u64::from(SLICES)).unwrap_or(usize::MAX);
        Pace { bytes: bytes.max(1), unused: 1, began: None, timer: None }
    }

    /// Takes as many of the bytes that are wanted as may go out now, and waits until one may.
    pub(super) fn poll_take(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            let taken = self.take(wanted, Instant::now());
            if taken > 0 || wanted == 0 {
                return Poll::Ready(taken);
            }
            let next = self.began.unwrap_or_else(Instant::now) + SLICE;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next)));
            timer.as_mut().reset(next);
            ready!(timer.as_mut().poll(cx));
        }
    }

    fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_nanos() / SLICE.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > 0 {
            self.unused = self.unused.saturating_add(passed).min(SLICES);
            self.began = Some(began + SLICE.saturating_mul(passed));
        }
        let needed = u32::try_from(wanted.div_ceil(self.bytes)).unwrap_or(u32::MAX);
        let slices = needed.min(self.unused);
        self.unused -= slices;
        wanted.min(self.bytes.saturating_mul(slices as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slice_of_a_second_lets_its_share_out() {
        let now = Instant::now();
        let mut pace = Pace::new(1);
        assert_eq!(pace.take(1000, now), 51, "one slice at the beginning");
        assert_eq!(pace.take(1000, now), 0);
        assert_eq!(pace.take(1000, now + SLICE), 51);
        assert_eq!(pace.take(1000, now + SLICE * 3), 102);
        assert_eq!(pace.take(10, now + SLICE * 4), 10, "what is left of a slice is lost");
        assert_eq!(pace.take(2000, now + SLICE * 100), 20 * 51, "no more than that of a second is saved");
    }
}
