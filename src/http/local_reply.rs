//! Answers that the proxy gives itself, and the one table that says which error gives which answer.

use std::borrow::Cow;

use bytes::Bytes;

use crate::base::headers::Headers;
use crate::codec::h1::ParseError;
use crate::codec::{CONNECT_ERROR, PROTOCOL_ERROR, StreamError};
use crate::observability::stream_info::ResponseFlags;
use crate::route::retry::Reset;
use crate::transport::tls::HandshakeError;
use crate::upstream::NoTunnel;
use crate::upstream::pool::{AcquireError, ImmediateConnectError, LocalConnectError, without_number};

/// An answer of the proxy's own.
#[derive(Clone, Debug)]
pub struct LocalReply {
    /// 200 to 599.
    pub status: u16,
    /// Its text; empty for none.
    pub body: Bytes,
    /// Why, for `%RESPONSE_FLAGS%`.
    pub flags: ResponseFlags,
    /// Why, for `%RESPONSE_CODE_DETAILS%`.
    pub details: Cow<'static, str>,
    /// Whether the connection must be closed after it.
    pub close: bool,
    /// Whether it stands for a response of the cluster, in whose statistics it counts.
    pub of_cluster: bool,
    /// A header with the value `true` that says why there is this answer.
    pub marker: Option<Marker>,
    /// Where it sends the client.
    pub location: Option<Box<[u8]>>,
    /// What `content-type` says, whatever its route says; `None` for plain text.
    pub content_type: Option<Box<str>>,
    /// What it is to gRPC clients; `None` for what stands for its status.
    pub grpc_status: Option<u64>,
    /// Further headers.
    pub headers: Option<Box<Headers>>,
    /// Whether neither its route nor `local_reply_config` changes it, and gRPC clients get it as it is.
    pub as_it_is: bool,
    /// Why it stands in place of a response, where another attempt may help.
    pub reset: Option<Reset>,
}

/// A header that says why there is an answer of the proxy's own.
#[derive(Clone, Copy, Debug)]
pub enum Marker {
    /// `x-envoy-overloaded`
    Overloaded,
    /// `x-envoy-drop-overload`
    DropOverload,
    /// `x-envoy-unconditional-drop-overload`
    UnconditionalDropOverload,
}

impl Marker {
    /// The header's name.
    pub fn name(self) -> &'static [u8] {
        match self {
            Marker::Overloaded => b"x-envoy-overloaded",
            Marker::DropOverload => b"x-envoy-drop-overload",
            Marker::UnconditionalDropOverload => b"x-envoy-unconditional-drop-overload",
        }
    }
}

impl LocalReply {
    /// An answer without a flag.
    pub fn new(status: u16, body: &'static str, details: &'static str) -> Self {
        LocalReply {
            status,
            body: Bytes::from_static(body.as_bytes()),
            flags: ResponseFlags::default(),
            details: Cow::Borrowed(details),
            close: false,
            of_cluster: false,
            marker: None,
            location: None,
            content_type: None,
            grpc_status: None,
            headers: None,
            as_it_is: false,
            reset: None,
        }
    }

    /// The same with another status; there is nothing to say where that is 204.
    pub fn with_status(self, status: u16) -> Self {
        let body = if status == 204 { Bytes::new() } else { self.body };
        LocalReply { status, body, ..self }
    }

    fn of_cluster(self) -> Self {
        LocalReply { of_cluster: true, ..self }
    }

    fn flagged(status: u16, body: &'static str, details: &'static str, flags: ResponseFlags) -> Self {
        LocalReply { flags, ..LocalReply::new(status, body, details) }
    }

    /// Nothing matches.
    pub fn route_not_found() -> Self {
        Self::flagged(404, "", "route_not_found", ResponseFlags::NR)
    }

    /// The configuration of a filter is to be discovered, and is not there.
    pub fn missing_filter_config() -> Self {
        Self::flagged(500, "", "", ResponseFlags::NFCF)
    }

    /// The route's cluster does not exist.
    pub fn cluster_not_found(status: u16) -> Self {
        Self::flagged(status, "", "cluster_not_found", ResponseFlags::NC)
    }

    /// The cluster has no host that may be used.
    pub fn no_healthy_upstream() -> Self {
        Self::flagged(503, "no healthy upstream", "no_healthy_upstream", ResponseFlags::UH).of_cluster()
    }

    /// The runtime wants this request, or every request, to the cluster refused.
    pub fn maintenance() -> Self {
        let reply =
            Self::flagged(503, "maintenance mode", "maintenance_mode", ResponseFlags::UO).of_cluster();
        LocalReply { marker: Some(Marker::Overloaded), ..reply }
    }

    /// The management server wants this request, or every request, to the cluster dropped.
    pub fn drop_overload(every: bool) -> Self {
        let (body, details, flags, marker) = match every {
            true => (
                "unconditional drop overload",
                "unconditional_drop_overload",
                ResponseFlags::UDO,
                Marker::UnconditionalDropOverload,
            ),
            false => ("drop overload", "drop_overload", ResponseFlags::DO, Marker::DropOverload),
        };
        LocalReply { marker: Some(marker), ..Self::flagged(503, body, details, flags).of_cluster() }
    }

