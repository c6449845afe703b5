//! The commands of format strings.

use super::HeaderName;
use std::sync::Arc;

use super::file::FileContent;
use super::secret::FormatSecret;
use super::time::TimeFormat;
use super::tls::TlsPart;
use crate::config::cel::Expression;

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
    FileContent(Box<FileContent>),
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
    /// `UPSTREAM_CONNECTION_POOL_READY_DURATION`
    PoolReadyDuration,
    /// `BYTES_RECEIVED`, `DOWNSTREAM_WIRE_BYTES_SENT`, …
    Bytes(Bytes),
    /// `PROTOCOL`
    Protocol,
    /// `UPSTREAM_PROTOCOL`
    UpstreamProtocol,
    /// `RESPONSE_CODE`
    ResponseCode,
    /// `RESPONSE_CODE_DETAILS`
    ResponseCodeDetails {
        /// Keep white space, which otherwise becomes `_`.
        white_space: bool,
    },
    /// `RESPONSE_FLAGS`
    ResponseFlags,
    /// `RESPONSE_FLAGS_LONG`
    ResponseFlagsLong,
    /// `CONNECTION_TERMINATION_DETAILS`
    ConnectionTerminationDetails,
    /// `CONNECTION_ID`
    ConnectionId,
    /// `UPSTREAM_CONNECTION_ID`
    UpstreamConnectionId,
    /// `UPSTREAM_CONNECTION_IDS_ATTEMPTED`
    UpstreamConnectionIdsAttempted,
    /// `UPSTREAM_REQUEST_ATTEMPT_COUNT`
    UpstreamAttempts,
    /// Addresses of all kinds.
    Address(AddressOf, ConnectionEnd),
    /// `UPSTREAM_HOST_NAME` and `…_WITHOUT_PORT`: the name, or the address where there is none.
    UpstreamHostName {
        /// With the address's port.
        port: bool,
    },
    /// `UPSTREAM_HOSTS_ATTEMPTED`, `UPSTREAM_HOST_NAMES_ATTEMPTED` and `…_WITHOUT_PORT`
    UpstreamHostsAttempted {
        /// By name where they have one.
        names: bool,
        /// With the address's port.
        port: bool,
    },
    /// `UPSTREAM_CLUSTER`: as observability names it.
    UpstreamCluster,
    /// `UPSTREAM_CLUSTER_RAW`: as the configuration names it.
    UpstreamClusterRaw,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`
    UpstreamTransportFailureReason,
    /// `DOWNSTREAM_TRANSPORT_FAILURE_REASON`
    DownstreamTransportFailureReason,
    /// `UPSTREAM_LOCAL_CLOSE_REASON`
    UpstreamLocalCloseReason,
    /// `UPSTREAM_DETECTED_CLOSE_TYPE`
    UpstreamDetectedCloseType,
    /// `DOWNSTREAM_DETECTED_CLOSE_TYPE`
    DownstreamDetectedCloseType,
    /// `DOWNSTREAM_LOCAL_CLOSE_REASON`
    DownstreamLocalCloseReason,
    /// `ROUTE_NAME`
    RouteName,
    /// `VIRTUAL_CLUSTER_NAME`
    VirtualClusterName,
    /// `ROUTE_RESOLUTION_COUNT`
    RouteResolutions,
    /// `LISTENER_NAME`
    ListenerName,
    /// `FILTER_CHAIN_NAME`
    FilterChainName,
    /// `REQUESTED_SERVER_NAME`
    RequestedServerName {
        /// Where it looks.
        name: ServerName,
        /// What the request's host is.
        host: HostSource,
    },
    /// `TLS_JA3_FINGERPRINT`
    Ja3Fingerprint,
    /// `TLS_JA4_FINGERPRINT`
    Ja4Fingerprint,
    /// `STREAM_ID`
    StreamId,
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
    /// of upstream connections, tracing, virtual clusters, HTTP/3.
    Absent,
    /// `CUSTOM_FLAGS`, the endpoint ids of IP addresses: there, and always empty.
    Empty,
    /// Zero for everything but HTTP/3: `BYTES_RETRANSMITTED`, `PACKETS_RETRANSMITTED`.
    Zero,
}

/// How an object of the filter state is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateForm {
    /// `TYPED`: as JSON.
    Typed,
    /// `PLAIN`: as it is.
    Plain,
    /// `FIELD`: the field of this name.
    Field(String),
}

/// Whose headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderSource {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
    /// The response's trailers.
    ResponseTrailers,
}

/// Whose metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataOf {
    /// What filters noted of the request.
    Dynamic,
    /// The cluster's.
    Cluster,
    /// The route's.
    Route,
    /// The upstream host's.
    UpstreamHost,
    /// The listener's.
    Listener,
    /// The filter chain's.
    FilterChain,
    /// The virtual host's.
    VirtualHost,
}

/// Where `PATH` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSource {
    /// `x-envoy-original-path`, or else `:path`.
    OriginalOrPath,
    /// `x-envoy-original-path`
    Original,
    /// `:path`
    Path,
}

/// How `GRPC_STATUS` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatusFormat {
    /// `NotFound`
    CamelString,
    /// `NOT_FOUND`
    SnakeString,
    /// `5`
    Number,
}

/// Where `REQUESTED_SERVER_NAME` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// The name in the TLS handshake.
    SniOnly,
    /// That, or else the request's host.
    SniFirst,
    /// The request's host, or else the name in the TLS handshake.
    HostFirst,
}

/// Which header is the request's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostSource {
    /// `x-envoy-original-host`, or else `:authority`.
    OriginalOrHost,
    /// `x-envoy-original-host`
    Original,
    /// `:authority`
    Host,
}

/// Which end of which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// `DOWNSTREAM_REMOTE_…`: the client, after `x-forwarded-for`.
    DownstreamRemote,
    /// `DOWNSTREAM_DIRECT_REMOTE_…`: the peer of the socket.
    DownstreamDirectRemote,
    /// `DOWNSTREAM_LOCAL_…`
    DownstreamLocal,
    /// `DOWNSTREAM_DIRECT_LOCAL_…`
    DownstreamDirectLocal,
    /// `UPSTREAM_HOST`: the host that was chosen.
    UpstreamHost,
    /// `UPSTREAM_REMOTE_…`: the host as far as there is a connection to it.
    UpstreamRemote,
    /// `UPSTREAM_LOCAL_…`
    UpstreamLocal,
}

/// What of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressOf {
    /// Address and port.
    Whole,
    /// The address alone, or the network of so many bits that it is in.
    WithoutPort(Option<u8>),
    /// A network of fewer bits than none, which is as empty as in Envoy.
    NoNetwork,
    /// The port, a number.
    Port,
    /// The endpoint id: empty for IP addresses.
    EndpointId,
}

impl AddressOf {
    /// The network of so many bits; those beyond what an address has are all.
    pub(super) fn network(bits: i32) -> Self {
        match u32::try_from(bits) {
            Ok(bits) => AddressOf::WithoutPort(Some(u8::try_from(bits).unwrap_or(u8::MAX))),
            Err(_) => AddressOf::NoNetwork,
        }
    }
}

/// Which bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// Body bytes of the request.
    Received,
    /// Body bytes of the response.
    Sent,
    /// Bytes with their framing.
    Wire {
        /// On which side.
        side: Side,
        /// Those that were sent, not those that were received.
        sent: bool,
        /// Of what.
        of: WireCount,
    },
}

/// A side of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where requests come from.
    Downstream,
    /// Where requests go to.
    Upstream,
}

/// What is counted with its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireCount {
    /// `WIRE_BYTES`: everything.
    All,
    /// `HEADER_BYTES`: headers and trailers.
    Headers,
    /// `DECOMPRESSED_HEADER_BYTES`: the same as before HPACK packed them.
    DecompressedHeaders,
}

/// A moment of a stream, as `COMMON_DURATION` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePoint {
    /// `DS_CX_BEG`: the connection was accepted.
    DownstreamConnectStart,
    /// `DS_CX_END`: the connection's end, of connections that carry no HTTP.
    DownstreamConnectEnd,
    /// `DS_RX_BEG`: the stream's start.
    DownstreamRxStart,
    /// `DS_RX_END`
    DownstreamRxEnd,
    /// `US_CX_BEG`
    UpstreamConnectStart,
    /// `US_CX_END`
    UpstreamConnectEnd,
    /// `US_HS_END`
    UpstreamHandshakeEnd,
    /// `US_TX_BEG`
    UpstreamTxStart,
    /// `US_TX_END`
    UpstreamTxEnd,
    /// `US_RX_BEG`
    UpstreamRxStart,
    /// `US_RX_BODY_BEG`
    UpstreamRxBodyStart,
    /// `US_RX_END`
    UpstreamRxEnd,
    /// `DS_TX_BEG`
    DownstreamTxStart,
    /// `DS_TX_END`
    DownstreamTxEnd,
    /// The stream's end, for `DURATION`.
    Complete,
    /// A name that only filters set, and none here does; never there.
    Custom,
}

/// The unit of `COMMON_DURATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `ns`
    Nanoseconds,
}
