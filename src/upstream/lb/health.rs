//! How healthy a priority is: its availability, and whether it panics.

use super::super::PriorityHosts;

/// Counts of the hosts of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthCounts {
    /// All hosts.
    pub all: usize,
    /// Healthy hosts.
    pub healthy: usize,
    /// Degraded hosts.
    pub degraded: usize,
}

impl HealthCounts {
    /// Counts the hosts of `priority`.
    pub fn of(priority: &PriorityHosts) -> Self {
        HealthCounts {
            all: priority.all.len(),
            healthy: priority.healthy.len(),
            degraded: priority.degraded.len(),
        }
    }

    /// Percent of the load that the healthy hosts may take, at most 100: their share times `overprovisioning`
    /// percent.
    pub fn healthy_percent(&self, overprovisioning: u32) -> u32 {
        self.percent(self.healthy, overprovisioning)
    }

    /// The same for the degraded hosts.
    pub fn degraded_percent(&self, overprovisioning: u32) -> u32 {
        self.percent(self.degraded, overprovisioning)
    }

    /// Whether so few hosts are healthy or degraded that health is better disregarded.
    pub fn in_panic(&self, threshold_percent: f64) -> bool {
        // Envoy reads the threshold as a whole number.
        let threshold = threshold_percent.clamp(0.0, 100.0).trunc();
        let usable = match self.all {
            0 => 0.0,
            all => 100.0 * (self.healthy + self.degraded) as f64 / all as f64,
        };
        usable < threshold
    }

    fn percent(&self, count: usize, overprovisioning: u32) -> u32 {
        match self.all {
            0 => 0,
            all => (u64::from(overprovisioning) * count as u64 / all as u64).min(100) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_capped_and_rounded_down() {
        let percent = |healthy, all| HealthCounts { all, healthy, degraded: 0 }.healthy_percent(140);
        assert_eq!([percent(10, 10), percent(72, 100), percent(71, 100), percent(0, 3)], [100, 100, 99, 0]);
        assert_eq!(percent(0, 0), 0);
        assert_eq!(HealthCounts { all: 4, healthy: 0, degraded: 1 }.degraded_percent(140), 35);
    }

    #[test]
    fn panic_begins_below_the_threshold() {
        let panics =
            |healthy, degraded, threshold| HealthCounts { all: 100, healthy, degraded }.in_panic(threshold);
        assert!(panics(49, 0, 50.0));
        assert!(!panics(50, 0, 50.0));
        assert!(!panics(49, 1, 50.0), "degraded hosts count as usable");
        assert!(!panics(0, 0, 0.0), "a threshold of zero disables panic");
        assert!(HealthCounts::default().in_panic(50.0));
    }
}
