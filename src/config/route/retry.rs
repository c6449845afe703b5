//! Whether and how requests are tried again: `envoy.config.route.v3.RetryPolicy`.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3;

use super::retry_hosts::{HostPredicate, host_predicates, retry_priority as from_retry_priority};
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;

/// Retries where nothing is said of their number.
const DEFAULT_NUM_RETRIES: u32 = 1;

/// How often a host is chosen anew where nothing is said of it.
const DEFAULT_HOST_SELECTIONS: u32 = 1;

/// What is more counts as this: a worker has other things to do than to draw hosts that are not wanted.
const MAX_HOST_SELECTIONS: i64 = 1000;

/// The longest pause that a host may ask for where nothing is said of it.
const DEFAULT_RATE_LIMITED_MAX_INTERVAL: Duration = Duration::from_secs(300);

/// The shortest limit of a pause, as in Envoy.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// `envoy.config.route.v3.RetryPolicy`
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// When; nothing means never, unless the request asks for it.
    pub retry_on: RetryOn,
    /// Retries after the first attempt; 1 by default.
    pub num_retries: u32,
    /// Time for one attempt; `None` means the route's.
    pub per_try_timeout: Option<Duration>,
    /// Time in which nothing of the response comes, for one attempt; `None` means no limit.
    pub per_try_idle_timeout: Option<Duration>,
    /// Hosts that a retry does not go to.
    pub host_predicates: Vec<HostPredicate>,
    /// How often a host is chosen anew when `host_predicates` reject it; 1 by default.
    pub host_selection_retry_max_attempts: u32,
    /// `envoy.extensions.retry.priority.previous_priorities.v3`: after how many attempts each the priorities that were
    /// tried are left out; `None` where they never are.
    pub previous_priorities: Option<u32>,
    /// Choose the cluster anew for a retry, where a tree of conditions leads to it.
    pub refresh_cluster_on_retry: bool,
    /// Statuses that `retriable-status-codes` is about.
    pub retriable_status_codes: Vec<u32>,
    /// Limits of the pauses before retries; `None` means 25 ms, or what the runtime says, up to ten times that.
    pub back_off: Option<RetryBackOff>,
    /// Pauses that the host asks for.
    pub rate_limited_back_off: Option<RateLimitedBackOff>,
    /// What of a response's headers `retriable-headers` is about; any of them.
    pub retriable_headers: Vec<HeaderMatcher>,
    /// Requests that may be retried: those with any of these headers; all when empty.
    pub retriable_request_headers: Vec<HeaderMatcher>,
}

impl RetryPolicy {
    /// That of a route without one.
    pub const NONE: RetryPolicy = RetryPolicy {
        retry_on: RetryOn::NOTHING,
        num_retries: DEFAULT_NUM_RETRIES,
        per_try_timeout: None,
        per_try_idle_timeout: None,
        host_predicates: Vec::new(),
        host_selection_retry_max_attempts: DEFAULT_HOST_SELECTIONS,
        previous_priorities: None,
        refresh_cluster_on_retry: false,
        retriable_status_codes: Vec::new(),
        back_off: None,
        rate_limited_back_off: None,
        retriable_headers: Vec::new(),
        retriable_request_headers: Vec::new(),
    };
}

/// `RetryPolicy.RetryBackOff`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBackOff {
    /// The limit of the first pause; at least 1 ms.
    pub base_interval: Duration,
    /// The limit of every pause; ten times `base_interval` by default.
    pub max_interval: Duration,
}

/// `RetryPolicy.RateLimitedRetryBackOff`
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimitedBackOff {
    /// Headers of a response that may tell how long to wait, in the order in which they count.
    pub reset_headers: Vec<ResetHeader>,
    /// A header that asks for more than this is passed over; 5 minutes by default.
    pub max_interval: Duration,
}

/// `RetryPolicy.ResetHeader`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetHeader {
    /// Its name, lower case.
    pub name: String,
    /// Whether it tells a moment, in seconds since 1970, and not a number of seconds.
    pub is_timestamp: bool,
}

