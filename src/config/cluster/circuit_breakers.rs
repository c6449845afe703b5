//! Limits of what a cluster may have at once: `envoy.config.cluster.v3.CircuitBreakers`.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::RoutingPriority;

use crate::config::field::{Scope, open};

/// `envoy.config.cluster.v3.CircuitBreakers`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CircuitBreakers {
    /// Limits of requests with default priority.
    pub default: Thresholds,
    /// Limits of requests with high priority.
    pub high: Thresholds,
}

/// `CircuitBreakers.Thresholds`
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Connections to all hosts; 1,024 by default.
    pub max_connections: u32,
    /// Requests that wait for a connection; 1,024 by default.
    pub max_pending_requests: u32,
    /// Requests in flight; 1,024 by default.
    pub max_requests: u32,
    /// Retries in flight; 3 by default.
    pub max_retries: u32,
    /// In place of `max_retries`: a share of what is in flight.
    pub retry_budget: Option<RetryBudget>,
    /// Connection pools; no limit by default.
    pub max_connection_pools: u32,
    /// Connections to one host, those of other priorities counted too; no limit by default (`per_host_thresholds`).
    pub max_connections_per_host: u32,
    /// Publish `remaining_*` gauges.
    pub track_remaining: bool,
}

/// `CircuitBreakers.Thresholds.RetryBudget`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Retries in flight, as a percentage of requests that wait for a connection or are in flight; 20 by default.
    pub budget_percent: f64,
    /// Retries that are allowed however few requests there are; 3 by default.
    pub min_retry_concurrency: u32,
    /// How long a request counts after its beginning; as long as it lasts when `None`.
    pub budget_interval: Option<Duration>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { budget_percent: 20.0, min_retry_concurrency: 3, budget_interval: None }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: 3,
            retry_budget: None,
            max_connection_pools: u32::MAX,
            max_connections_per_host: u32::MAX,
            track_remaining: false,
        }
    }
}

impl CircuitBreakers {
    /// From its proto. As in Envoy the first thresholds of a priority count.
    pub fn from_proto(message: v3::CircuitBreakers, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::CircuitBreakers = message;
            implemented { thresholds, per_host_thresholds }
        }
        let mut by_priority = at.list("thresholds", thresholds, Thresholds::from_proto).into_iter();
        let (mut default, mut high) = (None, None);
        for (priority, thresholds) in by_priority.by_ref() {
            let place = match priority {
                RoutingPriority::Default => &mut default,
                RoutingPriority::High => &mut high,
            };
            place.get_or_insert(thresholds);
        }
        let (mut default, mut high) = (default.unwrap_or_default(), high.unwrap_or_default());
        let per_host = at.list("per_host_thresholds", per_host_thresholds, per_host_max_connections);
        // The first of a priority counts here too.
        for (priority, max_connections) in per_host.into_iter().rev() {
            let place = match priority {
                RoutingPriority::Default => &mut default,
                RoutingPriority::High => &mut high,
            };
            place.max_connections_per_host = max_connections;
        }
        Some(CircuitBreakers { default, high })
    }
}

impl Thresholds {
    fn from_proto(
        message: v3::circuit_breakers::Thresholds,
        at: &mut Scope<'_>,
    ) -> Option<(RoutingPriority, Self)> {
        use v3::circuit_breakers::Thresholds as Message;
        open! { at, Message = message;
            implemented {
                priority, max_connections, max_pending_requests, max_requests, max_retries,
                max_connection_pools, track_remaining, retry_budget,
            }
        }
        let default = Thresholds::default();
        let thresholds = Thresholds {
            max_connections: max_connections.map_or(default.max_connections, |max| max.value),
            max_pending_requests: max_pending_requests.map_or(default.max_pending_requests, |max| max.value),
            max_requests: max_requests.map_or(default.max_requests, |max| max.value),
            max_retries: max_retries.map_or(default.max_retries, |max| max.value),
            retry_budget: at.message("retry_budget", retry_budget, from_retry_budget),
            max_connection_pools: max_connection_pools.map_or(default.max_connection_pools, |max| max.value),
            max_connections_per_host: default.max_connections_per_host,
            track_remaining,
        };
        Some((at.enumeration("priority", priority), thresholds))
    }
}

fn from_retry_budget(
    message: v3::circuit_breakers::thresholds::RetryBudget,
    at: &mut Scope<'_>,
) -> Option<RetryBudget> {
    use v3::circuit_breakers::thresholds::RetryBudget as Message;
    open! { at, Message = message; implemented { budget_percent, min_retry_concurrency, budget_interval } }
    let default = RetryBudget::default();
    Some(RetryBudget {
        budget_percent: at.percent("budget_percent", budget_percent).unwrap_or(default.budget_percent),
        min_retry_concurrency: min_retry_concurrency
            .map_or(default.min_retry_concurrency, |number| number.value),
        budget_interval: at
            .duration("budget_interval", budget_interval)
            .filter(|interval| !interval.is_zero()),
    })
}

/// The one limit that there is for a single host, as in Envoy.
fn per_host_max_connections(
    message: v3::circuit_breakers::Thresholds,
    at: &mut Scope<'_>,
) -> Option<(RoutingPriority, u32)> {
    use v3::circuit_breakers::Thresholds as Message;
    open! { at, Message = message;
        implemented {
            priority, max_connections, max_pending_requests, max_requests, max_retries, retry_budget,
            max_connection_pools,
        }
        ignored { track_remaining: "as in Envoy what remains is told for whole clusters only" }
    }
    let others = [max_pending_requests, max_requests, max_retries, max_connection_pools];
    if others.iter().any(Option::is_some) || retry_budget.is_some() {
        at.error("Unsupported field in per_host_thresholds; only priority and max_connections are served");
    }
    Some((at.enumeration("priority", priority), max_connections.map_or(u32::MAX, |max| max.value)))
}
