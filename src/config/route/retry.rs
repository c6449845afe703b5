//! `envoy.config.route.v3.RetryPolicy` to [`RetryPolicy`].

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3;

use super::RetryPolicy;
use crate::config::field::{Scope, open};

/// Attempts after the first when nothing else is configured.
const DEFAULT_NUM_RETRIES: u32 = 1;

/// First interval of the back-off when nothing else is configured.
const DEFAULT_BASE_INTERVAL: Duration = Duration::from_millis(25);

/// The cap of the back-off is so many times its first interval when nothing else is configured.
const DEFAULT_CAP_FACTOR: u32 = 10;

/// From its proto.
pub(super) fn retry_policy(message: v3::RetryPolicy, at: &mut Scope<'_>) -> Option<RetryPolicy> {
    open! { at, v3::RetryPolicy = message;
        implemented { retry_on, num_retries, per_try_timeout, retriable_status_codes, retry_back_off }
        rejected {
            per_try_idle_timeout: "attempts have no idle time of their own",
            retry_priority: "retries choose among all priorities",
            retry_host_predicate: "retries may choose the same host again",
            retry_options_predicates: "no such extensions are known",
            host_selection_retry_max_attempts: "retries may choose the same host again",
            rate_limited_retry_back_off: "the headers of responses do not change the back-off",
            retriable_headers: "responses are judged by their status",
            retriable_request_headers: "all requests are retried alike",
            refresh_cluster_on_retry: "a retry goes to the cluster of its request",
        }
    }
    if !retry_on.is_empty() {
        at.reject("retry_on", "requests are not retried; leave it empty");
    }
    Some(RetryPolicy {
        retry_on: retry_on
            .split(',')
            .map(|condition| condition.trim().to_owned())
            .filter(|c| !c.is_empty())
            .collect(),
        num_retries: num_retries.map_or(DEFAULT_NUM_RETRIES, |number| number.value),
        per_try_timeout: at.timeout("per_try_timeout", per_try_timeout, None),
        retriable_status_codes: at.list("retriable_status_codes", retriable_status_codes, |code, at| {
            u16::try_from(code).map_err(|_| at.error(format!("{code} is no status"))).ok()
        }),
        back_off: at
            .message("retry_back_off", retry_back_off, back_off)
            .unwrap_or((DEFAULT_BASE_INTERVAL, DEFAULT_BASE_INTERVAL * DEFAULT_CAP_FACTOR)),
    })
}

fn back_off(message: v3::retry_policy::RetryBackOff, at: &mut Scope<'_>) -> Option<(Duration, Duration)> {
    use v3::retry_policy::RetryBackOff;
    open! { at, RetryBackOff = message; implemented { base_interval, max_interval } }
    let base_interval = at.required("base_interval", base_interval);
    let base = at.positive_duration("base_interval", base_interval)?;
    let cap = at.positive_duration("max_interval", max_interval).unwrap_or(base * DEFAULT_CAP_FACTOR);
    if cap < base {
        at.error("retry_policy.max_interval must greater than or equal to the base_interval");
    }
    Some((base, cap))
}
