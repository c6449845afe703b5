//! Localities by the load that their hosts report:
//! `envoy.extensions.load_balancing_policies.load_aware_locality.v3.LoadAwareLocality`.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::LoadBalancingPolicy;
use envoy_types::pb::envoy::extensions::load_balancing_policies::load_aware_locality::v3;
use envoy_types::pb::google::protobuf as pb;

use super::OutOfBand;
use crate::config::field::{Scope, open};
use crate::config::newer::envoy::extensions::load_balancing_policies::load_aware_locality::v3 as newer;

/// Time between two moments at which reports become shares.
const DEFAULT_WEIGHT_UPDATE_PERIOD: Duration = Duration::from_secs(1);

/// The shortest such time.
const MIN_WEIGHT_UPDATE_PERIOD: Duration = Duration::from_millis(100);

/// How far the local locality may be above the others where nothing else is configured.
const DEFAULT_UTILIZATION_VARIANCE_THRESHOLD: f64 = 0.1;

/// Time in which an average follows what is reported.
const DEFAULT_SMOOTHING_TIME_CONSTANT: Duration = Duration::from_secs(5);

/// The share of requests that leave the local locality at least.
const DEFAULT_REMOTE_PROBE_FRACTION: f64 = 0.03;

/// How long the last report of a host counts.
const DEFAULT_WEIGHT_EXPIRATION_PERIOD: Duration = Duration::from_secs(180);

/// Localities take requests as their hosts have room, the one where the proxy runs first.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadAwareLocality {
    /// Time between two moments at which reports become shares; 100 ms or more, 1 s by default.
    pub weight_update_period: Duration,
    /// Metrics of reports of which the largest is the utilization, where it is above zero.
    pub utilization_metrics: Box<[String]>,
    /// How far the local locality may be above the others and still take all requests; 0 to 1, 0.1 by default.
    pub utilization_variance_threshold: f64,
    /// What the newest utilization of a locality counts in its average, of 1; from `smoothing_time_constant`, which is
    /// above zero, and 5 s by default.
    pub smoothing: f64,
    /// The share of requests that leave the local locality at least, of 1; 0.03 by default, and below 1.
    pub remote_probe_fraction: f64,
    /// Age at which a host's last report counts no more; 3 min by default. `None`, configured as 0, for never.
    pub weight_expiration_period: Option<Duration>,
}

/// What the policy says beside that.
pub(super) struct Within {
    /// How a host of a locality is picked.
    pub(super) endpoint_picking_policy: LoadBalancingPolicy,
    /// How hosts are asked for reports, where they are.
    pub(super) out_of_band: Option<Box<OutOfBand>>,
}

impl LoadAwareLocality {
    /// With what stands beside it.
    pub(super) fn from_proto(message: v3::LoadAwareLocality, at: &mut Scope<'_>) -> Option<(Self, Within)> {
        open! { at, v3::LoadAwareLocality = message;
            implemented {
                endpoint_picking_policy, weight_update_period, metric_names_for_computing_utilization,
                utilization_variance_threshold, smoothing_time_constant, remote_probe_fraction,
                weight_expiration_period, enable_oob_load_report, oob_reporting_period,
            }
        }
        let weight_update_period =
            at.duration("weight_update_period", weight_update_period).unwrap_or(DEFAULT_WEIGHT_UPDATE_PERIOD);
        if weight_update_period < MIN_WEIGHT_UPDATE_PERIOD {
            at.field("weight_update_period").error("weight_update_period must be at least 100ms");
        }
        let smoothing_time = at
            .duration("smoothing_time_constant", smoothing_time_constant)
            .unwrap_or(DEFAULT_SMOOTHING_TIME_CONSTANT);
        if smoothing_time.as_millis() == 0 {
            at.field("smoothing_time_constant").error("smoothing_time_constant must be positive");
        }
        let threshold = utilization_variance_threshold
            .map_or(DEFAULT_UTILIZATION_VARIANCE_THRESHOLD, |threshold| threshold.value);
        if !(0.0..=1.0).contains(&threshold) {
            at.field("utilization_variance_threshold")
                .error("utilization_variance_threshold must be in [0, 1]");
        }
        let probe = remote_probe_fraction.map_or(DEFAULT_REMOTE_PROBE_FRACTION, |fraction| fraction.value);
        if !(0.0..1.0).contains(&probe) {
            at.field("remote_probe_fraction").error("remote_probe_fraction must be in [0, 1)");
        }
        let config = LoadAwareLocality {
            weight_update_period,
            utilization_metrics: metric_names_for_computing_utilization.into(),
            utilization_variance_threshold: threshold,
            smoothing: smoothing(weight_update_period, smoothing_time),
            remote_probe_fraction: probe,
            weight_expiration_period: expiration(weight_expiration_period, at),
        };
        open! { at, newer::LoadAwareLocality = at.newer(); implemented { oob_reporting_config } }
        let out_of_band =
            OutOfBand::from_proto(enable_oob_load_report, oob_reporting_period, oob_reporting_config, at);
        let endpoint_picking_policy = at.required("endpoint_picking_policy", endpoint_picking_policy)?;
        Some((config, Within { endpoint_picking_policy, out_of_band }))
    }
}

/// What the newest counts, so that an average follows in the same time however often it is taken.
fn smoothing(period: Duration, time: Duration) -> f64 {
    1.0 - (-period.as_secs_f64() / time.as_secs_f64()).exp()
}

fn expiration(period: Option<pb::Duration>, at: &mut Scope<'_>) -> Option<Duration> {
    let period = at.duration("weight_expiration_period", period).unwrap_or(DEFAULT_WEIGHT_EXPIRATION_PERIOD);
    (period.as_millis() > 0).then_some(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_follows_in_the_same_time_however_often_it_is_taken() {
        let time = Duration::from_secs(5);
        let left = |period: Duration, times: i32| (1.0 - smoothing(period, time)).powi(times);
        let (seldom, often) = (left(Duration::from_secs(1), 10), left(Duration::from_millis(100), 100));
        assert!((seldom - often).abs() < 1e-9, "{seldom} and {often}");
        assert!((seldom - (-2.0_f64).exp()).abs() < 1e-9, "{seldom}");
    }
}
