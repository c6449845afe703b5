//! `envoy.config.cluster.v3.OutlierDetection` to [`OutlierDetection`].

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::google::protobuf::UInt32Value;

use crate::config::field::{Scope, open};

/// The longest that a host is ejected when nothing else is configured, unless `base_ejection_time` is longer.
const DEFAULT_MAX_EJECTION_TIME: Duration = Duration::from_secs(300);

/// When hosts are taken out for how they answer: `Cluster.outlier_detection`.
///
/// Each number is the default of a runtime key, `outlier_detection.` and the field's name, times in milliseconds with
/// `_ms` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Time between two looks at success rates, and at ejected hosts; 10 s by default.
    pub interval: Duration,
    /// How long a host is ejected, times how often it was of late; 30 s by default.
    pub base_ejection_time: Duration,
    /// The longest ejection, not less than `base_ejection_time`; the larger of that and 300 s by default.
    pub max_ejection_time: Duration,
    /// A random time up to this is added to each ejection; none by default.
    pub max_ejection_time_jitter: Duration,
    /// Percent of all hosts that may be ejected at once; 10 by default.
    pub max_ejection_percent: u32,
    /// Whether one host may be ejected whatever `max_ejection_percent` says.
    pub always_eject_one_host: bool,
    /// Whether failures to connect, resets and timeouts are counted apart from what hosts answer. Else they count as
    /// 503 and 504.
    pub split_external_local_origin_errors: bool,
    /// Answers of 5xx in a row.
    pub consecutive_5xx: Consecutive,
    /// Answers of 502, 503 or 504 in a row; not enforced by default.
    pub consecutive_gateway_failure: Consecutive,
    /// Failures to connect, resets and timeouts in a row, where they are counted apart.
    pub consecutive_local_origin_failure: Consecutive,
    /// Success rates far below those of the other hosts.
    pub success_rate: SuccessRate,
    /// Failure rates that are too high whatever those of other hosts are.
    pub failure_percentage: FailurePercentage,
    /// Whether an active health check that passes brings an ejected host back; true by default.
    pub successful_active_health_check_uneject_host: bool,
    /// Whether a host that answers with `x-envoy-degraded` is degraded for as long as it would be ejected.
    pub detect_degraded_hosts: bool,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consecutive {
    /// How many are too many; 5 by default, 0 never.
    pub count: u32,
    /// Percent of the hosts found that are ejected; 100 by default.
    pub enforcing: u32,
}

/// `success_rate_*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// Hosts with enough requests for rates to be compared; 5 by default.
    pub minimum_hosts: u32,
    /// Requests in an interval for the rate of a host to count; 100 by default.
    pub request_volume: u32,
    /// How many thousandths of a standard deviation a rate may be below the mean; 1,900 by default.
    pub stdev_factor: u32,
    /// Percent of the hosts found that are ejected; 100 by default.
    pub enforcing: u32,
    /// The same for failures to connect, resets and timeouts, where they are counted apart.
    pub enforcing_local_origin: u32,
}

/// `failure_percentage_*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// The percentage of failures from which on a host is found; 85 by default.
    pub threshold: u32,
    /// Hosts with enough requests for any to be found; 5 by default.
    pub minimum_hosts: u32,
    /// Requests in an interval for the rate of a host to count; 50 by default.
    pub request_volume: u32,
    /// Percent of the hosts found that are ejected; 0 by default.
    pub enforcing: u32,
    /// The same for failures to connect, resets and timeouts, where they are counted apart.
    pub enforcing_local_origin: u32,
}

impl OutlierDetection {
    /// From its proto.
    pub fn from_proto(message: v3::OutlierDetection, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::OutlierDetection = message;
            implemented {
                consecutive_5xx, interval, base_ejection_time, max_ejection_percent, enforcing_consecutive_5xx,
                enforcing_success_rate, success_rate_minimum_hosts, success_rate_request_volume,
                success_rate_stdev_factor, consecutive_gateway_failure, enforcing_consecutive_gateway_failure,
                split_external_local_origin_errors, consecutive_local_origin_failure,
                enforcing_consecutive_local_origin_failure, enforcing_local_origin_success_rate,
                failure_percentage_threshold, enforcing_failure_percentage,
                enforcing_failure_percentage_local_origin, failure_percentage_minimum_hosts,
                failure_percentage_request_volume, max_ejection_time, max_ejection_time_jitter,
                successful_active_health_check_uneject_host, always_eject_one_host, detect_degraded_hosts,
            }
            ignored { monitors: "Envoy does not read it either; no extension of outlier detection is built into it" }
        }
        let base = at.positive_duration("base_ejection_time", base_ejection_time);
        let base = base.unwrap_or(Duration::from_secs(30));
        let max = at.positive_duration("max_ejection_time", max_ejection_time);
        let max = max.unwrap_or(DEFAULT_MAX_EJECTION_TIME.max(base));
        if max < base {
            at.error("outlier detector's max_ejection_time cannot be smaller than base_ejection_time");
        }
        let number = |value: Option<UInt32Value>, default| value.map_or(default, |value| value.value);
        let mut percent = |name: &str, value, default| at.within(name, value, 0..=100).unwrap_or(default);
        let consecutive = |count, enforcing| Consecutive { count: number(count, 5), enforcing };
        Some(OutlierDetection {
            max_ejection_percent: percent("max_ejection_percent", max_ejection_percent, 10),
            consecutive_5xx: consecutive(
                consecutive_5xx,
                percent("enforcing_consecutive_5xx", enforcing_consecutive_5xx, 100),
            ),
            consecutive_gateway_failure: consecutive(
                consecutive_gateway_failure,
                percent("enforcing_consecutive_gateway_failure", enforcing_consecutive_gateway_failure, 0),
            ),
            consecutive_local_origin_failure: consecutive(
                consecutive_local_origin_failure,
                percent(
                    "enforcing_consecutive_local_origin_failure",
                    enforcing_consecutive_local_origin_failure,
                    100,
                ),
            ),
            success_rate: SuccessRate {
                minimum_hosts: number(success_rate_minimum_hosts, 5),
                request_volume: number(success_rate_request_volume, 100),
                stdev_factor: number(success_rate_stdev_factor, 1900),
                enforcing: percent("enforcing_success_rate", enforcing_success_rate, 100),
                enforcing_local_origin: percent(
                    "enforcing_local_origin_success_rate",
                    enforcing_local_origin_success_rate,
                    100,
                ),
            },
            failure_percentage: FailurePercentage {
                threshold: percent("failure_percentage_threshold", failure_percentage_threshold, 85),
                minimum_hosts: number(failure_percentage_minimum_hosts, 5),
                request_volume: number(failure_percentage_request_volume, 50),
                enforcing: percent("enforcing_failure_percentage", enforcing_failure_percentage, 0),
                enforcing_local_origin: percent(
                    "enforcing_failure_percentage_local_origin",
                    enforcing_failure_percentage_local_origin,
                    0,
                ),
            },
            interval: at.positive_duration("interval", interval).unwrap_or(Duration::from_secs(10)),
            base_ejection_time: base,
            max_ejection_time: max,
            max_ejection_time_jitter: at
                .duration("max_ejection_time_jitter", max_ejection_time_jitter)
                .unwrap_or_default(),
            always_eject_one_host: always_eject_one_host.is_some_and(|always| always.value),
            split_external_local_origin_errors,
            detect_degraded_hosts: detect_degraded_hosts.is_some_and(|detect| detect.value),
            successful_active_health_check_uneject_host: successful_active_health_check_uneject_host
                .is_none_or(|uneject| uneject.value),
        })
    }
}
