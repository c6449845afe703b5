//! What the filter is told: `envoy.extensions.filters.http.ratelimit.v3.RateLimit`, and by routes `RateLimitPerRoute`.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ratelimit::v3;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;

use crate::base::headers::{Headers, Known};
use crate::config::field::{Scope, open};
use crate::config::grpc_service::GrpcService;
use crate::config::route::{HeaderValueOption, RateLimit, RateLimitPlace, VhRateLimits};
use crate::config::runtime::{Fraction, RuntimeFraction};

/// How long a call may take where nothing is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(20);

/// The status of refused requests where none is configured, or none that is an error.
pub(super) const TOO_MANY_REQUESTS: u16 = 429;

/// The status where the service could not say anything.
const INTERNAL_SERVER_ERROR: u16 = 500;

/// Headers that are added at most.
const MAX_HEADERS_TO_ADD: usize = 10;

/// Where metadata goes that comes from the service.
const METADATA_NAMESPACE: &str = "envoy.filters.http.ratelimit";

/// `RateLimit`
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::filters) struct Config {
    pub(super) domain: String,
    /// Which rate limits of routes count.
    pub(super) stage: u32,
    pub(super) request_type: RequestType,
    pub(super) service: GrpcService,
    /// `None` means no limit.
    pub(super) timeout: Option<Duration>,
    /// The share of requests that are refused when the service could not be asked.
    pub(super) failure_mode_deny: RuntimeFraction,
    /// The share of requests that are looked at.
    pub(super) filter_enabled: RuntimeFraction,
    /// The share of those over the limit that are refused.
    pub(super) filter_enforced: RuntimeFraction,
    /// Whether a refusal is `RESOURCE_EXHAUSTED` to gRPC clients, and not what its status is.
    pub(super) resource_exhausted: bool,
    /// Whether responses tell of the limits.
    pub(super) x_ratelimit_headers: bool,
    /// Whether responses to requests over the limit say so in `x-envoy-ratelimited`.
    pub(super) x_envoy_ratelimited_header: bool,
    /// Whether refusals with 429 tell when to come back.
    pub(super) retry_after: bool,
    /// 400 or more.
    pub(super) rate_limited_status: u16,
    pub(super) status_on_error: u16,
    /// For refusals.
    pub(super) response_headers_to_add: Vec<HeaderValueOption>,
    /// What comes after `ratelimit.` in the names of statistics: empty, or with a dot at its end.
    pub(super) stat_prefix: String,
    pub(super) metadata_namespace: String,
    /// By what requests are limited, in place of what routes say.
    pub(super) rate_limits: Vec<RateLimit>,
}

/// Requests that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestType {
    Internal,
    External,
    Both,
}

/// `RateLimitPerRoute`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RouteConfig {
    pub(super) vh_rate_limits: VhRateLimits,
    /// In place of what the filter and routes say, unless there are none.
    pub(super) rate_limits: Vec<RateLimit>,
    /// In place of the filter's, unless it is empty.
    pub(super) domain: String,
}

