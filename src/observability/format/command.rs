//! One command.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Write;

use crate::base::headers::{Headers, Known};
use crate::base::random::Rng;
use crate::base::uuid;
use crate::config::format::{Command, HeaderName, HeaderSource, HostSource, Operator, ServerName, StateForm};
use crate::observability::stream_info::{Ending, Fingerprints, ResponseFlags, StreamInfo, UpstreamInfo};
use crate::observability::watched_file;

use super::{Context, Given, address, bytes, cel, duration, grpc, metadata, path, time, tls, xfcc};

/// What a value becomes part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// A text, where everything is one.
    Text,
    /// A JSON document, where it keeps its type.
    Json,
}

/// Writes what a command gives.
pub(super) fn write(command: &Command, context: &Context<'_>, within: Within, out: &mut Vec<u8>) -> Given {
    let start = out.len();
    let given = operator(&command.operator, context, within, out);
    let is_typed_state = || matches!(command.operator, Operator::FilterState { form: StateForm::Typed, .. });
    let is_cut = match (within, given) {
        (_, Given::Nothing) => false,
        (Within::Text, _) => true,
        // As in Envoy, which looks at the length only where it makes a text of the object.
        (Within::Json, given) => given == Given::Text && !is_typed_state(),
    };
    if let Some(max) = command.max_length.filter(|_| is_cut) {
        out.truncate(start.saturating_add(max));
    }
    given
}

