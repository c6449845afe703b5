//! How long a connection manager waits for its clients.

use std::time::Duration;

use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf as pb;

use super::DrainTimeout;
use crate::config::field::Scope;

/// Time without bytes on a stream when nothing else is configured.
const DEFAULT_STREAM_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// Time for the peer to take what was written before a close when nothing else is configured.
const DEFAULT_DELAYED_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long streams and the ends of connections may take; fields of `HttpConnectionManager`.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// Time without bytes on a stream; `None` means no limit; 5 minutes by default.
    pub stream_idle_timeout: Option<Duration>,
    /// Time for the whole request; `None` means no limit, the default.
    pub request_timeout: Option<Duration>,
    /// Time for the request's headers; `None` means no limit, the default.
    pub request_headers_timeout: Option<Duration>,
    /// Time for the peer to open its windows for the end of a response, over HTTP/2; `None` leaves it to the time of
    /// streams on which nothing moves.
    pub stream_flush_timeout: Option<Option<Duration>>,
    /// How long streams are still taken on an HTTP/2 connection that ends.
    pub drain_timeout: DrainTimeout,
    /// Time for the peer to take what was written before a close; 1 s by default.
    pub delayed_close_timeout: Option<Duration>,
}

/// The fields as they came.
pub(super) struct Given {
    pub(super) stream_idle_timeout: Option<pb::Duration>,
    pub(super) request_timeout: Option<pb::Duration>,
    pub(super) request_headers_timeout: Option<pb::Duration>,
    pub(super) stream_flush_timeout: Option<pb::Duration>,
    pub(super) drain_timeout: Option<pb::Duration>,
    pub(super) drain_timeout_jitter: Option<Percent>,
    pub(super) delayed_close_timeout: Option<pb::Duration>,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> Timeouts {
        let idle = Some(DEFAULT_STREAM_IDLE_TIMEOUT);
        let delayed_close = Some(DEFAULT_DELAYED_CLOSE_TIMEOUT);
        Timeouts {
            stream_idle_timeout: at.timeout("stream_idle_timeout", self.stream_idle_timeout, idle),
            request_timeout: at.timeout("request_timeout", self.request_timeout, None),
            request_headers_timeout: at.timeout(
                "request_headers_timeout",
                self.request_headers_timeout,
                None,
            ),
            stream_flush_timeout: self
                .stream_flush_timeout
                .map(|timeout| at.timeout("stream_flush_timeout", Some(timeout), None)),
            drain_timeout: DrainTimeout::from_proto(self.drain_timeout, self.drain_timeout_jitter, at),
            delayed_close_timeout: at.timeout(
                "delayed_close_timeout",
                self.delayed_close_timeout,
                delayed_close,
            ),
        }
    }
}
