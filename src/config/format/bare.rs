//! Commands that stand for themselves, by their names.

use super::command::Operator;
use super::operand::{
    AddressOf, Bytes, ConnectionEnd, GrpcStatusFormat, HeaderSource, Precision, Side, TimePoint, WireCount,
};
use super::part::{DownstreamPart, ResponsePart, UpstreamPart};
use super::tls;

pub(super) fn time_point(name: &str) -> TimePoint {
    match name {
        "DS_CX_BEG" => TimePoint::DownstreamConnectStart,
        "DS_CX_END" => TimePoint::DownstreamConnectEnd,
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
pub(super) fn address(name: &str) -> Option<(AddressOf, ConnectionEnd)> {
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
pub(super) fn bare(name: &str) -> Option<Operator> {
    None.or_else(|| address(name).map(|(of, end)| Operator::Address(of, end)))
        .or_else(|| bytes(name).map(Operator::Bytes))
        .or_else(|| duration(name))
        .or_else(|| ResponsePart::named(name).map(Operator::Response))
        .or_else(|| DownstreamPart::named(name).map(Operator::Downstream))
        .or_else(|| UpstreamPart::named(name).map(Operator::Upstream))
        .or_else(|| other(name))
}

/// From one moment of a request to another, in milliseconds.
fn duration(name: &str) -> Option<Operator> {
    let start = TimePoint::DownstreamRxStart;
    let (from, to) = match name {
        "DURATION" => (start, TimePoint::Complete),
        "REQUEST_DURATION" => (start, TimePoint::DownstreamRxEnd),
        "REQUEST_TX_DURATION" => (start, TimePoint::UpstreamTxEnd),
        "RESPONSE_DURATION" => (start, TimePoint::UpstreamRxStart),
        "RESPONSE_TX_DURATION" => (TimePoint::UpstreamRxStart, TimePoint::DownstreamTxEnd),
        _ => return None,
    };
    Some(Operator::Duration { from, to, precision: Precision::Milliseconds })
}

fn other(name: &str) -> Option<Operator> {
    Some(match name {
        "UPSTREAM_HOST" => Operator::Address(AddressOf::Whole, ConnectionEnd::UpstreamHost),
        "REQUEST_HEADERS_BYTES" => Operator::HeadersBytes(HeaderSource::Request),
        "RESPONSE_HEADERS_BYTES" => Operator::HeadersBytes(HeaderSource::Response),
        "RESPONSE_TRAILERS_BYTES" => Operator::HeadersBytes(HeaderSource::ResponseTrailers),
        "GRPC_STATUS_NUMBER" => Operator::GrpcStatus(GrpcStatusFormat::Number),
        "PROTOCOL" => Operator::Protocol,
        "LOCAL_REPLY_BODY" => Operator::LocalReplyBody,
        "ACCESS_LOG_TYPE" => Operator::AccessLogType,
        "BYTES_RETRANSMITTED" | "PACKETS_RETRANSMITTED" => Operator::Zero,
        "ROUTE_NAME" => Operator::RouteName,
        "VIRTUAL_CLUSTER_NAME" => Operator::VirtualClusterName,
        "ROUTE_RESOLUTION_COUNT" => Operator::RouteResolutions,
        "ROUTE_RESOLUTION_TIME_US" => Operator::RouteResolutionTime,
        "STREAM_ID" => Operator::StreamId,
        "TRACE_ID" => Operator::TraceId,
        "SPAN_ID" => Operator::SpanId,
        "UNIQUE_ID" => Operator::UniqueId,
        "HOSTNAME" => hostname(),
        "CUSTOM_FLAGS" => Operator::Empty,
        _ if is_never_there(name) => Operator::Absent,
        _ => return tls::operator(name),
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

/// What stays `-` without HTTP/3 and the kernel's view of a connection.
fn is_never_there(name: &str) -> bool {
    matches!(
        name,
        "DOWNSTREAM_TLS_SESSION_ID" | "UPSTREAM_TLS_SESSION_ID" | "DOWNSTREAM_CX_RTT" | "ROUNDTRIP_DURATION"
    )
}
