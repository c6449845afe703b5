//! Slow start: `Cluster.SlowStartConfig`, and `common.v3.SlowStartConfig` of the extensions.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::cluster as older;
use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3 as typed;

use crate::config::field::{Scope, open};
use crate::config::runtime::RuntimeDouble;

/// How fast requests grow by default: in proportion to time.
const DEFAULT_AGGRESSION: f64 = 1.0;

/// Percent of its weight that a new host has at least by default.
const DEFAULT_MIN_WEIGHT_PERCENT: f64 = 10.0;

/// New hosts get their share of requests little by little.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes; above zero.
    pub window: Duration,
    /// A host has the share of its weight that has passed of the window, to the power of one by this; 1 by default.
    pub aggression: RuntimeDouble,
    /// Percent of its weight that a host has at least; 10 by default.
    pub min_weight_percent: f64,
}

impl SlowStart {
    /// From the cluster's message; inner `None` without a window.
    pub(super) fn from_proto(message: older::SlowStartConfig, at: &mut Scope<'_>) -> Option<Option<Self>> {
        use older::SlowStartConfig;
        open! { at, SlowStartConfig = message;
            implemented { slow_start_window, aggression, min_weight_percent }
        }
        let aggression = at.message("aggression", aggression, RuntimeDouble::from_proto);
        let min_weight_percent = at.percent("min_weight_percent", min_weight_percent);
        Some(Self::new(at.duration("slow_start_window", slow_start_window), aggression, min_weight_percent))
    }

    /// From the extensions' message; inner `None` without a window.
    pub(super) fn from_typed(message: typed::SlowStartConfig, at: &mut Scope<'_>) -> Option<Option<Self>> {
        use typed::SlowStartConfig;
        open! { at, SlowStartConfig = message;
            implemented { slow_start_window, aggression, min_weight_percent }
        }
        let aggression = at.message("aggression", aggression, RuntimeDouble::from_proto);
        let min_weight_percent = at.percent("min_weight_percent", min_weight_percent);
        Some(Self::new(at.duration("slow_start_window", slow_start_window), aggression, min_weight_percent))
    }

    fn new(
        window: Option<Duration>,
        aggression: Option<RuntimeDouble>,
        min_weight_percent: Option<f64>,
    ) -> Option<Self> {
        // Envoy counts in milliseconds.
        let window = window.filter(|window| window.as_millis() > 0)?;
        let by_default = RuntimeDouble { default_value: DEFAULT_AGGRESSION, runtime_key: String::new() };
        Some(SlowStart {
            window,
            aggression: aggression.unwrap_or(by_default),
            min_weight_percent: min_weight_percent.unwrap_or(DEFAULT_MIN_WEIGHT_PERCENT),
        })
    }
}
