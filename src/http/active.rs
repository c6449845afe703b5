//! Gauges that are given back however their owner ends: served, dropped, or unwound by a panic.

use crate::observability::stats::{Gauge, HttpStats};

/// Counts one more in a gauge until it is dropped.
#[derive(Debug)]
pub(super) struct Active<'s> {
    stats: &'s HttpStats,
    gauge: fn(&HttpStats) -> Gauge<'_>,
}

impl<'s> Active<'s> {
    pub(super) fn new(stats: &'s HttpStats, gauge: fn(&HttpStats) -> Gauge<'_>) -> Self {
        gauge(stats).inc();
        Active { stats, gauge }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        (self.gauge)(self.stats).dec();
    }
}
