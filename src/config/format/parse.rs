//! From a format string to its parts.

use super::command::{
    AddressOf, Bytes, Command, ConnectionEnd, GrpcStatusFormat, HeaderSource, MetadataOf, Operator,
    PathSource, Precision, ServerName, Side, TimePoint, WireCount,
};
use super::time::{TimeFormat, Zone};
use super::{Format, Formatters, HeaderName, Part, coalesce, metadata};

/// Parses a whole format string.
pub(super) fn parse(format: &str, formatters: Formatters) -> Result<Format, String> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < format.len() {
        let rest = &format[at..];
        let literal = rest.find('%').unwrap_or(rest.len());
        if literal > 0 {
            push_literal(&mut parts, &rest[..literal]);
            at += literal;
        } else if rest.starts_with("%%") {
            push_literal(&mut parts, "%");
            at += 2;
        } else {
            let found = Found::new(rest).ok_or_else(|| {
                format!("Incorrect configuration: {format}. Couldn't find valid command at position {at}")
            })?;
            parts.push(Part::Command(command(found.name, found.argument, found.max_length, formatters)?));
            at += found.length;
        }
    }
    Ok(Format { parts })
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(last)) => last.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

/// A command as it stands in the text: `%NAME(ARGUMENT):MAX_LENGTH%`.
struct Found<'a> {
    name: &'a str,
    argument: &'a str,
    max_length: Option<usize>,
    /// Of the whole.
    length: usize,
}

impl<'a> Found<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('%')?;
        let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let (name, rest) = rest.split_at(rest.bytes().take_while(is_name).count());
        if name.is_empty() {
            return None;
        }
        let mut argument = "";
        let mut end = end_of_command(rest);
        if let Some(inner) = rest.strip_prefix('(') {
            // The first parenthesis that a command can end after: there may be some in the argument.
            let line = inner.split('\n').next().unwrap_or(inner);
            let closing = line.match_indices(')').map(|(at, _)| at);
            let (at, ended) = { closing }.find_map(|at| Some((at, end_of_command(&inner[at + 1..])?)))?;
            argument = &inner[..at];
            end = Some(ended);
        }
        let (max_length, rest) = end?;
        Some(Found { name, argument, max_length, length: text.len() - rest.len() })
    }
}

/// The length and what follows, if a command ends here: `:LENGTH%` or `%`.
fn end_of_command(text: &str) -> Option<(Option<usize>, &str)> {
    let Some(number) = text.strip_prefix(':') else {
        return Some((None, text.strip_prefix('%')?));
    };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let rest = number[digits..].strip_prefix('%').filter(|_| digits > 0)?;
    // Longer than any text is as good as no limit.
    Some((Some(number[..digits].parse().unwrap_or(usize::MAX)), rest))
}

/// What a command may have.
#[derive(Clone, Copy, PartialEq)]
enum Syntax {
    /// Neither argument nor length.
    Bare,
    /// An argument, but no length.
    Argument,
    /// An argument, and no length without one.
    ArgumentRequired,
    /// An argument and a length.
    ArgumentAndLength,
    /// An argument, which must be there, and a length.
    ArgumentRequiredAndLength,
}

/// Makes a command of its parts; an empty argument is none.
pub(super) fn command(
    name: &str,
    argument: &str,
    max_length: Option<usize>,
    formatters: Formatters,
) -> Result<Command, String> {
    let syntax = match name {
        "REQ_WITHOUT_QUERY" => formatters.req_without_query.then_some(Syntax::ArgumentAndLength),
        _ => syntax(name),
    };
    let syntax = syntax.ok_or_else(|| format!("Not supported field in StreamInfo: {name}"))?;
    if syntax == Syntax::Bare && (!argument.is_empty() || max_length.is_some()) {
        return Err(format!("{name} does not take any parameters or length"));
    }
    if matches!(syntax, Syntax::ArgumentRequired | Syntax::ArgumentRequiredAndLength) && argument.is_empty() {
        return Err(format!("{name} requires parameters"));
    }
    if matches!(syntax, Syntax::Argument | Syntax::ArgumentRequired) && max_length.is_some() {
        return Err(format!("{name} does not allow length to be specified."));
    }
    let operator = match syntax {
        Syntax::Bare => bare(name).ok_or_else(|| format!("Not supported field in StreamInfo: {name}"))?,
        _ => with_argument(name, argument)?,
    };
    Ok(Command { operator, max_length })
}

