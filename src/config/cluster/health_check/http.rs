//! `envoy.config.core.v3.HealthCheck.HttpHealthCheck` to [`HttpHealthCheck`].

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::r#type::v3 as r#type;

use super::payload::{self, Payload};
use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;
use crate::config::newer::envoy::config::core::v3::health_check as newer;
use crate::config::route::HeaderValueOption;

/// Bytes of a response that are searched for what is expected, when nothing else is configured.
const DEFAULT_RESPONSE_BUFFER: u64 = 1024;

/// A request that a host has to answer well.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpHealthCheck {
    /// `:authority`; empty for the name of the cluster, unless the endpoint has one for checks.
    pub host: String,
    /// `:path`
    pub path: String,
    /// `:method`; GET by default.
    pub method: &'static str,
    /// The request's body.
    pub send: Vec<u8>,
    /// What the response's body has to have.
    pub receive: Payload,
    /// Bytes of that body that are looked at; 0 for all of them.
    pub response_buffer_size: u64,
    /// Headers added to the request.
    pub request_add: Vec<HeaderValueOption>,
    /// Headers taken off before.
    pub request_remove: Vec<String>,
    /// Statuses of a host that is well; 200 by default.
    pub expected: Vec<StatusRange>,
    /// Statuses that have to come as often as `unhealthy_threshold` says.
    pub retriable: Vec<StatusRange>,
    /// The protocol; where `use_alpn_protocol` says so, only if the host agreed to none that is spoken here.
    pub codec: Codec,
    /// Whether it is the one that the host agreed to over TLS.
    pub use_alpn_protocol: bool,
    /// What `x-envoy-upstream-healthchecked-cluster` has to say.
    pub service_name: Option<StringMatcher>,
}

/// Statuses from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first.
    pub start: u16,
    /// The one behind the last.
    pub end: u16,
}

/// `envoy.type.v3.CodecClientType`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// `HTTP1`
    Http1,
    /// `HTTP2`
    Http2,
}

impl StatusRange {
    /// Whether a status is one of them.
    pub fn contains(self, status: u16) -> bool {
        (self.start..self.end).contains(&status)
    }
}

impl HttpHealthCheck {
    /// From its proto.
    pub(super) fn from_proto(message: v3::health_check::HttpHealthCheck, at: &mut Scope<'_>) -> Option<Self> {
        use v3::health_check::HttpHealthCheck as Message;
        open! { at, Message = message;
            implemented {
                host, path, send, receive, response_buffer_size, request_headers_to_add,
                request_headers_to_remove, expected_statuses, retriable_statuses, codec_client_type,
                service_name_matcher, method,
            }
        }
        open! { at, newer::HttpHealthCheck = at.newer(); implemented { use_alpn_protocol } }
        let path = at.required_string("path", path);
        let method = method_name(at.enumeration("method", method));
        let has_body = send.is_some();
        if has_body && matches!(method, "GET" | "HEAD" | "DELETE" | "TRACE") {
            at.error(format!(
                "HTTP health check cannot specify a request payload with method '{method}'. Only methods that \
                 support a request body (POST, PUT, PATCH, OPTIONS) can be used with payload."
            ));
        }
        let receive = Payload::from_proto(receive, at);
        let response_buffer_size = response_buffer_size.map_or(DEFAULT_RESPONSE_BUFFER, |size| size.value);
        if response_buffer_size != 0 && receive.len() as u64 > response_buffer_size {
            at.error(format!(
                "The expected response length '{}' is over than http health response buffer size '{}'",
                receive.len(),
                response_buffer_size
            ));
        }
        let mut expected =
            at.list("expected_statuses", expected_statuses, |range, at| status_range(range, "expected", at));
        if expected.is_empty() {
            expected.push(StatusRange { start: 200, end: 201 });
        }
        Some(HttpHealthCheck {
            host,
            path,
            method,
            send: at.message("send", send, payload::bytes).unwrap_or_default(),
            receive,
            response_buffer_size,
            request_add: at.list(
                "request_headers_to_add",
                request_headers_to_add,
                HeaderValueOption::from_proto,
            ),
            request_remove: request_headers_to_remove,
            expected,
            retriable: at.list("retriable_statuses", retriable_statuses, |range, at| {
                status_range(range, "retriable", at)
            }),
            codec: match at.enumeration("codec_client_type", codec_client_type) {
                r#type::CodecClientType::Http1 => Codec::Http1,
                r#type::CodecClientType::Http2 => Codec::Http2,
                r#type::CodecClientType::Http3 => {
                    at.reject("codec_client_type", "HTTP1 and HTTP2 are served");
                    return None;
                }
            },
            use_alpn_protocol,
            service_name: at.message("service_name_matcher", service_name_matcher, StringMatcher::from_proto),
        })
    }
}

fn method_name(method: v3::RequestMethod) -> &'static str {
    use v3::RequestMethod as Method;
    match method {
        Method::MethodUnspecified => Method::Get.as_str_name(),
        method => method.as_str_name(),
    }
}

fn status_range(message: r#type::Int64Range, kind: &str, at: &mut Scope<'_>) -> Option<StatusRange> {
    open! { at, r#type::Int64Range = message; implemented { start, end } }
    let fault = if start >= end {
        format!("expecting start < end, but found start={start} and end={end}")
    } else if start < 100 {
        format!("expecting start >= 100, but found start={start}")
    } else if end > 600 {
        format!("expecting end <= 600, but found end={end}")
    } else {
        return Some(StatusRange { start: u16::try_from(start).ok()?, end: u16::try_from(end).ok()? });
    };
    at.error(format!("Invalid http {kind} status range: {fault}"));
    None
}
