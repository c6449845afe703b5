//! `GRPC_STATUS`.

use crate::base::headers::{Headers, Known};
use crate::config::format::GrpcStatusFormat;

use super::command::text;
use super::{Context, Given};

/// Names of the codes, in both forms; by number.
const NAMES: [(&str, &str); 17] = [
    ("OK", "OK"),
    ("Canceled", "CANCELLED"),
    ("Unknown", "UNKNOWN"),
    ("InvalidArgument", "INVALID_ARGUMENT"),
    ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
    ("NotFound", "NOT_FOUND"),
    ("AlreadyExists", "ALREADY_EXISTS"),
    ("PermissionDenied", "PERMISSION_DENIED"),
    ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
    ("FailedPrecondition", "FAILED_PRECONDITION"),
    ("Aborted", "ABORTED"),
    ("OutOfRange", "OUT_OF_RANGE"),
    ("Unimplemented", "UNIMPLEMENTED"),
    ("Internal", "INTERNAL"),
    ("Unavailable", "UNAVAILABLE"),
    ("DataLoss", "DATA_LOSS"),
    ("Unauthenticated", "UNAUTHENTICATED"),
];

/// The number of what is no status.
const INVALID: i64 = -1;

/// Writes the status of a gRPC request.
pub(super) fn status(format: GrpcStatusFormat, context: &Context<'_>, out: &mut Vec<u8>) -> Given {
    if !is_grpc(context.request) {
        return Given::Nothing;
    }
    let Some(status) = code(context) else { return Given::Nothing };
    let names = usize::try_from(status).ok().and_then(|status| NAMES.get(status));
    match (format, names) {
        (GrpcStatusFormat::Number, _) => {
            out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
            Given::Number
        }
        (GrpcStatusFormat::CamelString, Some((name, _)))
        | (GrpcStatusFormat::SnakeString, Some((_, name))) => text(Some(name.as_bytes()), out),
        (_, None) => {
            out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
            Given::Text
        }
    }
}

/// The status of a response, whatever the request was: from the trailers, the headers or else the HTTP status.
pub fn code(context: &Context<'_>) -> Option<i64> {
    declared(context.response_trailers)
        .or_else(|| declared(context.response))
        .or_else(|| from_http(context.info.response_code))
}

/// `application/grpc` and what begins with `application/grpc+`.
fn is_grpc(request: &Headers) -> bool {
    let suffix = request.get(Known::ContentType).and_then(|kind| kind.strip_prefix(b"application/grpc"));
    suffix.is_some_and(|suffix| suffix.is_empty() || suffix[0] == b'+')
}

/// The status that stands there; [`INVALID`] for what is none.
fn declared(headers: &Headers) -> Option<i64> {
    let status = std::str::from_utf8(headers.get(Known::GrpcStatus)?).ok();
    Some(status.and_then(|status| status.parse::<u32>().ok()).map_or(INVALID, i64::from))
}

/// What gRPC takes an HTTP status for that comes without its own; none before there is a response.
fn from_http(status: u16) -> Option<i64> {
    match status {
        0 => None,
        400 => Some(13),
        401 => Some(16),
        403 => Some(7),
        404 => Some(12),
        429 | 502 | 503 | 504 => Some(14),
        _ => Some(2),
    }
}