/// Conditions on which a request is tried again: what `retry_on`, `x-envoy-retry-on` and `x-envoy-retry-grpc-on` list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryOn(u32);

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal in $list:ident,)*) => {
        /// Numbers the conditions.
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "named as the constants")]
        enum Bit { $($name),* }

        impl RetryOn {
            $($(#[$doc])* pub const $name: RetryOn = RetryOn(1 << Bit::$name as u32);)*

            /// Each condition with its name and whether it is one of gRPC.
            const ALL: &[(RetryOn, &'static str, List)] = &[$((RetryOn::$name, $text, List::$list),)*];
        }
    };
}

/// Which list a condition stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Http,
    Grpc,
}

conditions! {
    /// Any 5xx, or no response at all.
    STATUS_5XX = "5xx" in Http,
    /// 502, 503 or 504, or no response at all.
    GATEWAY_ERROR = "gateway-error" in Http,
    /// No response at all.
    RESET = "reset" in Http,
    /// No response, and nothing of the request was sent.
    RESET_BEFORE_REQUEST = "reset-before-request" in Http,
    /// No connection to the host.
    CONNECT_FAILURE = "connect-failure" in Http,
    /// A response with `x-envoy-ratelimited`, which else is never retried.
    ENVOY_RATELIMITED = "envoy-ratelimited" in Http,
    /// 409.
    RETRIABLE_4XX = "retriable-4xx" in Http,
    /// The host refused the stream.
    REFUSED_STREAM = "refused-stream" in Http,
    /// One of the statuses listed.
    RETRIABLE_STATUS_CODES = "retriable-status-codes" in Http,
    /// One of the headers listed.
    RETRIABLE_HEADERS = "retriable-headers" in Http,
    /// HTTP/3 failed after the handshake; there is no HTTP/3 here.
    HTTP3_POST_CONNECT_FAILURE = "http3-post-connect-failure" in Http,
    /// gRPC status 1.
    CANCELLED = "cancelled" in Grpc,
    /// gRPC status 4.
    DEADLINE_EXCEEDED = "deadline-exceeded" in Grpc,
    /// gRPC status 8.
    RESOURCE_EXHAUSTED = "resource-exhausted" in Grpc,
    /// gRPC status 14.
    UNAVAILABLE = "unavailable" in Grpc,
    /// gRPC status 13.
    INTERNAL = "internal" in Grpc,
}

impl RetryOn {
    /// No condition.
    pub const NOTHING: RetryOn = RetryOn(0);

    /// The conditions of HTTP in a list with commas; as in Envoy what is none is passed over.
    pub fn http(list: &[u8]) -> Self {
        Self::listed(list, List::Http)
    }

    /// The conditions of gRPC in a list with commas, likewise.
    pub fn grpc(list: &[u8]) -> Self {
        Self::listed(list, List::Grpc)
    }

    fn listed(list: &[u8], kind: List) -> Self {
        let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let condition = |name: &[u8]| {
            let mut all = Self::ALL.iter();
            all.find(|(_, text, of)| *of == kind && text.as_bytes() == name)
                .map(|(condition, _, _)| *condition)
        };
        names.filter_map(condition).fold(Self::NOTHING, Self::and)
    }

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        RetryOn(self.0 | other.0)
    }

    /// Whether one of `conditions` is among them.
    pub const fn has(self, conditions: Self) -> bool {
        self.0 & conditions.0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// From its proto.
pub(in crate::config) fn retry_policy(message: v3::RetryPolicy, at: &mut Scope<'_>) -> Option<RetryPolicy> {
    open! { at, v3::RetryPolicy = message;
        implemented {
            retry_on, num_retries, per_try_timeout, per_try_idle_timeout, retry_host_predicate, retry_priority,
            host_selection_retry_max_attempts, retriable_status_codes, retry_back_off,
            rate_limited_retry_back_off, retriable_headers, retriable_request_headers,
            refresh_cluster_on_retry,
        }
        rejected { retry_options_predicates: "no such extensions are known" }
    }
    let back_off = at.message("retry_back_off", retry_back_off, from_back_off);
    let selections = Some(host_selection_retry_max_attempts).filter(|attempts| *attempts > 0);
    Some(RetryPolicy {
        retry_on: RetryOn::http(retry_on.as_bytes()).and(RetryOn::grpc(retry_on.as_bytes())),
        num_retries: num_retries.map_or(DEFAULT_NUM_RETRIES, |number| number.value),
        per_try_timeout: at.timeout("per_try_timeout", per_try_timeout, None),
        per_try_idle_timeout: at.timeout("per_try_idle_timeout", per_try_idle_timeout, None),
        host_predicates: host_predicates(retry_host_predicate, at),
        host_selection_retry_max_attempts: selections
            .map_or(DEFAULT_HOST_SELECTIONS, |attempts| attempts.min(MAX_HOST_SELECTIONS) as u32),
        previous_priorities: at.message("retry_priority", retry_priority, from_retry_priority),
        refresh_cluster_on_retry,
        retriable_status_codes,
        back_off,
        rate_limited_back_off: at.message(
            "rate_limited_retry_back_off",
            rate_limited_retry_back_off,
            rate_limited_back_off,
        ),
        retriable_headers: at.list("retriable_headers", retriable_headers, HeaderMatcher::from_proto),
        retriable_request_headers: at.list(
            "retriable_request_headers",
            retriable_request_headers,
            HeaderMatcher::from_proto,
        ),
    })
}

fn from_back_off(message: v3::retry_policy::RetryBackOff, at: &mut Scope<'_>) -> Option<RetryBackOff> {
    use v3::retry_policy::RetryBackOff as Message;
    open! { at, Message = message; implemented { base_interval, max_interval } }
    let base = at.required("base_interval", base_interval);
    let base = at.positive_duration("base_interval", base)?.max(LEAST_INTERVAL);
    let max = at.positive_duration("max_interval", max_interval).map(|max| max.max(LEAST_INTERVAL));
    if max.is_some_and(|max| max.as_millis() < base.as_millis()) {
        at.error("retry_policy.max_interval must greater than or equal to the base_interval");
    }
    Some(RetryBackOff { base_interval: base, max_interval: max.unwrap_or(base.saturating_mul(10)) })
}

fn rate_limited_back_off(
    message: v3::retry_policy::RateLimitedRetryBackOff,
    at: &mut Scope<'_>,
) -> Option<RateLimitedBackOff> {
    use v3::retry_policy::RateLimitedRetryBackOff as Message;
    open! { at, Message = message; implemented { reset_headers, max_interval } }
    if reset_headers.is_empty() {
        at.field("reset_headers").violation("value must contain at least 1 item(s)");
    }
    let max_interval = at.positive_duration("max_interval", max_interval);
    Some(RateLimitedBackOff {
        reset_headers: at.list("reset_headers", reset_headers, reset_header),
        max_interval: max_interval.unwrap_or(DEFAULT_RATE_LIMITED_MAX_INTERVAL),
    })
}

fn reset_header(message: v3::retry_policy::ResetHeader, at: &mut Scope<'_>) -> Option<ResetHeader> {
    use v3::retry_policy::{ResetHeader as Message, ResetHeaderFormat};
    open! { at, Message = message; implemented { name, format } }
    let format = at.enumeration::<ResetHeaderFormat>("format", format);
    Some(ResetHeader {
        name: at.required_string("name", name).to_ascii_lowercase(),
        is_timestamp: format == ResetHeaderFormat::UnixTimestamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_listed_with_commas_and_unknown_ones_are_passed_over() {
        let both = RetryOn::STATUS_5XX.and(RetryOn::RESET);
        for (list, expected) in [
            ("5xx,reset", both),
            (" 5xx , reset ", both),
            ("5XX,reset,,foo", RetryOn::RESET),
            ("cancelled", RetryOn::NOTHING),
            ("", RetryOn::NOTHING),
        ] {
            assert_eq!(RetryOn::http(list.as_bytes()), expected, "{list}");
        }
        assert_eq!(RetryOn::grpc(b"internal,5xx"), RetryOn::INTERNAL);
    }
}