fn syntax(name: &str) -> Option<Syntax> {
    Some(match name {
        "REQ" | "REQUEST_HEADER" | "RESP" | "RESPONSE_HEADER" | "TRAILER" | "RESPONSE_TRAILER"
        | "STREAM_INFO_REQ" | "ENVIRONMENT" | "QUERY_PARAM" | "DYNAMIC_METADATA" | "COALESCE" => {
            Syntax::ArgumentRequiredAndLength
        }
        "PATH"
        | "QUERY_PARAMS"
        | "METADATA"
        | "FILTER_STATE"
        | "UPSTREAM_FILTER_STATE"
        | "CEL"
        | "TYPED_CEL" => Syntax::ArgumentAndLength,
        "COMMON_DURATION" | "CLUSTER_METADATA" | "UPSTREAM_METADATA" => Syntax::ArgumentRequired,
        "START_TIME"
        | "START_TIME_LOCAL"
        | "EMIT_TIME"
        | "EMIT_TIME_LOCAL"
        | "GRPC_STATUS"
        | "REQUESTED_SERVER_NAME"
        | "RESPONSE_CODE_DETAILS"
        | "DOWNSTREAM_PEER_CERT_V_START"
        | "DOWNSTREAM_PEER_CERT_V_END"
        | "UPSTREAM_PEER_CERT_V_START"
        | "UPSTREAM_PEER_CERT_V_END" => Syntax::Argument,
        _ if name.ends_with("_ADDRESS_WITHOUT_PORT") && address(name).is_some() => Syntax::Argument,
        _ if bare(name).is_some() => Syntax::Bare,
        _ => return None,
    })
}

fn with_argument(name: &str, argument: &str) -> Result<Operator, String> {
    let zone = if name.ends_with("_LOCAL") { Zone::Local } else { Zone::Utc };
    Ok(match name {
        "REQ" | "REQUEST_HEADER" | "STREAM_INFO_REQ" => header(HeaderSource::Request, argument)?,
        "RESP" | "RESPONSE_HEADER" => header(HeaderSource::Response, argument)?,
        "TRAILER" | "RESPONSE_TRAILER" => header(HeaderSource::ResponseTrailers, argument)?,
        "ENVIRONMENT" => environment(argument),
        "QUERY_PARAM" => Operator::QueryParam(argument.to_owned()),
        "COALESCE" => Operator::Coalesce(coalesce::parse(argument)?),
        "PATH" => path(argument)?,
        "QUERY_PARAMS" => Operator::QueryParams {
            decoded: one_of(
                "QUERY_PARAMS",
                argument,
                "'ORIG'/'DECODED'",
                &[("", false), ("ORIG", false), ("DECODED", true)],
            )?,
        },
        "GRPC_STATUS" => Operator::GrpcStatus(grpc_status(argument)?),
        "REQUESTED_SERVER_NAME" => Operator::RequestedServerName(server_name(argument)?),
        "START_TIME" | "START_TIME_LOCAL" => Operator::StartTime(TimeFormat::parse(argument, zone)?),
        "EMIT_TIME" | "EMIT_TIME_LOCAL" => Operator::EmitTime(TimeFormat::parse(argument, zone)?),
        "COMMON_DURATION" => common_duration(argument)?,
        "RESPONSE_CODE_DETAILS" => {
            Operator::ResponseCodeDetails { white_space: argument == "ALLOW_WHITESPACES" }
        }
        "REQ_WITHOUT_QUERY" => match header(HeaderSource::Request, argument)? {
            Operator::Header { name, alternative, .. } => Operator::WithoutQuery { name, alternative },
            operator => operator,
        },
        "FILTER_STATE" => metadata::filter_state(argument)?,
        "UPSTREAM_FILTER_STATE" => {
            // Nothing is shared with upstream connections.
            metadata::filter_state(argument)?;
            Operator::Absent
        }
        "METADATA" => metadata::of_kind(argument)?,
        "DYNAMIC_METADATA" => metadata::of(MetadataOf::Dynamic, argument),
        "CLUSTER_METADATA" => metadata::of(MetadataOf::Cluster, argument),
        "UPSTREAM_METADATA" => metadata::of(MetadataOf::UpstreamHost, argument),
        "CEL" | "TYPED_CEL" => return Err(format!("{name}: CEL expressions are not supported")),
        _ => match address(name) {
            Some((AddressOf::WithoutPort(_), end)) => {
                // What is no number does not mask, as in Envoy.
                Operator::Address(AddressOf::WithoutPort(argument.parse().ok()), end)
            }
            _ => {
                // The validity of certificates, of which there are none.
                TimeFormat::parse(argument, Zone::Utc)?;
                Operator::Absent
            }
        },
    })
}

