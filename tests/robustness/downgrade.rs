//! Requests over HTTP/2 that would become two, or another, where they are forwarded over HTTP/1.1.

use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, block, frame, request_block};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::PATIENCE;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A field.
type Field<'a> = (&'a [u8], &'a [u8]);

const METHOD: Field<'_> = (b":method", b"GET");
const SCHEME: Field<'_> = (b":scheme", b"http");
const AUTHORITY: Field<'_> = (b":authority", b"a");
const PATH: Field<'_> = (b":path", b"/");

/// What the host gets of a request, if anything.
fn forwarded(rig: &Rig, upstream: &Upstream, frames: &[u8]) -> (u16, Option<String>) {
    let mut client = rig.http2();
    client.wire.send(frames);
    let status = client.status(1);
    let head = upstream.reports.try_recv().ok();
    (status, head.map(|head| String::from_utf8_lossy(&head).into_owned()))
}

fn refused(fields: &[Field<'_>]) {
    let upstream = Upstream::answering(OK);
    let rig = Rig::start(&upstream, Setup::default());
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields));
    let (status, head) = forwarded(&rig, &upstream, &request);
    assert!(matches!(status, 0 | 400), "{status} for {fields:?}");
    assert_eq!(head, None, "{fields:?}");
    rig.recovers();
}

#[test]
fn pseudo_headers_that_are_missing_repeated_or_malformed_are_refused() {
    let with = |field| refused(&[METHOD, SCHEME, AUTHORITY, PATH, field]);
    with(METHOD);
    with(PATH);
    with(SCHEME);
    with((b":status", b"200"));
    with((b":unknown", b"a"));
    refused(&[SCHEME, AUTHORITY, PATH]);
    refused(&[METHOD, SCHEME, AUTHORITY]);
    refused(&[METHOD, SCHEME, AUTHORITY, (b"x", b"a"), PATH]);
    for method in [&b""[..], b"GET / HTTP/1.1\r\nx: ", b"G ET", b"GET\0"] {
        refused(&[(b":method", method), SCHEME, AUTHORITY, PATH]);
    }
    for path in [&b""[..], b"/ HTTP/1.1\r\nx: y", b"/a b", b"/\0", b"/\n", b"a"] {
        let upstream = Upstream::answering(OK);
        let rig = Rig::start(&upstream, Setup::default());
        let block = block(&[METHOD, SCHEME, AUTHORITY, (b":path", path)]);
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        let (status, head) = forwarded(&rig, &upstream, &request);
        assert!(matches!(status, 0 | 400 | 404), "{status} for {path:?}");
        assert_eq!(head, None, "{path:?}");
    }
    for authority in [&b"a\r\nx: y"[..], b"a b", b"a/b", b"a\0", b"a,b"] {
        let upstream = Upstream::answering(OK);
        let rig = Rig::start(&upstream, Setup::default());
        let block = block(&[METHOD, SCHEME, (b":authority", authority), PATH]);
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        let (_, head) = forwarded(&rig, &upstream, &request);
        let host = [b"\r\nhost: ", authority, b"\r\n"].concat();
        let unchanged = |head: String| crate::common::http1::find(head.as_bytes(), &host).is_some();
        let sound = authority.iter().all(|byte| (0x21..0x7f).contains(byte));
        assert!(head.is_none_or(|head| sound && unchanged(head)), "{authority:?}");
    }
}

#[test]
fn line_ends_and_nulls_in_fields_are_refused() {
    for value in [&b"a\r\nx: y"[..], b"a\rb", b"a\nb", b"a\0b", b"a\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"] {
        refused(&[METHOD, SCHEME, AUTHORITY, PATH, (b"x", value)]);
    }
    for name in [&b"x\r\ny"[..], b"x: y", b"X", b"x y", b"x\0", b"x\"y", b""] {
        refused(&[METHOD, SCHEME, AUTHORITY, PATH, (name, b"a")]);
    }
}

#[test]
fn what_frames_an_http1_message_is_refused() {
    for field in [
        (&b"transfer-encoding"[..], &b"chunked"[..]),
        (b"connection", b"close"),
        (b"connection", b"transfer-encoding"),
        (b"upgrade", b"websocket"),
        (b"keep-alive", b"1"),
        (b"proxy-connection", b"close"),
        (b"te", b"chunked"),
        (b"content-length", b"+1"),
        (b"content-length", b"0x1"),
        (b"content-length", b"1, 1"),
        (b"content-length", b"-1"),
        (b"content-length", b""),
        (b"content-length", b"99999999999999999999"),
        (b"content-length", b"7"),
    ] {
        refused(&[METHOD, SCHEME, AUTHORITY, PATH, field]);
    }
    refused(&[METHOD, SCHEME, AUTHORITY, PATH, (b"content-length", b"0"), (b"content-length", b"5")]);
}

#[test]
fn a_body_of_another_length_than_told_is_cut_off() {
    for (told, body) in [("3", &b"abcdef"[..]), ("6", b"abc"), ("0", b"GET / HTTP/1.1\r\n\r\n")] {
        let upstream = Upstream::running(|mut wire, reports| {
            reports.send(wire.rest()).ok();
        });
        let rig = Rig::start(&upstream, Setup::default());
        let mut client = rig.http2();
        let head = request_block("POST", "/", &[(b"content-length", told.as_bytes())]);
        client.wire.send(&frame(HEADERS, END_HEADERS, 1, &head));
        client.wire.send(&frame(DATA, END_STREAM, 1, body));
        let status = client.status(1);
        assert!(matches!(status, 0 | 400 | 502 | 503), "{status}");
        drop(client);
        if rig.stat("cluster.app.upstream_cx_total") > 0 {
            let got = upstream.reports.recv_timeout(PATIENCE).unwrap();
            // It may have been given up before its head was written.
            let body = crate::common::http1::find(&got, b"\r\n\r\n").map_or(0, |at| got.len() - at - 4);
            let told: usize = told.parse().unwrap();
            assert!(body <= told, "{:?}", String::from_utf8_lossy(&got));
        }
        rig.recovers();
    }
}

#[test]
fn a_sound_request_is_forwarded_once_with_one_framing() {
    let upstream = Upstream::answering(OK);
    let rig = Rig::start(&upstream, Setup::default());
    let head = request_block("GET", "/x?y", &[(b"host", b"other"), (b"x", b"a"), (b"te", b"trailers")]);
    let (status, head) = forwarded(&rig, &upstream, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &head));
    let head = head.unwrap();
    assert_eq!(status, 200);
    assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"), "{head}");
    assert_eq!(head.matches("host: ").count(), 1, "{head}");
    assert!(head.contains("\r\nhost: a\r\n"), "{head}");
    assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
    rig.recovers();
}
