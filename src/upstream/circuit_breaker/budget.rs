//! Budgets of retries: a share of the requests of the moment, or of those of the last while.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::cluster::RetryBudget;
use crate::config::runtime::Values;

/// Parts of an interval that are forgotten at once, as many as Envoy has.
const SLOTS: u32 = 10;

/// A budget of retries as it is in force: that of the configuration, or what the runtime says in its place.
#[derive(Debug)]
pub(super) struct Budget {
    configured: Option<RetryBudget>,
    is_there: AtomicBool,
    /// The bits of a number.
    percent: AtomicU64,
    least: AtomicU32,
    /// Where requests count for longer than they last.
    window: Option<Box<Window>>,
}

impl Budget {
    pub(super) fn new(configured: Option<RetryBudget>) -> Self {
        let budget = configured.unwrap_or_default();
        Budget {
            configured,
            is_there: AtomicBool::new(configured.is_some()),
            percent: AtomicU64::new(budget.budget_percent.to_bits()),
            least: AtomicU32::new(budget.min_retry_concurrency),
            window: budget.budget_interval.map(|interval| Box::new(Window::new(interval))),
        }
    }

    #[inline]
    pub(super) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// A request begins, or another attempt of one.
    #[inline]
    pub(super) fn count_request(&self) {
        if let Some(window) = &self.window {
            window.count(window.origin.elapsed());
        }
    }

    /// The retries that may be in flight where so many requests wait for a connection or are.
    pub(super) fn retries(&self, active: u32) -> u32 {
        let counted = self.window.as_ref().map_or(0, |window| window.sum(window.origin.elapsed()));
        let percent = f64::from_bits(self.percent.load(Ordering::Relaxed));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast that saturates")]
        let share = (percent / 100.0 * f64::from(active.max(counted))) as u32;
        share.max(self.least.load(Ordering::Relaxed))
    }

    /// Takes over what the runtime says, which may also make a budget where none is configured.
    pub(super) fn follow(&self, prefix: &str, runtime: &Values) {
        let configured = self.configured.unwrap_or_default();
        let (percent, least) = (format!("{prefix}budget_percent"), format!("{prefix}min_retry_concurrency"));
        let is_there = self.configured.is_some() || runtime.has(&percent) || runtime.has(&least);
        let percent = runtime.double(&percent, configured.budget_percent);
        let least = runtime.integer(&least, configured.min_retry_concurrency.into());
        self.percent.store(percent.to_bits(), Ordering::Relaxed);
        self.least.store(u32::try_from(least).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.is_there.store(is_there, Ordering::Relaxed);
    }
}

/// How many requests began in the last while. Time is handed in, as what has gone by since `origin`.
///
/// A slot holds the number of its part of time in its upper half and a count in its lower one: who comes first in a part
/// of time takes the slot of one that is forgotten, and nobody locks or cleans up.
#[derive(Debug)]
struct Window {
    origin: Instant,
    /// How long a part of time lasts; not zero.
    part: Duration,
    /// One more than parts, so that a request counts for the whole interval at least.
    slots: [AtomicU64; SLOTS as usize + 1],
}

impl Window {
    fn new(interval: Duration) -> Self {
        let part = (interval / SLOTS).max(Duration::from_nanos(1));
        Window { origin: Instant::now(), part, slots: Default::default() }
    }

    /// The number of the part of time at this moment.
    fn part_at(&self, elapsed: Duration) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "parts of time are told apart by their lower bits"
        )]
        let number = (elapsed.as_nanos() / self.part.as_nanos()) as u32;
        number
    }

    fn count(&self, elapsed: Duration) {
        let part = self.part_at(elapsed);
        let slot = &self.slots[part as usize % self.slots.len()];
        let counted = |held: u64| {
            let (of, count) = split(held);
            join(part, if of == part { count.saturating_add(1) } else { 1 })
        };
        let mut held = slot.load(Ordering::Relaxed);
        while let Err(other) =
            slot.compare_exchange_weak(held, counted(held), Ordering::Relaxed, Ordering::Relaxed)
        {
            held = other;
        }
    }

    fn sum(&self, elapsed: Duration) -> u32 {
        let now = self.part_at(elapsed);
        let counts = self.slots.iter().map(|slot| split(slot.load(Ordering::Relaxed)));
        let recent = counts.filter(|(part, _)| now.wrapping_sub(*part) <= SLOTS);
        recent.map(|(_, count)| count).fold(0, u32::saturating_add)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
fn split(held: u64) -> (u32, u32) {
    ((held >> 32) as u32, held as u32)
}

fn join(part: u32, count: u32) -> u64 {
    u64::from(part) << 32 | u64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn requests_count_for_the_interval_and_a_tenth_of_it_at_most() {
        let window = Window::new(ms(1000));
        for at in [0, 50, 950] {
            window.count(ms(at));
        }
        assert_eq!(window.sum(ms(950)), 3);
        assert_eq!(window.sum(ms(1050)), 3);
        assert_eq!(window.sum(ms(1100)), 1);
        assert_eq!(window.sum(ms(1950)), 1);
        assert_eq!(window.sum(ms(2100)), 0);
        window.count(ms(2100));
        assert_eq!(window.sum(ms(2100)), 1);
    }

    #[test]
    fn a_budget_is_a_share_of_what_was_in_the_interval_or_is_now() {
        let budget = Budget::new(Some(RetryBudget {
            budget_percent: 20.0,
            min_retry_concurrency: 0,
            budget_interval: Some(Duration::from_secs(3600)),
        }));
        for _ in 0..4 {
            budget.count_request();
        }
        assert_eq!(budget.retries(1), 0);
        assert_eq!(budget.retries(10), 2);
        budget.count_request();
        assert_eq!(budget.retries(1), 1);
    }

    #[test]
    fn the_shortest_interval_is_no_fault() {
        let window = Window::new(Duration::from_nanos(1));
        window.count(Duration::ZERO);
        assert_eq!(window.sum(ms(1)), 0);
    }
}