fn header(source: HeaderSource, argument: &str) -> Result<Operator, String> {
    let (name, alternative) = argument.split_once('?').unwrap_or((argument, ""));
    if alternative.contains('?') {
        return Err(format!("More than 1 alternative header specified in token: {argument}"));
    }
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&byte);
    if !name.bytes().chain(alternative.bytes()).all(is_valid) {
        return Err("Invalid header configuration. Format string contains invalid characters.".to_owned());
    }
    let alternative = (!alternative.is_empty()).then(|| HeaderName::new(alternative));
    Ok(Operator::Header { source, name: HeaderName::new(name), alternative })
}

/// Variables do not change while the process runs, so they are read here, as Envoy does.
fn environment(name: &str) -> Operator {
    match std::env::var(name) {
        Ok(value) => Operator::Constant(value),
        Err(_) => Operator::Absent,
    }
}

/// The option of this name; the error lists those that exist.
fn one_of<T: Copy>(command: &str, option: &str, allowed: &str, table: &[(&str, T)]) -> Result<T, String> {
    let found = table.iter().find(|(name, _)| *name == option).map(|(_, value)| *value);
    found.ok_or_else(|| format!("Invalid {command} option: '{option}', only {allowed} are allowed"))
}

fn path(argument: &str) -> Result<Operator, String> {
    let mut options = argument.split(':');
    let mut option = || options.next().unwrap_or_default();
    let query = one_of("PATH", option(), "'WQ'/'NQ'", &[("", true), ("WQ", true), ("NQ", false)])?;
    let sources = [
        ("", PathSource::OriginalOrPath),
        ("ORIG_OR_PATH", PathSource::OriginalOrPath),
        ("ORIG", PathSource::Original),
        ("PATH", PathSource::Path),
    ];
    let source = one_of("PATH", option(), "'ORIG'/'PATH'/'ORIG_OR_PATH'", &sources)?;
    Ok(Operator::Path { query, source })
}

fn grpc_status(argument: &str) -> Result<GrpcStatusFormat, String> {
    match argument {
        "" | "CAMEL_STRING" => Ok(GrpcStatusFormat::CamelString),
        "SNAKE_STRING" => Ok(GrpcStatusFormat::SnakeString),
        "NUMBER" => Ok(GrpcStatusFormat::Number),
        other => Err(format!(
            "GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: {other}"
        )),
    }
}

/// The second option says which header is the host: `x-envoy-original-host` where there is one, or not. As
/// nothing in this program makes that header before the log is written, both are `:authority`.
fn server_name(argument: &str) -> Result<ServerName, String> {
    let (option, source) = argument.split_once(':').unwrap_or((argument, ""));
    let names = [
        ("", ServerName::SniOnly),
        ("SNI_ONLY", ServerName::SniOnly),
        ("SNI_FIRST", ServerName::SniFirst),
        ("HOST_FIRST", ServerName::HostFirst),
    ];
    let name = one_of("REQUESTED_SERVER_NAME", option, "'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST'", &names)?;
    let sources = [("", ()), ("ORIG", ()), ("HOST", ()), ("ORIG_OR_HOST", ())];
    one_of("REQUESTED_SERVER_NAME", source, "'ORIG'/'HOST'/'ORIG_OR_HOST'", &sources)?;
    Ok(name)
}

