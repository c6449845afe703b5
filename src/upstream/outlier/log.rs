//! The event log: `envoy.data.cluster.v3.OutlierDetectionEvent` in JSON, a line each.

use std::time::SystemTime;

use serde::Serialize;

use super::event::{Action, Event, Kind, Outcome};
use crate::observability::access_log::Sink;
use crate::observability::timestamp;

/// Where events are written: `cluster_manager.outlier_detection.event_log_path`.
#[derive(Clone, Debug)]
pub struct EventLog(pub Sink);

/// A line, its fields in the order of the API. As in Envoy, numbers and the like stand there even where they are zero,
/// and the type where there is none.
#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    timestamp: String,
    /// As a text, as JSON has 64 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    secs_since_last_action: Option<String>,
    cluster_name: &'a str,
    upstream_url: &'a str,
    action: &'static str,
    num_ejections: u32,
    enforced: bool,
    #[serde(flatten)]
    details: Option<Details>,
}

#[derive(Serialize)]
enum Details {
    #[serde(rename = "eject_success_rate_event")]
    SuccessRate {
        host_success_rate: u32,
        cluster_average_success_rate: u32,
        cluster_success_rate_ejection_threshold: u32,
    },
    #[serde(rename = "eject_consecutive_event")]
    Consecutive {},
    #[serde(rename = "eject_failure_percentage_event")]
    FailurePercentage { host_success_rate: u32 },
}

impl EventLog {
    /// Writes what happened to the host of a cluster. What could not be done for want of room is not logged.
    pub(super) fn write(&self, cluster: &str, address: &str, event: &Event, now: SystemTime) {
        let (kind, enforced) = match event.action {
            Action::Detected { outcome: Outcome::Overflow, .. } => return,
            Action::Detected { kind, outcome, .. } => (kind.as_str(), outcome == Outcome::Ejected),
            Action::Degraded => ("DEGRADED", true),
            Action::Returned | Action::Restored => (Kind::Consecutive5xx.as_str(), false),
        };
        let line = Line {
            r#type: kind,
            timestamp: timestamp::millisecond(now),
            secs_since_last_action: event.since.map(|since| since.as_secs().to_string()),
            cluster_name: cluster,
            upstream_url: address,
            action: match event.action {
                Action::Detected { .. } | Action::Degraded => "EJECT",
                Action::Returned | Action::Restored => "UNEJECT",
            },
            num_ejections: event.ejections,
            enforced,
            details: details(&event.action),
        };
        self.0.append(|text| {
            // A struct of texts and numbers is always JSON, and a list of bytes takes it.
            serde_json::to_writer(&mut *text, &line).unwrap_or_default();
            text.push(b'\n');
        });
    }
}

fn details(action: &Action) -> Option<Details> {
    let Action::Detected { kind, rate, rates, .. } = action else {
        return matches!(action, Action::Degraded).then_some(Details::Consecutive {});
    };
    Some(match kind {
        Kind::SuccessRate | Kind::SuccessRateLocalOrigin => Details::SuccessRate {
            host_success_rate: whole(*rate),
            cluster_average_success_rate: whole(rates.average),
            cluster_success_rate_ejection_threshold: whole(rates.threshold),
        },
        Kind::FailurePercentage | Kind::FailurePercentageLocalOrigin => {
            Details::FailurePercentage { host_success_rate: whole(*rate) }
        }
        _ => Details::Consecutive {},
    })
}

/// A percentage without its fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage, clamped")]
fn whole(percent: f64) -> u32 {
    percent.clamp(0.0, 100.0) as u32
}
