//! What a connection manager is configured to take off a request, or to refuse it for, before anything looks at it:
//! names with underscores, the port and the last dot of the host.

use std::borrow::Cow;

use crate::base::headers::{Headers, Known};
use crate::config::HttpConnectionManager;
use crate::config::http_connection_manager::{StripPort, UnderscoresAction};
use crate::observability::stream_info::ResponseFlags;

use super::local_reply::LocalReply;

/// Changes the headers of a request that came to `local_port`.
pub(super) fn sanitize(headers: &mut Headers, options: &HttpConnectionManager, local_port: Option<u16>) {
    let host = headers.get(Known::Authority).unwrap_or_default();
    let stripped = strip(host, options, local_port);
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

fn unexpected_underscore() -> LocalReply {
    LocalReply {
        flags: ResponseFlags::DPE,
        close: true,
        ..LocalReply::new(400, "Bad Request", "http1.unexpected_underscore")
    }
}

/// The host without what is to be taken off: the dot at its end, then its port.
fn strip<'a>(host: &'a [u8], options: &HttpConnectionManager, local_port: Option<u16>) -> Cow<'a, [u8]> {
    let (name, port) = split(host);
    let without_dot = name.strip_suffix(b".").filter(|_| options.strip_trailing_host_dot).unwrap_or(name);
    let strip_port = match options.strip_port {
        StripPort::None => false,
        StripPort::Any => true,
        StripPort::Matching => port.is_some() && port.and_then(number) == local_port,
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

fn number(port: &[u8]) -> Option<u16> {
    std::str::from_utf8(port).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