    /// One attempt took longer than the route allows for it.
    pub fn per_try_timeout() -> Self {
        Self::timed_out("upstream_per_try_timeout")
    }

    /// Nothing of an attempt's response came for longer than the route allows.
    pub fn per_try_idle() -> Self {
        Self::timed_out("upstream_per_try_idle_timeout")
    }

    /// The stream to the host took longer than its cluster allows.
    pub fn upstream_duration(request_is_complete: bool) -> Self {
        let status = if request_is_complete { 504 } else { 408 };
        let (body, details) =
            ("upstream max stream duration reached", "upstream_max_stream_duration_reached");
        let reply = Self::flagged(status, body, details, ResponseFlags::UMSDR);
        LocalReply { reset: Some(Reset::Broken), ..reply }
    }

    /// Whether it is for a request of which more came than is kept.
    pub fn is_for_excess(&self) -> bool {
        matches!(&*self.details, REQUEST_TOO_LARGE | RETRY_TOO_LARGE)
    }

    fn timed_out(details: &'static str) -> Self {
        let reply = Self::flagged(504, "upstream request timeout", details, ResponseFlags::UT).of_cluster();
        LocalReply { reset: Some(Reset::TimedOut), ..reply }
    }

    /// More came of the request than is held, while it waited for its next attempt.
    pub fn retry_buffer_exceeded() -> Self {
        let body = "exceeded request buffer limit while retrying upstream";
        LocalReply::new(507, body, RETRY_TOO_LARGE)
    }

    /// The same, when it is the outcome of the last of several attempts.
    pub fn after_retries(mut self) -> Self {
        if let Some(reason) = self.body.strip_prefix(RESET_BEFORE_HEADERS.as_bytes()) {
            let prefix = [RESET_BEFORE_HEADERS, "retried and the latest "].concat();
            self.body = [prefix.as_bytes(), reason].concat().into();
        }
        self
    }

    /// The response did not begin in time.
    pub fn upstream_timeout() -> Self {
        let flag = ResponseFlags::UT;
        Self::flagged(504, "upstream request timeout", "response_timeout", flag).of_cluster()
    }

    /// Nothing moved for too long: 408 while the request still comes, 504 after it.
    pub fn stream_idle(request_is_complete: bool) -> Self {
        let status = if request_is_complete { 504 } else { 408 };
        Self::flagged(status, "stream timeout", "stream_idle_timeout", ResponseFlags::SI)
    }

    /// The request did not come in time.
    pub fn request_timeout(details: &'static str) -> Self {
        let body = match details {
            "request_header_timeout" => "request header timeout",
            _ => "request timeout",
        };
        LocalReply { close: true, ..LocalReply::new(408, body, details) }
    }

    /// The request's body is larger than what a filter may hold of it.
    pub fn request_too_large() -> Self {
        LocalReply::new(413, "Payload Too Large", REQUEST_TOO_LARGE)
    }

    /// The response's body is larger than what a filter may hold of it.
    pub fn response_too_large() -> Self {
        LocalReply::new(500, "Internal Server Error", "response_payload_too_large")
    }

    /// The stream took longer than it may.
    pub fn max_duration(request_is_complete: bool) -> Self {
        let status = if request_is_complete { 504 } else { 408 };
        LocalReply {
            // DEADLINE_EXCEEDED
            grpc_status: Some(4),
            ..LocalReply::new(status, "downstream duration timeout", "max_duration_timeout")
        }
    }

    /// The request does not say who it is from.
    pub fn undetected(status: u16) -> Self {
        LocalReply::new(status, "", "rejecting_because_detection_failed")
    }

    /// The upgrade asked for is not served.
    pub fn upgrade_failed() -> Self {
        LocalReply { close: true, ..LocalReply::new(403, "", "upgrade_failed") }
    }

    /// The request's target or one of its headers is not what it has to be.
    pub fn malformed(details: &'static str) -> Self {
        let flags = ResponseFlags::DPE;
        LocalReply { close: true, ..Self::flagged(400, "Bad Request", details, flags) }
    }

    /// The client speaks a version that is not served.
    pub fn low_version() -> Self {
        let flags = ResponseFlags::DPE;
        LocalReply { close: true, ..Self::flagged(426, "Upgrade Required", "low_version", flags) }
    }

    /// What the client sent is no request that could be served.
    pub fn bad_request(error: ParseError) -> Self {
        let (status, body, details) = match error {
            ParseError::HeadTooLarge => (431, "Request Header Fields Too Large", "http1.headers_too_large"),
            ParseError::TooManyHeaders => (431, "Request Header Fields Too Large", "http1.too_many_headers"),
            ParseError::LengthAndEncoding => {
                (400, "Bad Request", "http1.content_length_and_chunked_not_allowed")
            }
            ParseError::TransferEncoding => (501, "Not Implemented", "http1.invalid_transfer_encoding"),
            ParseError::Version => return Self::low_version(),
            ParseError::Underscore => (400, "Bad Request", "http1.unexpected_underscore"),
            ParseError::Body => (400, "Bad Request", "http1.body_disallowed"),
            ParseError::HeaderValue => (400, "Bad Request", "http1.invalid_characters"),
            _ => (400, "Bad Request", "http1.codec_error"),
        };
        let flags = ResponseFlags::DPE;
        LocalReply { close: true, ..Self::flagged(status, body, details, flags) }
    }

