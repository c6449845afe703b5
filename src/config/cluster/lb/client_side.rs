//! Weights of hosts by the load that they report:
//! `envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin`, alone or
//! within `wrr_locality.v3.WrrLocality`.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::load_balancing_policies::client_side_weighted_round_robin::v3;

use super::{OutOfBand, SlowStart};
use crate::config::field::{Scope, open};

/// How long a host reports before its reports count.
const DEFAULT_BLACKOUT_PERIOD: Duration = Duration::from_secs(10);

/// How long the last report of a host counts.
const DEFAULT_WEIGHT_EXPIRATION_PERIOD: Duration = Duration::from_secs(180);

/// Time between two moments at which reports become weights.
const DEFAULT_WEIGHT_UPDATE_PERIOD: Duration = Duration::from_secs(1);

/// What shorter times between them are taken for.
const MIN_WEIGHT_UPDATE_PERIOD: Duration = Duration::from_millis(100);

/// Hosts take turns by weights that come of what they report of themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSideWeights {
    /// For how long a host has to report before its reports count; 10 s by default.
    pub blackout_period: Duration,
    /// Age at which a host's last report counts no more; 3 min by default.
    pub weight_expiration_period: Duration,
    /// Time between two moments at which reports become weights; 100 ms or more, 1 s by default.
    pub weight_update_period: Duration,
    /// What a rate of errors of 1 adds to the utilization; as in Envoy 0 where it is not configured.
    pub error_utilization_penalty: f64,
    /// Metrics of reports of which the largest is the utilization, where it is above zero.
    pub utilization_metrics: Box<[String]>,
}

impl ClientSideWeights {
    /// With the slow start that stands beside it, and how hosts are asked for reports.
    pub(super) fn from_proto(
        message: v3::ClientSideWeightedRoundRobin,
        at: &mut Scope<'_>,
    ) -> (Self, Option<SlowStart>, Option<Box<OutOfBand>>) {
        use v3::ClientSideWeightedRoundRobin;
        open! { at, ClientSideWeightedRoundRobin = message;
            implemented {
                blackout_period, weight_expiration_period, weight_update_period, error_utilization_penalty,
                metric_names_for_computing_utilization, slow_start_config, enable_oob_load_report,
                oob_reporting_period, oob_reporting_config,
            }
        }
        let out_of_band =
            OutOfBand::from_proto(enable_oob_load_report, oob_reporting_period, oob_reporting_config, at);
        let slow_start = at.message("slow_start_config", slow_start_config, SlowStart::from_typed);
        let mut duration = |name, message, default| at.duration(name, message).unwrap_or(default);
        let weights = ClientSideWeights {
            blackout_period: duration("blackout_period", blackout_period, DEFAULT_BLACKOUT_PERIOD),
            weight_expiration_period: duration(
                "weight_expiration_period",
                weight_expiration_period,
                DEFAULT_WEIGHT_EXPIRATION_PERIOD,
            ),
            weight_update_period: duration(
                "weight_update_period",
                weight_update_period,
                DEFAULT_WEIGHT_UPDATE_PERIOD,
            )
            .max(MIN_WEIGHT_UPDATE_PERIOD),
            error_utilization_penalty: error_utilization_penalty
                .map_or(0.0, |penalty| f64::from(penalty.value)),
            utilization_metrics: metric_names_for_computing_utilization.into(),
        };
        (weights, slow_start.flatten(), out_of_band)
    }
}
