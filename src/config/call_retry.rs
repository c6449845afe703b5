//! Whether and how calls are tried again: `envoy.config.core.v3.RetryPolicy`.
//!
//! As in Envoy such a policy is one of routes that says less: a call waits a second and up to ten times that before it is
//! tried again, and an attempt has as much time as the longest pause.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::config::route::v3 as of_route;

use super::field::{Scope, open};
use super::route::{self, RetryBackOff, RetryPolicy};

/// The limits of pauses where nothing is said of them.
const DEFAULT_BACK_OFF: RetryBackOff =
    RetryBackOff { base_interval: Duration::from_secs(1), max_interval: Duration::from_secs(10) };

/// How many times the first limit the last one is where nothing is said of it.
const DEFAULT_MAX_TO_BASE: u32 = 10;

/// From its proto.
pub(super) fn retry_policy(message: v3::RetryPolicy, at: &mut Scope<'_>) -> Option<RetryPolicy> {
    open! { at, v3::RetryPolicy = message;
        implemented {
            retry_back_off, num_retries, retry_on, retry_host_predicate, host_selection_retry_max_attempts,
            retry_priority,
        }
    }
    let back_off = at.message("retry_back_off", retry_back_off, back_off).unwrap_or(DEFAULT_BACK_OFF);
    let of_route = of_route::RetryPolicy {
        retry_on,
        num_retries,
        retry_host_predicate: retry_host_predicate.into_iter().map(|one| host_predicate(one, at)).collect(),
        host_selection_retry_max_attempts,
        retry_priority: retry_priority.map(|priority| self::retry_priority(priority, at)),
        ..of_route::RetryPolicy::default()
    };
    let policy = route::retry_policy(of_route, at)?;
    Some(RetryPolicy { back_off: Some(back_off), per_try_timeout: Some(back_off.max_interval), ..policy })
}

fn back_off(message: v3::BackoffStrategy, at: &mut Scope<'_>) -> Option<RetryBackOff> {
    open! { at, v3::BackoffStrategy = message; implemented { base_interval, max_interval } }
    let base = at.required("base_interval", base_interval);
    let base_interval = at.positive_duration("base_interval", base)?;
    let max = at.positive_duration("max_interval", max_interval);
    let max_interval = max.unwrap_or(base_interval.saturating_mul(DEFAULT_MAX_TO_BASE));
    // As in Envoy, where limits contradict each other.
    let base_interval = if max_interval < base_interval { max_interval / 2 } else { base_interval };
    Some(RetryBackOff { base_interval, max_interval })
}

fn host_predicate(
    message: v3::retry_policy::RetryHostPredicate,
    at: &mut Scope<'_>,
) -> of_route::retry_policy::RetryHostPredicate {
    use of_route::retry_policy::retry_host_predicate::ConfigType;
    use v3::retry_policy::RetryHostPredicate;
    use v3::retry_policy::retry_host_predicate::ConfigType::TypedConfig;
    open! { at, RetryHostPredicate = message; implemented { name, config_type } }
    let config_type = config_type.map(|TypedConfig(any)| ConfigType::TypedConfig(any));
    of_route::retry_policy::RetryHostPredicate { name, config_type }
}

fn retry_priority(
    message: v3::retry_policy::RetryPriority,
    at: &mut Scope<'_>,
) -> of_route::retry_policy::RetryPriority {
    use of_route::retry_policy::retry_priority::ConfigType;
    use v3::retry_policy::RetryPriority;
    use v3::retry_policy::retry_priority::ConfigType::TypedConfig;
    open! { at, RetryPriority = message; implemented { name, config_type } }
    let config_type = config_type.map(|TypedConfig(any)| ConfigType::TypedConfig(any));
    of_route::retry_policy::RetryPriority { name, config_type }
}
