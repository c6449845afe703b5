//! `envoy.config.cluster.v3.CircuitBreakers` to [`CircuitBreakers`].

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::RoutingPriority;

use super::{CircuitBreakers, RetryBudget, Thresholds};
use crate::config::field::{Scope, open};

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
