//! What spans tell: Envoy's `HttpTracerUtility`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::base::headers::{Headers, Known};
use crate::config::bootstrap::Node;
use crate::config::format::MetadataOf;
use crate::config::tracing::{RouteTracing, TagValue, Tracing};
use crate::http::render::render;
use crate::observability::format::Context;
use crate::observability::stream_info::{Address, StreamInfo};
use crate::route::grpc_timeout;

use super::decision::CLIENT_TRACE_ID;
use super::span::Span;

/// Where the span was made.
pub(super) fn of_node(span: &mut dyn Span, node: &Node) {
    span.set_tag("node_id", &node.id);
    span.set_tag("zone", &node.locality.zone);
}

/// What only the span of the request tells.
pub(super) fn of_request(span: &mut dyn Span, context: &Context<'_>, max_path: usize) {
    let Context { info, request, .. } = *context;
    set_if_there(span, "guid:x-request-id", request.get(Known::XRequestId));
    span.set_tag("http.url", &url(request, max_path));
    set_if_there(span, "http.method", request.get(Known::Method));
    span.set_tag("downstream_cluster", &or_dash(request, Known::XEnvoyDownstreamServiceCluster));
    span.set_tag("user_agent", &or_dash(request, Known::UserAgent));
    span.set_tag("http.protocol", info.protocol.map_or("-", |protocol| protocol.as_str()));
    let peer = match &info.connection.direct_remote {
        Address::Ip(address) => address.ip().to_string(),
        other => other.to_string(),
    };
    span.set_tag("peer.address", &peer);
    set_if_there(span, "guid:x-client-trace-id", request.get_by_name(CLIENT_TRACE_ID));
    if grpc_timeout::is_grpc(request) {
        set_if_there(span, "grpc.path", request.get(Known::Path));
        set_if_there(span, "grpc.authority", request.get(Known::Authority));
        set_if_there(span, "grpc.content_type", request.get(Known::ContentType));
        set_if_there(span, "grpc.timeout", request.get(Known::GrpcTimeout));
    }
    span.set_tag("request_size", &info.bytes_received.to_string());
    span.set_tag("response_size", &info.bytes_sent.to_string());
}

/// What only the span of a request to a host tells.
pub(super) fn of_attempt(span: &mut dyn Span, context: &Context<'_>) {
    let upstream = context.info.upstream.as_ref();
    let protocol = upstream.and_then(|upstream| upstream.protocol);
    span.set_tag("http.protocol", protocol.map_or("-", |protocol| protocol.as_str()));
    if let Some(host) = upstream.and_then(|upstream| upstream.host.as_ref()) {
        let host = host.to_string();
        span.set_tag("upstream_address", &host);
        span.set_tag("peer.address", &host);
    }
}

/// What all spans tell.
pub(super) fn of_any(span: &mut dyn Span, context: &Context<'_>) {
    let info = context.info;
    span.set_tag("component", "proxy");
    if let Some(upstream) = &info.upstream {
        span.set_tag("upstream_cluster", &upstream.cluster.name);
        span.set_tag("upstream_cluster.name", upstream.cluster.shown());
    }
    span.set_tag("http.status_code", &info.response_code.to_string());
    span.set_tag("response_flags", &info.response_flags.to_string());
    if info.response_code == 0 || (500..600).contains(&info.response_code) {
        span.set_tag("error", "true");
    }
    let trailers = context.response_trailers;
    grpc_status(span, if trailers.contains(Known::GrpcStatus) { trailers } else { context.response });
}

/// Statuses of gRPC that are errors of who was asked, not of who asks: unknown, deadline exceeded, resource exhausted,
/// unimplemented, internal, unavailable, data loss.
const FAILURES: [u64; 7] = [2, 4, 8, 12, 13, 14, 15];

fn grpc_status(span: &mut dyn Span, headers: &Headers) {
    let Some(status) = headers.get(Known::GrpcStatus) else { return };
    span.set_tag("grpc.status_code", &String::from_utf8_lossy(status));
    set_if_there(span, "grpc.message", headers.get(Known::GrpcMessage));
    let number = std::str::from_utf8(status).ok().and_then(|status| status.parse::<u64>().ok());
    if number.is_some_and(|number| FAILURES.contains(&number)) {
        span.set_tag("error", "true");
    }
}