fn operator(operator: &Operator, context: &Context<'_>, within: Within, out: &mut Vec<u8>) -> Given {
    let info = context.info;
    let upstream = info.upstream.as_ref();
    match operator {
        Operator::Header { source, name, alternative } => {
            let headers = headers(*source, context);
            let find = |name: &HeaderName| first(headers, name);
            text(find(name).or_else(|| alternative.as_ref().and_then(find)), out)
        }
        Operator::WithoutQuery { name, alternative } => {
            let find = |name: &HeaderName| first(context.request, name);
            let value = find(name).or_else(|| alternative.as_ref().and_then(find));
            text(value.map(path::without_query), out)
        }
        Operator::ForwardedCertificate(key) => xfcc::value(key, context.request, out),
        Operator::Metadata { of, path } => metadata::write(*of, path, info, out),
        Operator::FilterState { side, name, form } => {
            metadata::write_state(metadata::notes(*side, info), name, form, within, out)
        }
        Operator::Cel { expression, typed } => cel::write(expression, *typed, context, within, out),
        Operator::HeadersBytes(source) => number(headers(*source, context).byte_size() as u64, out),
        Operator::Path { query, source } => path::path(*query, *source, context.request, out),
        Operator::QueryParam(name) => path::query_parameter(name, context.request, out),
        Operator::QueryParams { decoded } => path::query_parameters(*decoded, context.request, out),
        Operator::GrpcStatus(format) => grpc::status(*format, context, out),
        Operator::FileContent(file) => text(Some(&watched_file::content(file).unwrap_or_default()), out),
        Operator::Secret(secret) => {
            let start = out.len();
            secret.write(out);
            if out.len() > start { Given::Text } else { Given::Nothing }
        }
        Operator::LocalReplyBody => text(Some(context.local_reply_body), out),
        Operator::AccessLogType => text(Some(context.log_type.as_str().as_bytes()), out),
        Operator::StartTime(format) => time::write(format, info.start_time, out),
        Operator::EmitTime(format) => time::write(format, std::time::SystemTime::now(), out),
        Operator::Duration { from, to, precision } => duration::write(*from, *to, *precision, info, out),
        Operator::PoolReadyDuration => match upstream.and_then(|upstream| upstream.pool_ready) {
            Some(duration) => number(duration.as_millis() as u64, out),
            None => Given::Nothing,
        },
        Operator::Bytes(bytes) => number(bytes::count(*bytes, info), out),
        Operator::Protocol => text(info.protocol.map(|protocol| protocol.as_str().as_bytes()), out),
        Operator::UpstreamProtocol => {
            let protocol = upstream.and_then(|upstream| upstream.protocol);
            text(protocol.map(|protocol| protocol.as_str().as_bytes()), out)
        }
        Operator::ResponseCode => number(info.response_code.into(), out),
        // There are details, and they are empty.
        Operator::ResponseCodeDetails { .. } if info.response_flags.intersects(ResponseFlags::NFCF) => {
            text(Some(info.response_code_details.as_bytes()), out)
        }
        Operator::ResponseCodeDetails { white_space } => {
            details(&info.response_code_details, !white_space, out)
        }
        Operator::ResponseFlags => display(info.response_flags, out),
        Operator::ResponseFlagsLong if info.response_flags.is_empty() => text(Some(b"-"), out),
        Operator::ResponseFlagsLong => list(info.response_flags.long_names(), out, |name, out| {
            out.extend_from_slice(name.as_bytes());
        }),
        Operator::ConnectionTerminationDetails => optional(info.connection.termination_details(), out),
        Operator::ConnectionId => number(info.connection.id, out),
        Operator::UpstreamConnectionId => {
            number(upstream.and_then(|upstream| upstream.connection_id).unwrap_or(0), out)
        }
        Operator::UpstreamConnectionIdsAttempted => {
            list(connected(info).filter_map(|upstream| upstream.connection_id), out, |id, out| {
                number(id, out);
            })
        }
        Operator::UpstreamAttempts => number(info.upstream_attempts.into(), out),
        Operator::Address(of, end) => match address::of(*end, info) {
            Some(address) => address::write(*of, address, out),
            None => Given::Nothing,
        },
        Operator::UpstreamHostName { port } => match upstream {
            Some(upstream) => host(upstream, true, *port, out),
            None => Given::Nothing,
        },
        Operator::UpstreamHostsAttempted { names, port } => list(connected(info), out, |upstream, out| {
            host(upstream, *names, *port, out);
        }),
        Operator::UpstreamCluster => {
            let name = upstream.map(|upstream| upstream.cluster.shown());
            optional(name.filter(|name| !name.is_empty()), out)
        }
        Operator::UpstreamClusterRaw => {
            optional(upstream.map(|upstream| &*upstream.cluster.name).filter(|name| !name.is_empty()), out)
        }
        Operator::UpstreamTransportFailureReason => {
            let reason = upstream.and_then(|upstream| upstream.transport_failure_reason.as_deref());
            details(reason.unwrap_or_default(), true, out)
        }
        Operator::DownstreamTransportFailureReason => {
            details(info.connection.transport_failure_reason.get().map_or("", String::as_str), true, out)
        }
        Operator::UpstreamLocalCloseReason => {
            optional(upstream.and_then(|upstream| upstream.local_close_reason.as_deref()), out)
        }
        // Of connections that carry requests it is known only once they have closed, after the line is written.
        Operator::UpstreamDetectedCloseType => {
            let is_told = upstream.is_some() || info.ending.is_some();
            optional(is_told.then(|| ending(info).upstream_close.as_str()), out)
        }
        Operator::DownstreamDetectedCloseType => optional(Some(ending(info).downstream_close.as_str()), out),
        Operator::DownstreamLocalCloseReason => optional(ending(info).downstream_local_close_reason, out),
        Operator::RouteName => not_empty(info.route_name.as_deref().unwrap_or_default(), out),
        Operator::VirtualClusterName => {
            not_empty(info.virtual_cluster_name.as_deref().unwrap_or_default(), out)
        }
        Operator::RouteResolutions => number(info.route_resolutions.into(), out),
        Operator::ListenerName => optional(info.connection.listener_name.as_deref(), out),
        Operator::FilterChainName => optional(info.connection.filter_chain_name.as_deref(), out),
        Operator::RequestedServerName { name, host } => server_name(*name, *host, context, out),
        Operator::Ja3Fingerprint => {
            optional(fingerprints(info).and_then(|fingerprints| fingerprints.ja3.as_deref()), out)
        }
        Operator::Ja4Fingerprint => {
            optional(fingerprints(info).and_then(|fingerprints| fingerprints.ja4.as_deref()), out)
        }
        // The request's id where none was given to the stream, as in Envoy.
        Operator::StreamId => {
            let request_id = || context.request.get(Known::XRequestId);
            text(info.stream_id.as_deref().map(str::as_bytes).or_else(request_id), out)
        }
        Operator::TraceId => optional(info.trace_ids.as_ref().map(|ids| &*ids.trace), out),
        Operator::SpanId => optional(info.trace_ids.as_ref().and_then(|ids| ids.span.as_deref()), out),
        Operator::UniqueId => unique_id(out),
        Operator::Constant(value) => text(Some(value.as_bytes()), out),
        Operator::Coalesce(commands) => coalesce(commands, context, within, out),
        Operator::Tls(side, part) => tls::write(*side, *part, info, out),
        Operator::CertificateValidity { side, end, format } => tls::validity(*side, *end, format, info, out),
        Operator::Absent => Given::Nothing,
        Operator::Empty => Given::Text,
        Operator::Zero => number(0, out),
    }
}

fn fingerprints(info: &StreamInfo) -> Option<&Fingerprints> {
    info.connection.fingerprints.as_deref()
}

fn ending(info: &StreamInfo) -> Ending {
    info.ending.as_deref().copied().unwrap_or_default()
}

pub(super) fn number(value: u64, out: &mut Vec<u8>) -> Given {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Given::Number
}

