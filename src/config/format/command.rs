//! The commands of format strings.

use std::sync::Arc;

use super::HeaderName;
use super::operand::{
    AddressOf, Bytes, ConnectionEnd, GrpcStatusFormat, HeaderSource, HostSource, MetadataOf, PathSource,
    Precision, ServerName, Side, StateForm, TimePoint,
};
use super::part::{DownstreamPart, ResponsePart, UpstreamPart};
use super::secret::FormatSecret;
use super::time::TimeFormat;
use super::tls::TlsPart;
use crate::config::cel::Expression;
use crate::config::watched::WatchedFile;

/// A command and how much of its text is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What it asks for.
    pub operator: Operator,
    /// Bytes that are kept of a text; all when `None`.
    pub max_length: Option<usize>,
}

impl Command {
    /// Whether its operator, or one of those that it chooses from, is such a one.
    pub(super) fn any(&self, is_such: &dyn Fn(&Operator) -> bool) -> bool {
        match &self.operator {
            Operator::Coalesce(commands) => commands.iter().any(|command| command.any(is_such)),
            operator => is_such(operator),
        }
    }
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// `REQ`, `RESP`, `TRAILER` and their long names.
    Header {
        /// Of which message.
        source: HeaderSource,
        /// The header.
        name: HeaderName,
        /// The header to take where there is no `name`.
        alternative: Option<HeaderName>,
    },
    /// `REQUEST_HEADERS_BYTES`, `RESPONSE_HEADERS_BYTES`, `RESPONSE_TRAILERS_BYTES`
    HeadersBytes(HeaderSource),
    /// `PATH`
    Path {
        /// With what follows the `?`.
        query: bool,
        /// From which header.
        source: PathSource,
    },
    /// `QUERY_PARAM`: the decoded value of the first of this name.
    QueryParam(String),
    /// `QUERY_PARAMS`
    QueryParams {
        /// Percent-decoded.
        decoded: bool,
    },
    /// `GRPC_STATUS` and `GRPC_STATUS_NUMBER`
    GrpcStatus(GrpcStatusFormat),
    /// `REQ_WITHOUT_QUERY`: a header up to its `?`.
    WithoutQuery {
        /// The header.
        name: HeaderName,
        /// The header to take where there is no `name`.
        alternative: Option<HeaderName>,
    },
    /// `XFCC_VALUE`: of the first element of `x-forwarded-client-cert` that has the key; in lower case.
    ForwardedCertificate(String),
    /// `METADATA`, `DYNAMIC_METADATA`, `CLUSTER_METADATA`, `UPSTREAM_METADATA`
    Metadata {
        /// Whose.
        of: MetadataOf,
        /// The name, then keys of objects within each other.
        path: Vec<String>,
    },
    /// `FILTER_STATE`, `UPSTREAM_FILTER_STATE`
    FilterState {
        /// Whose: the request's, or what the connection to its host shares.
        side: Side,
        /// The object's name.
        name: String,
        /// In which form.
        form: StateForm,
    },
    /// `CEL` and `TYPED_CEL`: what an expression gives.
    Cel {
        /// The expression.
        expression: Box<Expression>,
        /// In JSON as what it is, not as a text.
        typed: bool,
    },
    /// `FILE_CONTENT`
    FileContent(Box<WatchedFile>),
    /// `SECRET`: of a generic secret.
    Secret(Arc<FormatSecret>),
    /// `LOCAL_REPLY_BODY`
    LocalReplyBody,
    /// `ACCESS_LOG_TYPE`
    AccessLogType,
    /// `START_TIME` and `START_TIME_LOCAL`
    StartTime(TimeFormat),
    /// `EMIT_TIME` and `EMIT_TIME_LOCAL`
    EmitTime(TimeFormat),
    /// `DURATION`, `REQUEST_DURATION`, … and `COMMON_DURATION`.
    Duration {
        /// Where it begins.
        from: TimePoint,
        /// Where it ends.
        to: TimePoint,
        /// In which unit.
        precision: Precision,
    },
    /// `BYTES_RECEIVED`, `DOWNSTREAM_WIRE_BYTES_SENT`, …
    Bytes(Bytes),
    /// `PROTOCOL`
    Protocol,
    /// What became of the request: `RESPONSE_CODE`, …
    Response(ResponsePart),
    /// The connection that the request came over: `CONNECTION_ID`, …
    Downstream(DownstreamPart),
    /// The host, and the connection to it: `UPSTREAM_CLUSTER`, …
    Upstream(UpstreamPart),
    /// `ROUTE_NAME`
    RouteName,
    /// `VIRTUAL_CLUSTER_NAME`
    VirtualClusterName,
    /// `ROUTE_RESOLUTION_COUNT`
    RouteResolutions,
    /// `ROUTE_RESOLUTION_TIME_US`
    RouteResolutionTime,
    /// Addresses of all kinds.
    Address(AddressOf, ConnectionEnd),
    /// `REQUESTED_SERVER_NAME`
    RequestedServerName {
        /// Where it looks.
        name: ServerName,
        /// What the request's host is.
        host: HostSource,
    },
    /// `STREAM_ID`
    StreamId,
    /// The number of the trace.
    TraceId,
    /// The number of the request's span.
    SpanId,
    /// `UNIQUE_ID`: a new UUID each time.
    UniqueId,
    /// What was the same for the process's whole life, found while parsing: `HOSTNAME`, `ENVIRONMENT`.
    Constant(String),
    /// `COALESCE`: the first that is there, be it an empty text.
    Coalesce(Vec<Command>),
    /// What is known of the TLS of a side.
    Tls(Side, TlsPart),
    /// `…_PEER_CERT_V_START` and `…_PEER_CERT_V_END`
    CertificateValidity {
        /// Whose peer's certificate.
        side: Side,
        /// Its last moment, not its first.
        end: bool,
        /// How the time is written.
        format: TimeFormat,
    },
    /// What no request has as long as nothing in this program makes it: metadata of filter chains, filter state
    /// of upstream connections, virtual clusters, HTTP/3.
    Absent,
    /// `CUSTOM_FLAGS`, the endpoint ids of IP addresses: there, and always empty.
    Empty,
    /// Zero for everything but HTTP/3: `BYTES_RETRANSMITTED`, `PACKETS_RETRANSMITTED`.
    Zero,
}
