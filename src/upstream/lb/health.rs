//! How healthy a priority is: its availability, and whether it panics.

use crate::upstream::PriorityHosts;
use crate::upstream::host_set::Hosts;

/// Counts of the hosts of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthCounts {
    /// All hosts but those that are left out.
    pub all: usize,
    /// Healthy hosts.
    pub healthy: usize,
    /// Degraded hosts.
    pub degraded: usize,
    /// The weights of all, of the healthy and of the degraded ones, where those say how healthy a priority is.
    pub weights: Option<[u64; 3]>,
}

impl HealthCounts {
    /// Counts the hosts of `priority`.
    pub fn of(priority: &PriorityHosts, weighted: bool) -> Self {
        let weight = |hosts: &Hosts| hosts.iter().map(|host| u64::from(host.weight())).sum();
        HealthCounts {
            all: priority.all.len() - priority.excluded,
            healthy: priority.healthy.len(),
            degraded: priority.degraded.len(),
            weights: weighted.then(|| [&priority.all, &priority.healthy, &priority.degraded].map(weight)),
        }
    }

    /// Percent of the load that the healthy hosts may take, at most 100: their share times `overprovisioning`
    /// percent.
    pub fn healthy_percent(&self, overprovisioning: u32) -> u32 {
        match self.weights {
            Some([all, healthy, _]) => percent(healthy, all, overprovisioning),
            None => percent(self.healthy as u64, self.all as u64, overprovisioning),
        }
    }

    /// The same for the degraded hosts.
    pub fn degraded_percent(&self, overprovisioning: u32) -> u32 {
        match self.weights {
            Some([all, _, degraded]) => percent(degraded, all, overprovisioning),
            None => percent(self.degraded as u64, self.all as u64, overprovisioning),
        }
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
}

fn percent(count: u64, all: u64, overprovisioning: u32) -> u32 {
    u64::from(overprovisioning).saturating_mul(count).checked_div(all).unwrap_or(0).min(100) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_capped_and_rounded_down() {
        let percent =
            |healthy, all| HealthCounts { all, healthy, degraded: 0, weights: None }.healthy_percent(140);
        assert_eq!([percent(10, 10), percent(72, 100), percent(71, 100), percent(0, 3)], [100, 100, 99, 0]);
        assert_eq!(percent(0, 0), 0);
        assert_eq!(HealthCounts { all: 4, healthy: 0, degraded: 1, weights: None }.degraded_percent(140), 35);
    }

    #[test]
    fn weights_count_for_health_where_that_is_wanted_but_never_for_panic() {
        let counts = HealthCounts { all: 2, healthy: 1, degraded: 0, weights: Some([1000, 10, 0]) };
        assert_eq!((counts.healthy_percent(140), counts.in_panic(50.0)), (1, false));
    }

    #[test]
    fn panic_begins_below_the_threshold() {
        let panics = |healthy, degraded, threshold| {
            HealthCounts { all: 100, healthy, degraded, weights: None }.in_panic(threshold)
        };
        assert!(panics(49, 0, 50.0));
        assert!(!panics(50, 0, 50.0));
        assert!(!panics(49, 1, 50.0), "degraded hosts count as usable");
        assert!(!panics(0, 0, 0.0), "a threshold of zero disables panic");
        assert!(HealthCounts::default().in_panic(50.0));
    }
}
