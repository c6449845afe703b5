//! Formats of access logs and header values, and what they make of a request.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use dragoman::base::headers::{Headers, Known};
use dragoman::config::format::Format;
use dragoman::observability::format::{Absent, Context, LogType, render};
use dragoman::observability::stream_info::{Address, ConnectionInfo, StreamInfo};

use super::Target;
use crate::corpus;

/// A text as a format, and every format against a request that was answered by nobody.
pub(super) const FORMATS: Target = Target {
    name: "formats",
    run: |data| {
        let Some(format) = std::str::from_utf8(data).ok().and_then(|text| Format::parse(text).ok()) else {
            return;
        };
        let (info, request, empty) = (info(), request(), Headers::new());
        let context = Context {
            info: &info,
            request: &request,
            response: &empty,
            response_trailers: &empty,
            local_reply_body: b"no healthy upstream",
            log_type: LogType::DownstreamEnd,
        };
        for absent in [Absent::Dash, Absent::Omit] {
            let mut line = Vec::new();
            render(&format, &context, absent, &mut line);
            if let Some(literal) = format.as_literal() {
                assert_eq!(line, literal.as_bytes());
            }
        }
    },
    seeds: || corpus::load(&["fuzz/corpus/formats"]),
    dictionary: &[
        b"%",
        b"%%",
        b"%REQ(",
        b")%",
        b"):7%",
        b"?",
        b"%START_TIME(",
        b"%3f",
        b"%Z",
        b"%DYNAMIC_METADATA(a:b)%",
        b"%FILTER_STATE(a:PLAIN)%",
        b"%UPSTREAM_REMOTE_PORT%",
        b"%CEL(a)%",
        b"%QUERY_PARAM(a)%",
    ],
};

fn info() -> StreamInfo {
    let address = Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let now = Instant::now();
    let connection = ConnectionInfo {
        is_there: true,
        id: 1,
        direct_remote: address.clone(),
        remote: address.clone(),
        local: address.clone(),
        direct_local: address,
        start: now,
        listener_name: None,
        filter_chain_name: None,
        requested_server_name: "".into(),
        fingerprints: None,
        refusal: Default::default(),
        transport_failure_reason: Default::default(),
        encrypted: false,
        tls: Default::default(),
        listener_metadata: None,
        filter_chain_metadata: None,
        direction: Default::default(),
        node: None,
        notes: Default::default(),
        local_restored: false,
        proxied_values: None,
        kept: Default::default(),
    };
    StreamInfo::new(now, SystemTime::UNIX_EPOCH, Rc::new(connection))
}

fn request() -> Headers {
    let mut headers = Headers::new();
    headers.append(Known::Method, b"GET");
    headers.append(Known::Path, b"/a?b=\xff\"c");
    headers.append(Known::Authority, b"example.com:80");
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_accepted() {
        for format in (FORMATS.seeds)().unwrap() {
            Format::parse(std::str::from_utf8(&format).unwrap()).unwrap();
        }
    }
}
