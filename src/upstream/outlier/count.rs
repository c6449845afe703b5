//! What an event comes to in the statistics.

use super::event::{Action, Event, Kind, Outcome};
use crate::observability::stats::{Counter, OutlierStats};

/// Counts an event. Which hosts are ejected now is not for here.
pub(super) fn count(event: &Event, stats: &OutlierStats) {
    match event.action {
        Action::Detected { kind, outcome, .. } => {
            let (detected, enforced) = of_kind(kind, stats);
            detected.inc();
            count_deprecated(kind, outcome, stats);
            match outcome {
                Outcome::Ejected => {
                    stats.ejections_enforced_total().inc();
                    enforced.inc();
                }
                Outcome::NotEnforced => {}
                Outcome::Overflow => stats.ejections_overflow().inc(),
            }
        }
        Action::Degraded => stats.ejections_detected_degradation().inc(),
        Action::Returned | Action::Restored => {}
    }
}

/// Those that Envoy keeps for older dashboards, with all that is odd about them.
fn count_deprecated(kind: Kind, outcome: Outcome, stats: &OutlierStats) {
    match kind {
        Kind::Consecutive5xx => stats.ejections_consecutive_5xx().inc(),
        Kind::SuccessRate | Kind::SuccessRateLocalOrigin => stats.ejections_success_rate().inc(),
        _ => {}
    }
    if outcome != Outcome::Overflow && matches!(kind, Kind::Consecutive5xx | Kind::SuccessRate) {
        stats.ejections_total().inc();
    }
}

/// How often hosts of the kind were found, and ejected.
fn of_kind(kind: Kind, stats: &OutlierStats) -> (Counter<'_>, Counter<'_>) {
    match kind {
        Kind::Consecutive5xx => {
            (stats.ejections_detected_consecutive_5xx(), stats.ejections_enforced_consecutive_5xx())
        }
        Kind::ConsecutiveGatewayFailure => (
            stats.ejections_detected_consecutive_gateway_failure(),
            stats.ejections_enforced_consecutive_gateway_failure(),
        ),
        Kind::ConsecutiveLocalOriginFailure => (
            stats.ejections_detected_consecutive_local_origin_failure(),
            stats.ejections_enforced_consecutive_local_origin_failure(),
        ),
        Kind::SuccessRate => {
            (stats.ejections_detected_success_rate(), stats.ejections_enforced_success_rate())
        }
        Kind::SuccessRateLocalOrigin => (
            stats.ejections_detected_local_origin_success_rate(),
            stats.ejections_enforced_local_origin_success_rate(),
        ),
        Kind::FailurePercentage => {
            (stats.ejections_detected_failure_percentage(), stats.ejections_enforced_failure_percentage())
        }
        Kind::FailurePercentageLocalOrigin => (
            stats.ejections_detected_local_origin_failure_percentage(),
            stats.ejections_enforced_local_origin_failure_percentage(),
        ),
    }
}