fn common_duration(argument: &str) -> Result<Operator, String> {
    let parts: Vec<&str> = argument.split(':').collect();
    let (from, to, precision) = match parts[..] {
        [from, to] => (from, to, "ms"),
        [from, to, precision] => (from, to, precision),
        _ => return Err(format!("Invalid common duration configuration: {argument}.")),
    };
    let precision = match precision {
        "ms" => Precision::Milliseconds,
        "us" => Precision::Microseconds,
        "ns" => Precision::Nanoseconds,
        other => return Err(format!("Invalid common duration precision: {other}.")),
    };
    Ok(Operator::Duration { from: time_point(from), to: time_point(to), precision })
}

fn time_point(name: &str) -> TimePoint {
    match name {
        "DS_RX_BEG" => TimePoint::DownstreamRxStart,
        "DS_RX_END" => TimePoint::DownstreamRxEnd,
        "US_CX_BEG" => TimePoint::UpstreamConnectStart,
        "US_CX_END" => TimePoint::UpstreamConnectEnd,
        "US_HS_END" => TimePoint::UpstreamHandshakeEnd,
        "US_TX_BEG" => TimePoint::UpstreamTxStart,
        "US_TX_END" => TimePoint::UpstreamTxEnd,
        "US_RX_BEG" => TimePoint::UpstreamRxStart,
        "US_RX_BODY_BEG" => TimePoint::UpstreamRxBodyStart,
        "US_RX_END" => TimePoint::UpstreamRxEnd,
        "DS_TX_BEG" => TimePoint::DownstreamTxStart,
        "DS_TX_END" => TimePoint::DownstreamTxEnd,
        _ => TimePoint::Custom,
    }
}

/// The address commands: `DOWNSTREAM_REMOTE_ADDRESS`, `UPSTREAM_LOCAL_PORT`, …
fn address(name: &str) -> Option<(AddressOf, ConnectionEnd)> {
    let ends = [
        ("DOWNSTREAM_REMOTE_", ConnectionEnd::DownstreamRemote),
        ("DOWNSTREAM_DIRECT_REMOTE_", ConnectionEnd::DownstreamDirectRemote),
        ("DOWNSTREAM_LOCAL_", ConnectionEnd::DownstreamLocal),
        ("DOWNSTREAM_DIRECT_LOCAL_", ConnectionEnd::DownstreamDirectLocal),
        ("UPSTREAM_REMOTE_", ConnectionEnd::UpstreamRemote),
        ("UPSTREAM_LOCAL_", ConnectionEnd::UpstreamLocal),
    ];
    let (what, end) = ends.iter().find_map(|(prefix, end)| Some((name.strip_prefix(prefix)?, *end)))?;
    let has_endpoint_id = !matches!(end, ConnectionEnd::UpstreamLocal | ConnectionEnd::DownstreamRemote)
        && end != ConnectionEnd::DownstreamDirectRemote;
    let of = match what {
        "ADDRESS" => AddressOf::Whole,
        "ADDRESS_WITHOUT_PORT" => AddressOf::WithoutPort(None),
        "PORT" => AddressOf::Port,
        "ADDRESS_ENDPOINT_ID" if has_endpoint_id => AddressOf::EndpointId,
        _ => return None,
    };
    Some((of, end))
}

