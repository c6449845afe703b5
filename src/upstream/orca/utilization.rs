//! How busy a host is by what it reports. The rules are Envoy's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::report::Report;

/// The largest of these metrics, or else what the application says, or else the processor: what is above zero first.
pub(super) fn of(report: &Report, metrics: &[String]) -> f64 {
    let mut largest = 0.0_f64;
    report.each(metrics, |_, value| largest = largest.max(value));
    let others = [largest, report.application_utilization];
    others.into_iter().find(|utilization| *utilization > 0.0).unwrap_or(report.cpu_utilization)
}

/// What a host reported last, of 1.
#[derive(Debug, Default)]
pub(super) struct Utilization {
    /// The bits of the number.
    reported: AtomicU64,
    /// When that was, in milliseconds of the cluster's life and one more; 0 for never.
    last: AtomicU64,
}

impl Utilization {
    /// Notes what came so long into the cluster's life. What says nothing keeps nothing alive.
    pub(super) fn note(&self, utilization: f64, now: Duration) {
        if utilization > 0.0 && utilization.is_finite() {
            self.reported.store(utilization.min(1.0).to_bits(), Ordering::Relaxed);
            self.last.store(super::milliseconds(now).saturating_add(1), Ordering::Release);
        }
    }

    /// The utilization, where it was reported, and not too long ago.
    pub(super) fn valid(&self, expiration: Option<Duration>, now: Duration) -> Option<f64> {
        let last = self.last.load(Ordering::Acquire).checked_sub(1)?;
        let age = super::milliseconds(now).saturating_sub(last);
        let counts = expiration.is_none_or(|expiration| age <= super::milliseconds(expiration));
        counts.then(|| f64::from_bits(self.reported.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_utilization_is_a_share_and_counts_until_it_expires() {
        let utilization = Utilization::default();
        let [start, second] = [0, 1].map(Duration::from_secs);
        assert_eq!(utilization.valid(None, start), None);
        for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            utilization.note(nothing, start);
        }
        assert_eq!(utilization.valid(None, start), None);
        utilization.note(7.5, second);
        assert_eq!(utilization.valid(Some(second), 2 * second), Some(1.0));
        assert_eq!(utilization.valid(Some(second), 2 * second + Duration::from_millis(1)), None);
        assert_eq!(utilization.valid(None, 1_000 * second), Some(1.0));
        utilization.note(0.25, 3 * second);
        assert_eq!(utilization.valid(Some(second), 3 * second), Some(0.25));
    }
}
