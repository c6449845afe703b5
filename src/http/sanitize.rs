//! What a connection manager is configured to take off a request, or to refuse it for, before anything looks at it:
//! names with underscores, the port and the last dot of the host.

use std::borrow::Cow;
use std::task::{Context, Poll, ready};

use crate::base::headers::{Headers, Known};
use crate::codec::h1::ParseError;
use crate::codec::{Frame, StreamError};
use crate::config::HttpConnectionManager;
use crate::config::http_connection_manager::{StripPort, UnderscoresAction};
use crate::observability::stream_info::{Protocol, ResponseFlags};

use super::downstream::Downstream;
use super::local_reply::LocalReply;

/// Changes the headers of a request that came to `local_port`. As in Envoy an upgrade over HTTP/2 keeps its port.
pub(super) fn sanitize(
    headers: &mut Headers,
    options: &HttpConnectionManager,
    protocol: Option<Protocol>,
    local_port: Option<u16>,
) {
    let is_extended_connect = protocol == Some(Protocol::Http2) && headers.contains(Known::Upgrade);
    let strip_port = if is_extended_connect { StripPort::None } else { options.strip_port };
    let host = headers.get(Known::Authority).unwrap_or_default();
    let stripped = strip(host, strip_port, options.strip_trailing_host_dot, local_port);
    if stripped.len() != host.len() {
        let stripped = stripped.into_owned();
        headers.set(Known::Authority, &stripped);
    }
}

fn has_underscore(name: &[u8]) -> bool {
    memchr::memchr(b'_', name).is_some()
}

/// Drops the headers with an underscore in their name, or refuses the request for them, as `action` says. Gives the
/// number of those dropped.
pub(super) fn settle_underscores(
    headers: &mut Headers,
    action: UnderscoresAction,
) -> Result<usize, LocalReply> {
    match action {
        UnderscoresAction::Allow => Ok(0),
        UnderscoresAction::RejectRequest => {
            let found = headers.iter().any(|(name, _)| has_underscore(name.as_bytes()));
            if found { Err(unexpected_underscore()) } else { Ok(0) }
        }
        UnderscoresAction::DropHeader => {
            let before = headers.len();
            headers.retain(|name, _| !has_underscore(name.as_bytes()));
            Ok(before - headers.len())
        }
    }
}

/// The next piece of a request. Underscores in names of trailers are dealt with like those in names of headers.
pub(super) fn poll_request<D: Downstream>(
    down: &mut D,
    action: UnderscoresAction,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame>, StreamError>> {
    let mut frame = ready!(down.poll_frame(cx))?;
    if let (Some(Frame::Trailers(trailers)), true) = (&mut frame, action != UnderscoresAction::Allow)
        && settle_underscores(trailers, action).is_err()
    {
        return Poll::Ready(Err(StreamError::Protocol(ParseError::Underscore)));
    }
    // Trailers of which nothing is left are the end alone.
    Poll::Ready(Ok(frame.filter(|frame| !matches!(frame, Frame::Trailers(trailers) if trailers.is_empty()))))
}

fn unexpected_underscore() -> LocalReply {
    LocalReply {
        flags: ResponseFlags::DPE,
        close: true,
        ..LocalReply::new(400, "Bad Request", "http1.unexpected_underscore")
    }
}

/// The host without what is to be taken off: the dot at its end, then its port.
fn strip(host: &[u8], strip_port: StripPort, strip_dot: bool, local_port: Option<u16>) -> Cow<'_, [u8]> {
    let (name, port) = split(host);
    let without_dot = name.strip_suffix(b".").filter(|_| strip_dot).unwrap_or(name);
    let told = port.and_then(number);
    let strip_port = match strip_port {
        StripPort::None => false,
        StripPort::Any => told.is_some(),
        StripPort::Matching => told.is_some() && told == local_port.map(u32::from),
    };
    match port {
        Some(port) if !strip_port && without_dot.len() != name.len() => {
            Cow::Owned([without_dot, b":", port].concat())
        }
        Some(_) if !strip_port => Cow::Borrowed(host),
        _ => Cow::Borrowed(without_dot),
    }
}

/// The host and its port; the colons of an IPv6 address stand in brackets.
fn split(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from = memchr::memrchr(b']', host).unwrap_or(0);
    match memchr::memrchr(b':', &host[from..]) {
        Some(colon) => (&host[..from + colon], Some(&host[from + colon + 1..])),
        None => (host, None),
    }
}

/// A port as Envoy reads one: a number, if one that no port has.
fn number(port: &[u8]) -> Option<u32> {
    std::str::from_utf8(port).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_taken_off() {
        for (host, expected) in
            [("a:80", "a"), ("a:99999", "a"), ("a:", "a:"), ("a:b", "a:b"), ("[::1]:80", "[::1]"), ("a", "a")]
        {
            let found = strip(host.as_bytes(), StripPort::Any, false, None);
            assert_eq!(found, expected.as_bytes(), "{host}");
        }
        assert_eq!(strip(b"a.:80", StripPort::Matching, true, Some(80)), &b"a"[..]);
        assert_eq!(strip(b"a.:81", StripPort::Matching, true, Some(80)), &b"a:81"[..]);
    }

    #[test]
    fn the_port_of_a_host_stands_behind_its_last_colon() {
        for (host, name, port) in [
            ("a.com", "a.com", None),
            ("a.com:80", "a.com", Some("80")),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]", Some("80")),
            ("", "", None),
        ] {
            assert_eq!(split(host.as_bytes()), (name.as_bytes(), port.map(str::as_bytes)), "{host}");
        }
    }
}
