//! A histogram as readers see it: up to the last flush.

use super::totals::Totals;

/// What was recorded up to the last flush, and between the last two.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    /// Everything up to the last flush.
    pub cumulative: Totals,
    /// What came in the last interval.
    pub interval: Totals,
}

impl Latch {
    /// Ends an interval: `now` is everything recorded up to now.
    pub(in crate::observability::stats) fn advance(&mut self, now: Totals) {
        self.interval = now.since(&self.cumulative);
        self.cumulative = now;
    }

    /// Whether anything was recorded before the last flush.
    pub fn used(&self) -> bool {
        !self.cumulative.bins().is_empty()
    }
}