/// When what happened (`verbose`).
pub(super) fn moments(span: &mut dyn Span, info: &StreamInfo) {
    let timing = &info.timing;
    let moments: [(Option<Duration>, &'static str); 7] = [
        (timing.downstream_rx_end, "last_downstream_rx_byte_received"),
        (timing.upstream_tx_start, "first_upstream_tx_byte_sent"),
        (timing.upstream_tx_end, "last_upstream_tx_byte_sent"),
        (timing.upstream_rx_start, "first_upstream_rx_byte_received"),
        (timing.upstream_rx_end, "last_upstream_rx_byte_received"),
        (timing.downstream_tx_start, "first_downstream_tx_byte_sent"),
        (timing.downstream_tx_end, "last_downstream_tx_byte_sent"),
    ];
    for (moment, event) in moments {
        if let Some(moment) = moment {
            span.log(info.start_time.checked_add(moment).unwrap_or(SystemTime::UNIX_EPOCH), event);
        }
    }
}

/// Tags that are configured: those of the route in place of the connection manager's of the same name.
pub(super) fn custom(
    span: &mut dyn Span,
    route: Option<&RouteTracing>,
    config: &Tracing,
    context: &Context<'_>,
) {
    let of_route = route.map_or(&[][..], |route| &route.custom_tags);
    let inherited =
        config.custom_tags.iter().filter(|tag| !of_route.iter().any(|other| other.tag == tag.tag));
    for custom in of_route.iter().chain(inherited) {
        // As in Envoy one without a value is left out.
        let value = custom_value(&custom.value, context);
        if !value.is_empty() {
            span.set_typed_tag(&custom.tag, &value, custom.value_type);
        }
    }
}

fn custom_value<'v>(value: &'v TagValue, context: &'v Context<'_>) -> Cow<'v, str> {
    match value {
        TagValue::Fixed(value) => Cow::Borrowed(value),
        TagValue::RequestHeader { name, default_value } => {
            let value = context.request.get_by_name(name.as_bytes());
            value.map_or(Cow::Borrowed(default_value), String::from_utf8_lossy)
        }
        TagValue::Metadata { of, path, default_value } => {
            let value = metadata(*of, &path.name, context.info).and_then(|whole| path.follow(whole));
            value.and_then(told).unwrap_or(Cow::Borrowed(default_value))
        }
        TagValue::Format(format) => {
            let mut text = Vec::new();
            render(context.info, context.request, context.response, format, &mut text);
            Cow::Owned(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

fn metadata<'i>(of: MetadataOf, name: &str, info: &'i StreamInfo) -> Option<&'i Value> {
    let upstream = || info.upstream.as_ref().filter(|upstream| upstream.host.is_some());
    let metadata = match of {
        MetadataOf::Dynamic => return info.notes()?.all_metadata().get(name),
        MetadataOf::Route => info.route_metadata.as_deref(),
        MetadataOf::Cluster => upstream()?.cluster.metadata.as_deref(),
        MetadataOf::UpstreamHost => upstream()?.host_metadata.as_deref(),
        MetadataOf::Listener | MetadataOf::FilterChain | MetadataOf::VirtualHost => None,
    };
    metadata?.filter_metadata.get(name)
}

/// A value as a tag tells it.
fn told(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            Some(Cow::Owned(number.to_string()))
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Some(Cow::Owned(value.to_string())),
    }
}

/// What the client asked for, with so many bytes of its path.
fn url(request: &Headers, max_path: usize) -> String {
    let path = request.get(Known::XEnvoyOriginalPath).or_else(|| request.get(Known::Path));
    let Some(path) = path else { return String::new() };
    let path = &path[..path.len().min(max_path)];
    let scheme = request.get(Known::XForwardedProto).unwrap_or_default();
    let host = request.get(Known::Authority).unwrap_or_default();
    String::from_utf8_lossy(&[scheme, b"://", host, path].concat()).into_owned()
}

fn or_dash(request: &Headers, header: Known) -> Cow<'_, str> {
    request.get(header).map_or(Cow::Borrowed("-"), String::from_utf8_lossy)
}

fn set_if_there(span: &mut dyn Span, tag: &str, value: Option<&[u8]>) {
    if let Some(value) = value {
        span.set_tag(tag, &String::from_utf8_lossy(value));
    }
}
