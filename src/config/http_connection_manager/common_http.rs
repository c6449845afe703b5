//! `common_http_protocol_options`: what holds for connections of clients in either protocol.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3;

use crate::config::field::{Scope, open};
use crate::config::protocol::{DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_HEADERS_COUNT, LongestLife};

/// `envoy.config.core.v3.HttpProtocolOptions` of connections of clients.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonHttpOptions {
    /// Idle time of a connection without requests; `None` means no limit; 1 hour by default.
    pub idle_timeout: Option<Duration>,
    /// Longest life of a connection; `None` means no limit.
    pub max_connection_duration: Option<LongestLife>,
    /// Requests on a connection before it is closed; `None` means no limit.
    pub max_requests_per_connection: Option<u32>,
    /// Longest life of a stream; `None` means no limit.
    pub max_stream_duration: Option<Duration>,
    /// Request headers accepted; 100 by default.
    pub max_headers_count: u32,
    /// What happens to names with underscores.
    pub headers_with_underscores_action: UnderscoresAction,
}

/// `HttpProtocolOptions.HeadersWithUnderscoresAction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnderscoresAction {
    /// They pass.
    #[default]
    Allow,
    /// The request is refused.
    RejectRequest,
    /// The header is dropped.
    DropHeader,
}

impl CommonHttpOptions {
    pub(super) fn from_proto(message: v3::HttpProtocolOptions, at: &mut Scope<'_>) -> Self {
        open! { at, v3::HttpProtocolOptions = message;
            implemented {
                idle_timeout, max_connection_duration, max_connection_duration_jitter, max_headers_count,
                max_stream_duration, headers_with_underscores_action, max_requests_per_connection,
            }
            ignored { max_response_headers_kb: "as in Envoy it concerns responses from upstream only" }
        }
        CommonHttpOptions {
            idle_timeout: at.timeout("idle_timeout", idle_timeout, Some(DEFAULT_IDLE_TIMEOUT)),
            max_connection_duration: LongestLife::from_proto(
                max_connection_duration,
                max_connection_duration_jitter,
                at,
            ),
            max_requests_per_connection: max_requests_per_connection
                .map(|max| max.value)
                .filter(|max| *max > 0),
            max_stream_duration: at.timeout("max_stream_duration", max_stream_duration, None),
            max_headers_count: at
                .within("max_headers_count", max_headers_count, 1..=u32::MAX)
                .unwrap_or(DEFAULT_MAX_HEADERS_COUNT),
            headers_with_underscores_action: UnderscoresAction::from_proto(
                headers_with_underscores_action,
                at,
            ),
        }
    }
}

impl UnderscoresAction {
    fn from_proto(value: i32, at: &mut Scope<'_>) -> Self {
        use v3::http_protocol_options::HeadersWithUnderscoresAction as Message;
        match at.enumeration("headers_with_underscores_action", value) {
            Message::Allow => UnderscoresAction::Allow,
            Message::RejectRequest => UnderscoresAction::RejectRequest,
            Message::DropHeader => UnderscoresAction::DropHeader,
        }
    }
}
