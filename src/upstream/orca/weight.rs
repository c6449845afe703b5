//! Weights of what hosts report. The rules and the moments are Envoy's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::report::Report;
use super::{milliseconds, utilization};
use crate::config::cluster::ClientSideWeights;

/// The weight that a report says; `None` where it says none.
pub(super) fn of(report: &Report, config: &ClientSideWeights) -> Option<u32> {
    let rate = report.rps_fractional;
    let utilization = utilization::of(report, &config.utilization_metrics)
        + config.error_utilization_penalty * report.eps / rate;
    let weight = rate / utilization;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    (rate > 0.0 && utilization > 0.0).then_some(weight as u32)
}

/// The weight of hosts that have reported none: the median of those that have, 1 without any.
pub(super) fn default(mut weights: Vec<u32>) -> u32 {
    if weights.is_empty() {
        return 1;
    }
    weights.sort_unstable();
    let middle = weights.len() / 2;
    match weights.len() % 2 {
        1 => weights[middle],
        // Of two numbers of 32 bits the middle is one too.
        _ => weights[middle - 1].midpoint(weights[middle]),
    }
}

/// The last weight that a host reported.
#[derive(Debug, Default)]
pub(super) struct Reported {
    weight: AtomicU32,
    /// Since when it has reported without a pause, in milliseconds of the cluster's life and one more; 0 for never.
    since: AtomicU64,
    /// When it did so last, in the same way.
    last: AtomicU64,
}

impl Reported {
    /// Notes what came so long into the cluster's life.
    pub(super) fn note(&self, weight: u32, now: Duration) {
        let now = milliseconds(now) + 1;
        self.weight.store(weight, Ordering::Relaxed);
        self.last.store(now, Ordering::Relaxed);
        // Whoever was first was so a moment ago at most: it makes no difference who it is.
        self.since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).unwrap_or_default();
    }

    /// The weight, where it has been reported for long enough, and not too long ago.
    pub(super) fn valid(&self, config: &ClientSideWeights, now: Duration) -> Option<u32> {
        let now = milliseconds(now) + 1;
        let since = self.since.load(Ordering::Relaxed);
        let age = |moment: u64| now.saturating_sub(moment);
        if since == 0 || age(since) < milliseconds(config.blackout_period) {
            return None;
        }
        if age(self.last.load(Ordering::Relaxed)) > milliseconds(config.weight_expiration_period) {
            // What comes now begins anew.
            self.since.store(0, Ordering::Relaxed);
            return None;
        }
        Some(self.weight.load(Ordering::Relaxed))
    }
}