/// Commands without argument and length.
fn bare(name: &str) -> Option<Operator> {
    let millis = |from, to| Operator::Duration { from, to, precision: Precision::Milliseconds };
    let start = TimePoint::DownstreamRxStart;
    if let Some((of, end)) = address(name) {
        return Some(Operator::Address(of, end));
    }
    if let Some(bytes) = bytes(name) {
        return Some(Operator::Bytes(bytes));
    }
    Some(match name {
        "REQUEST_HEADERS_BYTES" => Operator::HeadersBytes(HeaderSource::Request),
        "RESPONSE_HEADERS_BYTES" => Operator::HeadersBytes(HeaderSource::Response),
        "RESPONSE_TRAILERS_BYTES" => Operator::HeadersBytes(HeaderSource::ResponseTrailers),
        "GRPC_STATUS_NUMBER" => Operator::GrpcStatus(GrpcStatusFormat::Number),
        "LOCAL_REPLY_BODY" => Operator::LocalReplyBody,
        "ACCESS_LOG_TYPE" => Operator::AccessLogType,
        "DURATION" => millis(start, TimePoint::Complete),
        "REQUEST_DURATION" => millis(start, TimePoint::DownstreamRxEnd),
        "REQUEST_TX_DURATION" => millis(start, TimePoint::UpstreamTxEnd),
        "RESPONSE_DURATION" => millis(start, TimePoint::UpstreamRxStart),
        "RESPONSE_TX_DURATION" => millis(TimePoint::UpstreamRxStart, TimePoint::DownstreamTxEnd),
        "UPSTREAM_CONNECTION_POOL_READY_DURATION" => Operator::PoolReadyDuration,
        "BYTES_RETRANSMITTED" | "PACKETS_RETRANSMITTED" => Operator::Zero,
        "PROTOCOL" => Operator::Protocol,
        "UPSTREAM_PROTOCOL" => Operator::UpstreamProtocol,
        "RESPONSE_CODE" => Operator::ResponseCode,
        "RESPONSE_FLAGS" => Operator::ResponseFlags,
        "RESPONSE_FLAGS_LONG" => Operator::ResponseFlagsLong,
        "CONNECTION_TERMINATION_DETAILS" => Operator::ConnectionTerminationDetails,
        "CONNECTION_ID" => Operator::ConnectionId,
        "UPSTREAM_CONNECTION_ID" => Operator::UpstreamConnectionId,
        "UPSTREAM_CONNECTION_IDS_ATTEMPTED" => Operator::UpstreamConnectionIdsAttempted,
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Operator::UpstreamAttempts,
        "UPSTREAM_HOST" => Operator::Address(AddressOf::Whole, ConnectionEnd::UpstreamHost),
        "UPSTREAM_HOST_NAME" => Operator::UpstreamHostName { port: true },
        "UPSTREAM_HOST_NAME_WITHOUT_PORT" => Operator::UpstreamHostName { port: false },
        "UPSTREAM_HOSTS_ATTEMPTED" => Operator::UpstreamHostsAttempted { names: false, port: true },
        "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT" => {
            Operator::UpstreamHostsAttempted { names: false, port: false }
        }
        "UPSTREAM_HOST_NAMES_ATTEMPTED" => Operator::UpstreamHostsAttempted { names: true, port: true },
        "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT" => {
            Operator::UpstreamHostsAttempted { names: true, port: false }
        }
        "UPSTREAM_CLUSTER" => Operator::UpstreamCluster,
        "UPSTREAM_CLUSTER_RAW" => Operator::UpstreamClusterRaw,
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => Operator::UpstreamTransportFailureReason,
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON" => Operator::DownstreamTransportFailureReason,
        "UPSTREAM_LOCAL_CLOSE_REASON" => Operator::UpstreamLocalCloseReason,
        "UPSTREAM_DETECTED_CLOSE_TYPE" => Operator::UpstreamDetectedCloseType,
        "DOWNSTREAM_DETECTED_CLOSE_TYPE" => Operator::DownstreamDetectedCloseType,
        "ROUTE_NAME" => Operator::RouteName,
        "ROUTE_RESOLUTION_COUNT" => Operator::RouteResolutions,
        "LISTENER_NAME" => Operator::ListenerName,
        "FILTER_CHAIN_NAME" => Operator::FilterChainName,
        "STREAM_ID" => Operator::StreamId,
        "UNIQUE_ID" => Operator::UniqueId,
        "HOSTNAME" => hostname(),
        "CUSTOM_FLAGS" => Operator::Empty,
        _ if is_never_there(name) => Operator::Absent,
        _ => return None,
    })
}

