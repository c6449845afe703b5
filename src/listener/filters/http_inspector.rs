//! `envoy.filters.listener.http_inspector`: finds out which version of HTTP a plain connection speaks.

use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::observability::stats::listener::HttpInspectorStats;

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

/// How an HTTP/2 connection begins, as far as it is looked at (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a first line that are looked at.
const MAX_LINE: usize = 64 * 1024;
/// The longest method that is one.
const MAX_METHOD: usize = 32;

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.listener.http_inspector",
    type_name: "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.listener.http_inspector.v3.HttpInspector`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config;

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
    fn from_proto(message: v3::HttpInspector, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HttpInspector = message; implemented {} }
        Some(Config)
    }
}

pub(super) fn make(_: &Config, context: &Context<'_>) -> Box<dyn ListenerFilter> {
    Box::new(HttpInspector { stats: HttpInspectorStats::new(context.registry, "http_inspector.") })
}

#[derive(Debug)]
struct HttpInspector {
    stats: HttpInspectorStats,
}

/// What first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Http10,
    Http11,
    Http2,
    NoHttp,
    /// More of them are needed.
    Nothing,
}

impl ListenerFilter for HttpInspector {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        // What speaks TLS tells its protocol otherwise.
        match connection.transport_protocol {
            "" | "raw_buffer" => Verdict::More,
            _ => Verdict::Continue,
        }
    }

    fn max_bytes(&self) -> usize {
        MAX_LINE
    }

    fn data(&self, bytes: &[u8], connection: &mut Accepted<'_>) -> Verdict {
        let protocol = match look(bytes) {
            Found::Nothing => return Verdict::More,
            Found::NoHttp => {
                self.stats.http_not_found().inc();
                return Verdict::Continue;
            }
            Found::Http10 => {
                self.stats.http10_found().inc();
                "http/1.0"
            }
            Found::Http11 => {
                self.stats.http11_found().inc();
                "http/1.1"
            }
            Found::Http2 => {
                self.stats.http2_found().inc();
                "h2c"
            }
        };
        connection.application_protocols = vec![protocol.into()];
        Verdict::Continue
    }
}

fn look(bytes: &[u8]) -> Found {
    let shared = bytes.len().min(PREFACE.len());
    if bytes[..shared] == PREFACE[..shared] {
        return if shared == PREFACE.len() { Found::Http2 } else { Found::Nothing };
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = end.map_or(bytes, |end| bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]));
    if !may_be_method(line) {
        return Found::NoHttp;
    }
    match end {
        None if bytes.len() < MAX_LINE => Found::Nothing,
        None => Found::NoHttp,
        Some(_) => version(line),
    }
}

/// Whether a line begins with a method, as far as it goes.
fn may_be_method(line: &[u8]) -> bool {
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    method.len() <= MAX_METHOD && !line.starts_with(b" ") && method.iter().all(is_token)
}

/// The version at the end of a request line.
fn version(line: &[u8]) -> Found {
    let Some(at) = line.iter().rposition(|byte| *byte == b' ') else { return Found::NoHttp };
    match &line[at + 1..] {
        b"HTTP/1.1" => Found::Http11,
        // As in Envoy every other version is an old one.
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Found::Http10
        }
        _ => Found::NoHttp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_tells_its_version() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\n", Found::Http11),
            ("GET /  HTTP/1.1\n", Found::Http11),
            ("GET / HTTP/1.0\r\nhost: a", Found::Http10),
            ("GET / HTTP/0.9\r\n", Found::Http10),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nx", Found::Http2),
            ("PRI * HTTP/2.0\r\n\r\nS", Found::Nothing),
            ("PRI * HTTP/1.1\r\n", Found::Http11),
            ("GE", Found::Nothing),
            ("GET / HTTP/1.", Found::Nothing),
            ("GET / HTTP/1.x\r\n", Found::NoHttp),
            ("hello\r\n", Found::NoHttp),
            ("\u{16}\u{3}\u{1}", Found::NoHttp),
            (" GET", Found::NoHttp),
        ] {
            assert_eq!(look(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