impl Config {
    pub(super) fn from_proto(message: v3::RateLimit, at: &mut Scope<'_>) -> Option<Self> {
        use v3::rate_limit::XRateLimitHeadersRfcVersion;
        open! { at, v3::RateLimit = message;
            implemented {
                domain, stage, request_type, timeout, failure_mode_deny, rate_limited_as_resource_exhausted,
                rate_limit_service, enable_x_ratelimit_headers, disable_x_envoy_ratelimited_header,
                rate_limited_status, response_headers_to_add, status_on_error, stat_prefix, filter_enabled,
                filter_enforced, failure_mode_deny_percent, rate_limits, metadata_namespace,
                enable_retry_after_header,
            }
        }
        if stage > 10 {
            at.field("stage").violation("value must be less than or equal to 10");
        }
        if response_headers_to_add.len() > MAX_HEADERS_TO_ADD {
            let violation = format!("value must contain no more than {MAX_HEADERS_TO_ADD} item(s)");
            at.field("response_headers_to_add").violation(violation);
        }
        let rate_limit_service = at.required("rate_limit_service", rate_limit_service);
        let timeout = at.duration("timeout", timeout).unwrap_or(DEFAULT_TIMEOUT);
        let mut share = |name: &str, message, otherwise| {
            at.message(name, message, RuntimeFraction::from_proto).unwrap_or(otherwise)
        };
        let deny = if failure_mode_deny { 100 } else { 0 };
        let failure_mode_deny = share("failure_mode_deny_percent", failure_mode_deny_percent, percent(deny, ""));
        let by_runtime = percent(100, "ratelimit.http_filter_enabled");
        let filter_enabled = share("filter_enabled", filter_enabled, by_runtime);
        let by_runtime = percent(100, "ratelimit.http_filter_enforcing");
        let filter_enforced = share("filter_enforced", filter_enforced, by_runtime);
        Some(Config {
            domain: at.required_string("domain", domain),
            stage,
            request_type: RequestType::from_proto(&request_type, at),
            service: at.message("rate_limit_service", rate_limit_service, GrpcService::of_rate_limits)?,
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            failure_mode_deny,
            filter_enabled,
            filter_enforced,
            resource_exhausted: rate_limited_as_resource_exhausted,
            x_ratelimit_headers: at
                .enumeration::<XRateLimitHeadersRfcVersion>("enable_x_ratelimit_headers", enable_x_ratelimit_headers)
                == XRateLimitHeadersRfcVersion::DraftVersion03,
            x_envoy_ratelimited_header: !disable_x_envoy_ratelimited_header,
            retry_after: enable_retry_after_header,
            rate_limited_status: at
                .message("rate_limited_status", rate_limited_status, error_status)
                .unwrap_or(TOO_MANY_REQUESTS),
            status_on_error: at
                .message("status_on_error", status_on_error, status)
                .unwrap_or(INTERNAL_SERVER_ERROR),
            response_headers_to_add: at.list(
                "response_headers_to_add",
                response_headers_to_add,
                HeaderValueOption::from_proto,
            ),
            stat_prefix: if stat_prefix.is_empty() { stat_prefix } else { stat_prefix + "." },
            metadata_namespace: match metadata_namespace.as_str() {
                "" => METADATA_NAMESPACE.to_owned(),
                _ => metadata_namespace,
            },
            rate_limits: own_rate_limits(rate_limits, at),
        })
    }
}

impl RouteConfig {
    pub(super) fn from_proto(message: v3::RateLimitPerRoute, at: &mut Scope<'_>) -> Option<Self> {
        use v3::rate_limit_per_route::VhRateLimitsOptions;
        open! { at, v3::RateLimitPerRoute = message;
            implemented { vh_rate_limits, rate_limits, domain }
            ignored { override_option: "Envoy takes it and does nothing by it" }
        }
        Some(RouteConfig {
            vh_rate_limits: match at.enumeration("vh_rate_limits", vh_rate_limits) {
                VhRateLimitsOptions::Override => VhRateLimits::Override,
                VhRateLimitsOptions::Include => VhRateLimits::Include,
                VhRateLimitsOptions::Ignore => VhRateLimits::Ignore,
            },
            rate_limits: own_rate_limits(rate_limits, at),
            domain,
        })
    }
}

impl RequestType {
    fn from_proto(text: &str, at: &mut Scope<'_>) -> Self {
        match text {
            "internal" => RequestType::Internal,
            "external" => RequestType::External,
            "both" | "" => RequestType::Both,
            _ => {
                at.field("request_type").violation("value must be in list [internal external both ]");
                RequestType::Both
            }
        }
    }

    /// Whether it is looked at.
    pub(super) fn takes(self, request: &Headers) -> bool {
        let is_internal = || request.get(Known::XEnvoyInternal) == Some(b"true");
        match self {
            RequestType::Internal => is_internal(),
            RequestType::External => !is_internal(),
            RequestType::Both => true,
        }
    }
}

fn own_rate_limits(
    messages: Vec<envoy_types::pb::envoy::config::route::v3::RateLimit>,
    at: &mut Scope<'_>,
) -> Vec<RateLimit> {
    at.list("rate_limits", messages, |message, at| RateLimit::from_proto(message, RateLimitPlace::Filter, at))
}

/// A status, where it is one of an error.
fn error_status(message: HttpStatus, at: &mut Scope<'_>) -> Option<u16> {
    status(message, at).filter(|code| *code >= 400)
}

fn status(message: HttpStatus, at: &mut Scope<'_>) -> Option<u16> {
    open! { at, HttpStatus = message; implemented { code } }
    u16::try_from(code).ok().filter(|code| (200..600).contains(code))
}

fn percent(numerator: u32, runtime_key: &str) -> RuntimeFraction {
    let default_value = Fraction::percent(numerator);
    RuntimeFraction { default_value, runtime_key: runtime_key.to_owned() }
}