fn hostname() -> Operator {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.map_or(Operator::Absent, Operator::Constant)
}

fn bytes(name: &str) -> Option<Bytes> {
    Some(match name {
        "BYTES_RECEIVED" => Bytes::Received,
        "BYTES_SENT" => Bytes::Sent,
        _ => return wire_bytes(name),
    })
}

/// Bytes with their framing: `DOWNSTREAM_WIRE_BYTES_RECEIVED` and such.
fn wire_bytes(name: &str) -> Option<Bytes> {
    const SIDES: [(&str, Side); 2] = [("DOWNSTREAM_", Side::Downstream), ("UPSTREAM_", Side::Upstream)];
    const COUNTS: [(&str, WireCount); 3] = [
        ("WIRE_BYTES_", WireCount::All),
        ("HEADER_BYTES_", WireCount::Headers),
        ("DECOMPRESSED_HEADER_BYTES_", WireCount::DecompressedHeaders),
    ];
    let (name, side) = SIDES.iter().find_map(|(prefix, side)| Some((name.strip_prefix(prefix)?, *side)))?;
    let (way, of) = COUNTS.iter().find_map(|(prefix, of)| Some((name.strip_prefix(prefix)?, *of)))?;
    let sent = match way {
        "RECEIVED" => false,
        "SENT" => true,
        _ => return None,
    };
    Some(Bytes::Wire { side, sent, of })
}

/// What stays `-` without TLS, tracing, virtual clusters, HTTP/3 and the kernel's view of a connection.
fn is_never_there(name: &str) -> bool {
    let of_certificate = |name: &str, side: &str, what: &[&str]| {
        name.strip_prefix(side).is_some_and(|name| what.contains(&name))
    };
    const DOWNSTREAM_LOCAL: &[&str] =
        &["DNS_SAN", "EMAIL_SAN", "IP_SAN", "OTHERNAME_SAN", "SUBJECT", "URI_SAN", "CLOSE_REASON"];
    const DOWNSTREAM_PEER: &[&str] = &[
        "CERT",
        "CHAIN_FINGERPRINTS_1",
        "CHAIN_FINGERPRINTS_256",
        "CHAIN_SERIALS",
        "DNS_SAN",
        "EMAIL_SAN",
        "FINGERPRINT_1",
        "FINGERPRINT_256",
        "IP_SAN",
        "ISSUER",
        "ISSUER_FINGERPRINT_256",
        "ISSUER_SERIAL",
        "OTHERNAME_SAN",
        "SERIAL",
        "SUBJECT",
        "URI_SAN",
    ];
    const TLS: &[&str] = &["CIPHER", "GROUP", "SESSION_ID", "VERSION"];
    of_certificate(name, "DOWNSTREAM_LOCAL_", DOWNSTREAM_LOCAL)
        || of_certificate(name, "DOWNSTREAM_PEER_", DOWNSTREAM_PEER)
        || of_certificate(name, "UPSTREAM_LOCAL_", &["DNS_SAN", "IP_SAN", "URI_SAN"])
        || of_certificate(
            name,
            "UPSTREAM_PEER_",
            &["CERT", "DNS_SAN", "IP_SAN", "ISSUER", "SUBJECT", "URI_SAN"],
        )
        || of_certificate(name, "DOWNSTREAM_TLS_", TLS)
        || of_certificate(name, "UPSTREAM_TLS_", TLS)
        || matches!(
            name,
            "TLS_JA3_FINGERPRINT"
                | "TLS_JA4_FINGERPRINT"
                | "UPSTREAM_SERVER_NAME"
                | "DOWNSTREAM_HANDSHAKE_DURATION"
                | "DOWNSTREAM_CX_RTT"
                | "ROUNDTRIP_DURATION"
                | "ROUTE_RESOLUTION_TIME_US"
                | "TRACE_ID"
                | "SPAN_ID"
                | "VIRTUAL_CLUSTER_NAME"
        )
}
