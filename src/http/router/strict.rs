//! `strict_check_headers`: what a client asks of the router in headers is refused where it makes no sense.

use std::borrow::Cow;

use bytes::Bytes;

use crate::base::headers::Headers;
use crate::http::local_reply::LocalReply;
use crate::observability::stream_info::ResponseFlags;

/// What `x-envoy-retry-on` may ask for.
const RETRY_ON: &[&str] = &[
    "5xx",
    "gateway-error",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "reset",
    "reset-before-request",
    "http3-post-connect-failure",
    "envoy-ratelimited",
];

/// What `x-envoy-retry-grpc-on` may ask for.
const RETRY_GRPC_ON: &[&str] =
    &["cancelled", "deadline-exceeded", "resource-exhausted", "unavailable", "internal"];

/// Checks the headers of these names, where they are there.
///
/// # Errors
/// The answer to a request with one that is none.
pub(super) fn check(headers: &Headers, names: &[String]) -> Result<(), LocalReply> {
    for name in names {
        if let Some(value) = headers.get_by_name(name.as_bytes())
            && !is_sound(name, value)
        {
            return Err(refusal(name, value));
        }
    }
    Ok(())
}

fn is_sound(name: &str, value: &[u8]) -> bool {
    match name {
        "x-envoy-retry-on" => are_all(value, RETRY_ON),
        "x-envoy-retry-grpc-on" => are_all(value, RETRY_GRPC_ON),
        _ => std::str::from_utf8(value).is_ok_and(|text| text.trim().parse::<u32>().is_ok()),
    }
}

fn are_all(list: &[u8], known: &[&str]) -> bool {
    let mut tokens = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tokens.all(|token| known.iter().any(|known| known.as_bytes() == token))
}

fn refusal(name: &str, value: &[u8]) -> LocalReply {
    let body = [b"invalid header '", name.as_bytes(), b"' with value '", value, b"'"].concat();
    LocalReply {
        body: Bytes::from(body),
        flags: ResponseFlags::IH,
        details: Cow::Owned(format!("request_headers_failed_strict_check{{{name}}}")),
        ..LocalReply::new(400, "", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_numbers_are_told_from_what_is_none() {
        for (name, value, sound) in [
            ("x-envoy-retry-on", "5xx, reset", true),
            ("x-envoy-retry-on", "5xx,never", false),
            ("x-envoy-retry-grpc-on", "cancelled", true),
            ("x-envoy-retry-grpc-on", "5xx", false),
            ("x-envoy-max-retries", "3", true),
            ("x-envoy-max-retries", "-1", false),
            ("x-envoy-upstream-rq-timeout-ms", "1.5s", false),
        ] {
            assert_eq!(is_sound(name, value.as_bytes()), sound, "{name}: {value}");
        }
    }
}
