//! What outlier detection goes by: the cluster's configuration, with what the runtime puts in its place.

use std::time::Duration;

use super::Kind;
use crate::base::random::Rng;
use crate::config::cluster::OutlierDetection;
use crate::config::runtime::Values;

/// The settings in force at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    config: &'a OutlierDetection,
    runtime: &'a Values,
}

/// The least time between two sweeps: a runtime that says 0 must not keep the control thread busy.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

impl<'a> Settings<'a> {
    /// Those of a cluster.
    pub fn new(config: &'a OutlierDetection, runtime: &'a Values) -> Self {
        Settings { config, runtime }
    }

    /// How many failures in a row are too many; 0 for never.
    pub fn consecutive(&self, kind: Kind) -> u64 {
        let config = self.config;
        match kind {
            Kind::ConsecutiveGatewayFailure => self.number(
                "outlier_detection.consecutive_gateway_failure",
                config.consecutive_gateway_failure.count,
            ),
            Kind::ConsecutiveLocalOriginFailure => self.number(
                "outlier_detection.consecutive_local_origin_failure",
                config.consecutive_local_origin_failure.count,
            ),
            _ => self.number("outlier_detection.consecutive_5xx", config.consecutive_5xx.count),
        }
    }

    /// Whether a host that was found is ejected, this time.
    pub(super) fn enforces(&self, kind: Kind, rng: &mut Rng) -> bool {
        let config = self.config;
        let (key, default) = match kind {
            Kind::Consecutive5xx => ("enforcing_consecutive_5xx", config.consecutive_5xx.enforcing),
            Kind::ConsecutiveGatewayFailure => {
                ("enforcing_consecutive_gateway_failure", config.consecutive_gateway_failure.enforcing)
            }
            Kind::ConsecutiveLocalOriginFailure => (
                "enforcing_consecutive_local_origin_failure",
                config.consecutive_local_origin_failure.enforcing,
            ),
            Kind::SuccessRate => ("enforcing_success_rate", config.success_rate.enforcing),
            Kind::SuccessRateLocalOrigin => {
                ("enforcing_local_origin_success_rate", config.success_rate.enforcing_local_origin)
            }
            Kind::FailurePercentage => ("enforcing_failure_percentage", config.failure_percentage.enforcing),
            Kind::FailurePercentageLocalOrigin => (
                "enforcing_failure_percentage_local_origin",
                config.failure_percentage.enforcing_local_origin,
            ),
        };
        let percent = self.number(&format!("outlier_detection.{key}"), default);
        percent >= 100 || rng.below(100) < percent
    }

    /// Time between two sweeps.
    pub fn interval(&self) -> Duration {
        self.time("outlier_detection.interval_ms", self.config.interval).max(MIN_INTERVAL)
    }

    /// How long a host is ejected that was so `times` times of late.
    pub(super) fn ejection_time(&self, times: u32) -> Duration {
        self.base_ejection_time().saturating_mul(times).min(self.max_ejection_time())
    }

    /// Whether the next ejection of a host may be longer than the last one, which was the product of this number.
    pub(super) fn grows(&self, times: u32) -> bool {
        let base = self.base_ejection_time();
        base.saturating_mul(times) < self.max_ejection_time().saturating_add(base)
    }

    fn base_ejection_time(&self) -> Duration {
        self.time("outlier_detection.base_ejection_time_ms", self.config.base_ejection_time)
    }

    fn max_ejection_time(&self) -> Duration {
        self.time("outlier_detection.max_ejection_time_ms", self.config.max_ejection_time)
    }

    /// What is added to an ejection.
    pub(super) fn jitter(&self, rng: &mut Rng) -> Duration {
        let most = self.config.max_ejection_time_jitter;
        let most = self.time("outlier_detection.max_ejection_time_jitter_ms", most).as_millis() as u64;
        Duration::from_millis(rng.below(most.saturating_add(1)))
    }

    /// Whether one host more may be ejected, of which so many are.
    pub(super) fn may_eject(&self, ejected: usize, hosts: usize) -> bool {
        let key = "outlier_detection.max_ejection_percent";
        let most = self.number(key, self.config.max_ejection_percent).min(100) as f64;
        let percent = 100.0 * (ejected + 1) as f64 / hosts as f64;
        percent <= most || (self.config.always_eject_one_host && ejected == 0)
    }

    /// Hosts with enough requests for their success rates to be compared.
    pub(super) fn success_rate_hosts(&self) -> u64 {
        let default = self.config.success_rate.minimum_hosts;
        self.number("outlier_detection.success_rate_minimum_hosts", default)
    }

    /// Requests for a host's success rate to be compared.
    pub(super) fn success_rate_volume(&self) -> u64 {
        let default = self.config.success_rate.request_volume;
        self.number("outlier_detection.success_rate_request_volume", default)
    }

    /// How many standard deviations a success rate may be below the mean.
    pub(super) fn stdev_factor(&self) -> f64 {
        let default = self.config.success_rate.stdev_factor;
        self.number("outlier_detection.success_rate_stdev_factor", default) as f64 / 1000.0
    }

    /// Hosts with enough requests for their failures to count.
    pub(super) fn failure_percentage_hosts(&self) -> u64 {
        let default = self.config.failure_percentage.minimum_hosts;
        self.number("outlier_detection.failure_percentage_minimum_hosts", default)
    }

    /// Requests for a host's failures to count.
    pub(super) fn failure_percentage_volume(&self) -> u64 {
        let default = self.config.failure_percentage.request_volume;
        self.number("outlier_detection.failure_percentage_request_volume", default)
    }

    /// The percentage of failures from which on a host is found.
    pub(super) fn failure_percentage_threshold(&self) -> f64 {
        let default = self.config.failure_percentage.threshold;
        self.number("outlier_detection.failure_percentage_threshold", default) as f64
    }

    fn number(&self, key: &str, default: u32) -> u64 {
        self.runtime.integer(key, default.into())
    }

    /// A time in whole milliseconds, as Envoy counts it.
    fn time(&self, key: &str, default: Duration) -> Duration {
        Duration::from_millis(self.runtime.integer(key, default.as_millis() as u64))
    }
}