    /// The same, when the host has sent an informational response, which as in Envoy began the response.
    pub fn after_interim(self) -> Self {
        let details = self.details.replace("_before_response_started", "_after_response_started");
        LocalReply { details: Cow::Owned(details), of_cluster: false, ..self }
    }

    /// No connection to the host could be had.
    pub fn no_connection(error: &AcquireError) -> Self {
        match error {
            AcquireError::Overflow => {
                let reply = reset(503, "overflow", "overflow", ResponseFlags::UO, Reset::Overflow);
                LocalReply { marker: Some(Marker::Overloaded), ..reply }
            }
            AcquireError::NoPool => Self::no_healthy_upstream(),
            AcquireError::Timeout => {
                let cause = Reset::ConnectFailure;
                reset(503, "connection timeout", "connection_timeout", ResponseFlags::UF, cause)
            }
            AcquireError::Connect(reason) => {
                let (text, name) = match error.is_local() {
                    true => ("local connection failure", "local_connection_failure"),
                    false => ("remote connection failure", "remote_connection_failure"),
                };
                let reason = transport_failure(reason);
                let details = match &*reason {
                    "" => name.to_owned(),
                    reason => format!("{name}|{reason}"),
                };
                reset(503, text, &details, ResponseFlags::UF, Reset::ConnectFailure)
            }
        }
    }

    /// The upstream stream broke before its response began.
    pub fn broken_upstream(error: StreamError) -> Self {
        let broken = Reset::Broken;
        match error {
            StreamError::Protocol(_) | StreamError::Reset(PROTOCOL_ERROR) => {
                reset(502, "protocol error", "protocol_error", ResponseFlags::UPE, broken)
            }
            StreamError::Closed => {
                let flags = ResponseFlags::UC;
                reset(503, "connection termination", "connection_termination", flags, broken)
            }
            StreamError::Reset(CONNECT_ERROR) => {
                let details = "remote_error_with_CONNECT_request";
                reset(503, "remote error with CONNECT request", details, ResponseFlags::UR, broken)
            }
            StreamError::Reset(_) => reset(503, "remote reset", "remote_reset", ResponseFlags::UR, broken),
            StreamError::Refused => {
                let (details, flags) = ("remote_refused_stream_reset", ResponseFlags::UR);
                reset(503, "remote refused stream reset", details, flags, Reset::RefusedStream)
            }
        }
    }
}

/// How Envoy names the failure of a connection: `delayed_connect_error:_Connection_refused`.
pub fn transport_failure(error: &std::io::Error) -> String {
    let text = error.to_string();
    if error.get_ref().is_some_and(|error| error.is::<HandshakeError>()) {
        return text.replace(' ', "_");
    }
    let is_told = |error: &(dyn std::error::Error + Send + Sync + 'static)| {
        error.is::<ImmediateConnectError>() || error.is::<LocalConnectError>() || error.is::<NoTunnel>()
    };
    if error.get_ref().is_some_and(is_told) {
        return text.replace(' ', "_");
    }
    format!("delayed_connect_error:_{}", without_number(&text).replace(' ', "_"))
}

/// The flags and the details of an upstream stream that broke within its response.
pub fn broken_response(error: StreamError) -> (ResponseFlags, &'static str) {
    match error {
        StreamError::Protocol(_) | StreamError::Reset(PROTOCOL_ERROR) => {
            (ResponseFlags::UPE, "upstream_reset_after_response_started{protocol_error}")
        }
        StreamError::Closed => {
            (ResponseFlags::UC, "upstream_reset_after_response_started{connection_termination}")
        }
        StreamError::Reset(_) | StreamError::Refused => {
            (ResponseFlags::UR, "upstream_reset_after_response_started{remote_reset}")
        }
    }
}

/// The details of answers to requests of which more came than is kept: for filters, and for another attempt.
const REQUEST_TOO_LARGE: &str = "request_payload_too_large";
const RETRY_TOO_LARGE: &str = "request_payload_exceeded_retry_buffer_limit";

/// What an answer in place of a response begins with.
const RESET_BEFORE_HEADERS: &str = "upstream connect error or disconnect/reset before headers. ";

fn reset(status: u16, reason: &str, details: &str, flags: ResponseFlags, cause: Reset) -> LocalReply {
    LocalReply {
        status,
        body: Bytes::from(format!("{RESET_BEFORE_HEADERS}reset reason: {reason}")),
        flags,
        details: Cow::Owned(format!("upstream_reset_before_response_started{{{details}}}")),
        of_cluster: true,
        reset: Some(cause),
        ..LocalReply::new(status, "", "")
    }
}
