//! The router: `envoy.extensions.filters.http.router.v3.Router`, the HTTP filter that forwards requests.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::router::v3;

use super::access_log::AccessLog;
use super::extension::Extension;
use super::field::{Scope, open};
use super::http_connection_manager::HttpFilter;
use super::http_connection_manager::http_filters::{self, Side};

/// Full name of the message.
pub const TYPE_NAME: &str = "envoy.extensions.filters.http.router.v3.Router";

/// The shortest time between two lines of a request.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The HTTP filter.
pub const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.router",
    type_name: TYPE_NAME,
    terminal: true,
    parse: |bytes, at| {
        let router = at.decode(bytes).and_then(|message| Router::from_proto(message, at))?;
        Some(Arc::new(router))
    },
    per_route: None,
};

/// A router as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// A span for each request to a host, if its request is traced.
    pub start_child_span: bool,
    /// Add no `x-envoy-*` headers to requests and responses.
    pub suppress_envoy_headers: bool,
    /// Take the time for the response from `x-envoy-expected-rq-timeout-ms`, as another router sent it.
    pub respect_expected_rq_timeout: bool,
    /// Count the statuses and times of responses; true by default.
    pub dynamic_stats: bool,
    /// Do not count the statuses of responses to gRPC requests.
    pub suppress_grpc_request_failure_code_stats: bool,
    /// Headers, in lower case, that a request is refused for when their value is none.
    pub strict_check_headers: Vec<String>,
    /// Refuse a CONNECT whose client does not wait for the answer before it sends what is to pass.
    pub reject_connect_request_early_data: bool,
    /// Where requests to hosts are logged.
    pub upstream_log: Vec<AccessLog>,
    /// When they are, beside their end.
    pub upstream_log_moments: UpstreamLogMoments,
    /// What requests to clusters without filters of their own pass once a host is chosen; the last is the codec. Empty for
    /// none.
    pub upstream_http_filters: Vec<HttpFilter>,
}

/// `Router.UpstreamAccessLogOptions`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamLogMoments {
    /// Once there is a connection.
    pub on_upstream_stream: bool,
    /// Each time that so long is over; `None` never.
    pub flush_interval: Option<Duration>,
}

impl UpstreamLogMoments {
    fn from_proto(message: v3::router::UpstreamAccessLogOptions, at: &mut Scope<'_>) -> Option<Self> {
        use v3::router::UpstreamAccessLogOptions;
        open! { at, UpstreamAccessLogOptions = message;
            implemented { flush_upstream_log_on_upstream_stream, upstream_log_flush_interval }
        }
        let interval = at.duration("upstream_log_flush_interval", upstream_log_flush_interval);
        if interval.is_some_and(|interval| interval < SHORTEST_INTERVAL) {
            at.field("upstream_log_flush_interval").violation("value must be greater than or equal to 1ms");
        }
        Some(UpstreamLogMoments {
            on_upstream_stream: flush_upstream_log_on_upstream_stream,
            flush_interval: interval,
        })
    }
}

impl Default for Router {
    fn default() -> Self {
        Router {
            start_child_span: false,
            suppress_envoy_headers: false,
            respect_expected_rq_timeout: false,
            dynamic_stats: true,
            suppress_grpc_request_failure_code_stats: false,
            strict_check_headers: Vec::new(),
            reject_connect_request_early_data: false,
            upstream_log: Vec::new(),
            upstream_log_moments: UpstreamLogMoments::default(),
            upstream_http_filters: Vec::new(),
        }
    }
}

impl Router {
    /// From its proto.
    pub fn from_proto(message: v3::Router, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Router = message;
            implemented {
                dynamic_stats, suppress_envoy_headers, respect_expected_rq_timeout,
                suppress_grpc_request_failure_code_stats, strict_check_headers, upstream_log,
                upstream_log_options, reject_connect_request_early_data, upstream_http_filters,
                start_child_span,
            }
        }
        Some(Router {
            start_child_span,
            suppress_envoy_headers,
            respect_expected_rq_timeout,
            dynamic_stats: dynamic_stats.is_none_or(|value| value.value),
            suppress_grpc_request_failure_code_stats,
            strict_check_headers: at.list("strict_check_headers", strict_check_headers, strictly_checked),
            reject_connect_request_early_data: reject_connect_request_early_data
                .is_some_and(|reject| reject.value),
            upstream_log: at.list("upstream_log", upstream_log, AccessLog::from_proto),
            upstream_log_moments: at
                .message("upstream_log_options", upstream_log_options, UpstreamLogMoments::from_proto)
                .unwrap_or_default(),
            upstream_http_filters: http_filters::from_proto(
                Side::Router,
                "upstream_http_filters",
                upstream_http_filters,
                at,
            ),
        })
    }
}

/// A header that can be checked.
fn strictly_checked(name: String, at: &mut Scope<'_>) -> Option<String> {
    const CHECKED: [&str; 5] = [
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-max-retries",
        "x-envoy-retry-grpc-on",
        "x-envoy-retry-on",
    ];
    let name = name.to_ascii_lowercase();
    if !CHECKED.contains(&name.as_str()) {
        at.violation(format!("value must be in list [{}]", CHECKED.join(" ")));
        return None;
    }
    Some(name)
}
