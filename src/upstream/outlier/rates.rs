//! Success rates of a cluster's hosts, and which of them stick out.

use super::monitor::Volume;

/// The success rate of one host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HostRate {
    /// The host's number.
    pub(super) host: u64,
    /// Percent.
    pub(super) rate: f64,
}

/// What the hosts of a cluster have in common, in percent; -1 where it was not found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The mean of the hosts' success rates.
    pub average: f64,
    /// The rate below which a host sticks out; may be negative.
    pub threshold: f64,
}

impl Rates {
    /// Nothing found out.
    pub const NONE: Rates = Rates { average: -1.0, threshold: -1.0 };

    /// Of these hosts, of which there is at least one.
    pub(super) fn of(hosts: &[HostRate], stdev_factor: f64) -> Self {
        let count = hosts.len() as f64;
        let average = hosts.iter().map(|host| host.rate).sum::<f64>() / count;
        let variance = hosts.iter().map(|host| (host.rate - average).powi(2)).sum::<f64>() / count;
        Rates { average, threshold: average - stdev_factor * variance.sqrt() }
    }
}

impl Volume {
    /// The share of successes in percent; `None` without a request.
    pub(super) fn success_rate(self) -> Option<f64> {
        (self.requests > 0).then(|| self.successes as f64 * 100.0 / self.requests as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_some_deviations_below_the_mean() {
        let rates = [50.0, 100.0, 100.0, 100.0, 100.0];
        let hosts: Vec<_> = rates.iter().map(|&rate| HostRate { host: 0, rate }).collect();
        assert_eq!(Rates::of(&hosts, 1.9), Rates { average: 90.0, threshold: 52.0 });
        assert_eq!(Rates::of(&hosts, 0.0).threshold, 90.0);
        assert_eq!(Rates::of(&hosts[1..], 1.9), Rates { average: 100.0, threshold: 100.0 });
    }

    #[test]
    fn a_host_without_requests_has_no_rate() {
        assert_eq!(Volume::default().success_rate(), None);
        assert_eq!(Volume { successes: 1, requests: 4 }.success_rate(), Some(25.0));
    }
}
