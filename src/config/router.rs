//! The router: `envoy.extensions.filters.http.router.v3.Router`, the HTTP filter that forwards requests.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::router::v3;

use super::extension::Extension;
use super::field::{Scope, open};

/// Full name of the message.
pub const TYPE_NAME: &str = "envoy.extensions.filters.http.router.v3.Router";

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Router {
    /// Add no `x-envoy-*` headers to requests and responses.
    pub suppress_envoy_headers: bool,
    /// Take the time for the response from `x-envoy-expected-rq-timeout-ms`, as another router sent it.
    pub respect_expected_rq_timeout: bool,
}

impl Router {
    /// From its proto.
    pub fn from_proto(message: v3::Router, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Router = message;
            implemented {
                dynamic_stats, suppress_envoy_headers, respect_expected_rq_timeout,
            }
            rejected {
                suppress_grpc_request_failure_code_stats: "every status is counted",
                upstream_log: "requests to hosts are not logged",
                upstream_log_options: "requests to hosts are not logged",
                strict_check_headers: "x-envoy-* headers are read leniently",
                upstream_http_filters: "requests to hosts pass no filters",
                reject_connect_request_early_data: "CONNECT requests are not ended here",
            }
            ignored { start_child_span: "it concerns tracing, and a connection manager's tracing is rejected" }
        }
        if dynamic_stats.is_some_and(|value| !value.value) {
            at.reject("dynamic_stats", "statuses and times are always counted");
        }
        Some(Router { suppress_envoy_headers, respect_expected_rq_timeout })
    }
}
