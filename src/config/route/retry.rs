//! `envoy.config.route.v3.RetryPolicy` to [`RetryPolicy`].

use envoy_types::pb::envoy::config::route::v3;

use super::RetryPolicy;
use crate::config::field::{Scope, open};

/// Why settings of retries change nothing.
const NO_RETRIES: &str = "it concerns retries, and a policy that asks for them with retry_on is rejected";

/// From its proto.
pub(super) fn retry_policy(message: v3::RetryPolicy, at: &mut Scope<'_>) -> Option<RetryPolicy> {
    open! { at, v3::RetryPolicy = message;
        implemented { retry_on, per_try_timeout }
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
        ignored { num_retries: NO_RETRIES, retriable_status_codes: NO_RETRIES, retry_back_off: NO_RETRIES }
    }
    if !retry_on.is_empty() {
        at.reject("retry_on", "requests are not retried; leave it empty");
    }
    Some(RetryPolicy { per_try_timeout: at.timeout("per_try_timeout", per_try_timeout, None) })
}