pub(super) fn text(value: Option<&[u8]>, out: &mut Vec<u8>) -> Given {
    match value {
        Some(value) => {
            out.extend_from_slice(value);
            Given::Text
        }
        None => Given::Nothing,
    }
}

fn optional(value: Option<&str>, out: &mut Vec<u8>) -> Given {
    text(value.map(str::as_bytes), out)
}

fn not_empty(value: &str, out: &mut Vec<u8>) -> Given {
    optional(Some(value).filter(|value| !value.is_empty()), out)
}

pub(super) fn display(value: impl std::fmt::Display, out: &mut Vec<u8>) -> Given {
    // Writing to a vector does not fail.
    write!(out, "{value}").map_or(Given::Nothing, |()| Given::Text)
}

/// Items with commas between them; nothing if there is none.
fn list<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) -> Given {
    let mut given = Given::Nothing;
    for item in items {
        if given == Given::Text {
            out.push(b',');
        }
        write(item, out);
        given = Given::Text;
    }
    given
}

/// Text in which white space may have to become `_`, so that a line splits at its spaces.
fn details(value: &str, underscores: bool, out: &mut Vec<u8>) -> Given {
    let start = out.len();
    let given = not_empty(value, out);
    if underscores {
        out[start..].iter_mut().filter(|byte| byte.is_ascii_whitespace()).for_each(|byte| *byte = b'_');
    }
    given
}

fn headers<'a>(source: HeaderSource, context: &Context<'a>) -> &'a Headers {
    match source {
        HeaderSource::Request => context.request,
        HeaderSource::Response => context.response,
        HeaderSource::ResponseTrailers => context.response_trailers,
    }
}

fn first<'a>(headers: &'a Headers, name: &HeaderName) -> Option<&'a [u8]> {
    match name {
        HeaderName::Known(known) => headers.get(*known),
        HeaderName::Other(name) => headers.get_by_name(name),
    }
}

fn server_name(from: ServerName, host: HostSource, context: &Context<'_>, out: &mut Vec<u8>) -> Given {
    let sni = Some(&*context.info.connection.requested_server_name).filter(|name| !name.is_empty());
    let sni = sni.map(shown_name);
    let sni = sni.as_deref().map(str::as_bytes);
    let (original, current) = (Known::XEnvoyOriginalHost, Known::Authority);
    let host = match host {
        HostSource::OriginalOrHost => context.request.get(original).or_else(|| context.request.get(current)),
        HostSource::Original => context.request.get(original),
        HostSource::Host => context.request.get(current),
    };
    let name = match from {
        ServerName::SniOnly => sni,
        ServerName::SniFirst => sni.or(host),
        ServerName::HostFirst => host.or(sni),
    };
    text(name, out)
}

/// A name that a client asks for, as it may be shown: the client could write anything else, lines of its own among them.
fn shown_name(name: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if name.chars().all(is_fine) {
        return Cow::Borrowed(name);
    }
    // As Envoy, which goes byte by byte.
    let shown = |c: char| match c {
        c if is_fine(c) => String::from(c),
        char::REPLACEMENT_CHARACTER => "_".into(),
        c => "_".repeat(c.len_utf8()),
    };
    Cow::Owned(std::iter::once("invalid:".to_owned()).chain(name.chars().map(shown)).collect())
}

/// The host to which there was a connection, or datagrams went. As in Envoy those of attempts before are not told.
fn connected(info: &StreamInfo) -> impl Iterator<Item = &UpstreamInfo> {
    info.upstream.iter().filter(|upstream| upstream.is_connected())
}

fn host(upstream: &UpstreamInfo, name: bool, port: bool, out: &mut Vec<u8>) -> Given {
    if name && !upstream.hostname.is_empty() {
        let name = match upstream.hostname.rsplit_once(':') {
            Some((name, _)) if !port => name,
            _ => &upstream.hostname,
        };
        return optional(Some(name), out);
    }
    let of = if port { crate::config::format::AddressOf::Whole } else { address::WITHOUT_PORT };
    match &upstream.host {
        Some(host) => address::write(of, host, out),
        None => Given::Nothing,
    }
}

fn coalesce(commands: &[Command], context: &Context<'_>, within: Within, out: &mut Vec<u8>) -> Given {
    let given = commands.iter().map(|command| write(command, context, within, out));
    { given }.find(|given| *given != Given::Nothing).unwrap_or(Given::Nothing)
}

/// A random UUID.
fn unique_id(out: &mut Vec<u8>) -> Given {
    thread_local! {
        static RANDOM: RefCell<Rng> = RefCell::new(Rng::from_entropy());
    }
    let (high, low) = RANDOM.with_borrow_mut(|random| (random.next_u64(), random.next_u64()));
    text(Some(&uuid::random(high, low)), out)
}
