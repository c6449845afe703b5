//! One command.

use std::cell::RefCell;
use std::io::Write;

use crate::base::headers::{Headers, Known};
use crate::base::random::Rng;
use crate::base::uuid;
use crate::config::format::{Command, HeaderName, HeaderSource, Operator, StateForm};
use crate::observability::watched_file;

use super::{
    Context, Given, address, bytes, cel, downstream, duration, grpc, metadata, path, response, server_name,
    time, tls, upstream, xfcc,
};

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
    match operator {
        Operator::Header { source, name, alternative } => {
            let headers = headers(*source, context);
            text(first_of(headers, name, alternative.as_ref()), out)
        }
        Operator::WithoutQuery { name, alternative } => {
            let value = first_of(context.request, name, alternative.as_ref());
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
        Operator::Secret(secret) => written(|out| secret.write(out), out),
        Operator::LocalReplyBody => text(Some(context.local_reply_body), out),
        Operator::AccessLogType => text(Some(context.log_type.as_str().as_bytes()), out),
        Operator::StartTime(format) => time::write(format, info.start_time, out),
        Operator::EmitTime(format) => time::write(format, std::time::SystemTime::now(), out),
        Operator::Duration { from, to, precision } => duration::write(*from, *to, *precision, info, out),
        Operator::Bytes(bytes) => number(bytes::count(*bytes, info), out),
        Operator::Protocol => text(info.protocol.map(|protocol| protocol.as_str().as_bytes()), out),
        Operator::Response(part) => response::write(*part, info, out),
        Operator::Downstream(part) => downstream::write(*part, info, out),
        Operator::Upstream(part) => upstream::write(*part, info, out),
        Operator::RouteName => not_empty(info.route_name.as_deref().unwrap_or_default(), out),
        Operator::VirtualClusterName => {
            not_empty(info.virtual_cluster_name.as_deref().unwrap_or_default(), out)
        }
        Operator::RouteResolutions => number(info.route_resolutions.into(), out),
        Operator::RouteResolutionTime => match info.route_resolution_time {
            Some(time) => number(time.as_micros() as u64, out),
            None => Given::Nothing,
        },
        Operator::Address(of, end) => match address::of(*end, info) {
            Some(address) => address::write(*of, address, out),
            None => Given::Nothing,
        },
        Operator::RequestedServerName { name, host } => server_name::write(*name, *host, context, out),
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

pub(super) fn optional(value: Option<&str>, out: &mut Vec<u8>) -> Given {
    text(value.map(str::as_bytes), out)
}

pub(super) fn not_empty(value: &str, out: &mut Vec<u8>) -> Given {
    optional(Some(value).filter(|value| !value.is_empty()), out)
}

pub(super) fn display(value: impl std::fmt::Display, out: &mut Vec<u8>) -> Given {
    // Writing to a vector does not fail.
    write!(out, "{value}").map_or(Given::Nothing, |()| Given::Text)
}

/// Text in which white space may have to become `_`, so that a line splits at its spaces.
pub(super) fn details(value: &str, underscores: bool, out: &mut Vec<u8>) -> Given {
    let start = out.len();
    let given = not_empty(value, out);
    if underscores {
        out[start..].iter_mut().filter(|byte| byte.is_ascii_whitespace()).for_each(|byte| *byte = b'_');
    }
    given
}

/// Items with commas between them; nothing if there is none.
pub(super) fn list<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) -> Given {
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

/// What writes something by itself; nothing where it writes nothing.
fn written(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) -> Given {
    let start = out.len();
    write(out);
    if out.len() > start { Given::Text } else { Given::Nothing }
}

fn headers<'a>(source: HeaderSource, context: &Context<'a>) -> &'a Headers {
    match source {
        HeaderSource::Request => context.request,
        HeaderSource::Response => context.response,
        HeaderSource::ResponseTrailers => context.response_trailers,
    }
}

/// The value of a header, or of the other one where there is none.
fn first_of<'a>(headers: &'a Headers, name: &HeaderName, or: Option<&HeaderName>) -> Option<&'a [u8]> {
    first(headers, name).or_else(|| first(headers, or?))
}

fn first<'a>(headers: &'a Headers, name: &HeaderName) -> Option<&'a [u8]> {
    match name {
        HeaderName::Known(known) => headers.get(*known),
        HeaderName::Other(name) => headers.get_by_name(name),
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
