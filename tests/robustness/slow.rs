//! Peers that begin and do not go on.

use crate::common::http1::Message;
use crate::frames::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PREFACE, frame, post, request_block};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::Wire;

fn rig(manager: &'static str) -> Rig {
    Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() })
}

/// Sends `bytes` and nothing more: what is answered before the proxy closes.
fn answered(rig: &Rig, bytes: &[u8]) -> Option<Message> {
    let mut wire = rig.http1();
    wire.send(bytes);
    rig.serves_others();
    let response = wire.response();
    assert_eq!(wire.rest(), b"");
    response
}

const HALF_HEADS: [&[u8]; 5] =
    [b"G", b"\r\n", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: ", b"PRI * H"];

#[test]
fn half_a_head_is_answered_408_when_the_time_for_heads_is_over() {
    let rig = rig("request_headers_timeout: 0.2s");
    for half in HALF_HEADS {
        let response = answered(&rig, half).unwrap();
        assert_eq!(response.status, 408, "{}", response.shown);
    }
    assert_eq!(rig.stat("http.web.downstream_rq_header_timeout"), HALF_HEADS.len() as u64);
    rig.recovers();
}

#[test]
fn half_a_head_is_answered_408_when_the_stream_has_been_idle_too_long() {
    let rig = rig("stream_idle_timeout: 0.2s");
    for half in HALF_HEADS {
        let response = answered(&rig, half).unwrap();
        assert_eq!((response.status, &response.body[..]), (408, &b"stream timeout"[..]));
    }
    assert_eq!(rig.stat("http.web.downstream_rq_idle_timeout"), HALF_HEADS.len() as u64);
    rig.recovers();
}

#[test]
fn a_head_that_comes_byte_by_byte_does_not_put_its_time_off() {
    let rig = rig("request_headers_timeout: 0.3s");
    let mut wire = rig.http1();
    wire.send(b"GET / HTTP/1.1\r\n");
    // Each look at the statistics takes its time; the proxy closes while the head still comes.
    while rig.stat("http.web.downstream_rq_header_timeout") == 0 {
        wire.flood(b"x-a: b\r\n");
    }
    assert!(wire.response().is_none_or(|response| response.status == 408));
    rig.recovers();
}

#[test]
fn a_line_end_cut_in_two_before_a_request_is_passed_over() {
    let rig = rig("");
    let mut wire = rig.http1();
    wire.send(b"\r");
    // Let the proxy read it alone.
    rig.until("http.web.downstream_cx_active", |value| value == 1);
    rig.serves_others();
    wire.send(b"\nGET /self HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(wire.response().unwrap().status, 200);
    drop(wire);
    rig.recovers();
}

#[test]
fn half_a_preface_is_closed() {
    let rig = rig("request_headers_timeout: 0.2s");
    for codec in [&PREFACE[..PREFACE.len() - 1], &PREFACE[..18]] {
        let mut wire = rig.http1();
        wire.send(codec);
        rig.serves_others();
        wire.rest();
    }
    rig.recovers();
}

#[test]
fn half_a_preface_is_closed_where_only_http2_is_spoken() {
    let rig = rig(
        "codec_type: HTTP2\n          request_headers_timeout: 0.2s\n          stream_idle_timeout: 0.2s",
    );
    for half in [&PREFACE[..1], &PREFACE[..PREFACE.len() - 1], b"GET / HT"] {
        let mut wire = rig.http1();
        wire.send(half);
        wire.finish();
        wire.rest();
    }
    rig.recovers();
}

#[test]
fn a_body_that_does_not_go_on_is_answered_408() {
    let rig = rig("stream_idle_timeout: 0.3s");
    for body in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n5\r\nabc"] {
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{body}");
        let response = answered(&rig, request.as_bytes()).unwrap();
        assert_eq!(response.status, 408, "{}", response.shown);
    }
    let mut client = rig.http2();
    client.wire.send(&post(1, "/"));
    assert_eq!(client.status(1), 408);
    drop(client);
    rig.recovers();
}

#[test]
fn a_request_that_takes_too_long_as_a_whole_is_answered_408() {
    let rig = rig("request_timeout: 0.3s");
    let mut wire = rig.http1();
    wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    while rig.stat("http.web.downstream_rq_timeout") == 0 {
        wire.flood(b"x");
    }
    assert!(wire.response().is_none_or(|response| response.status == 408));
    let mut client = rig.http2();
    client.wire.send(&frame(HEADERS, END_HEADERS, 1, &request_block("POST", "/", &[])));
    assert_eq!(client.status(1), 408);
    drop((wire, client));
    rig.recovers();
}

#[test]
fn an_upstream_that_does_not_go_on_is_given_up() {
    for (response, status) in [(&b""[..], 504), (b"HTTP/1.1 200", 504), (b"HTTP/1.1 200 OK\r\nx", 504)] {
        let upstream = Upstream::answering(response);
        let rig = Rig::start(&upstream, Setup { route: "timeout: 0.3s", ..Setup::default() });
        assert_eq!(rig.get("/"), status);
        rig.recovers();
    }
    let upstream = Upstream::answering(&b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"[..]);
    let rig = Rig::start(&upstream, Setup { route: "timeout: 0.3s", ..Setup::default() });
    let mut wire: Wire = rig.http1();
    wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(wire.head().unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(wire.rest(), b"abc");
    rig.recovers();
}

#[test]
fn half_a_header_block_ends_its_connection() {
    let half = frame(HEADERS, END_STREAM, 1, &request_block("GET", "/", &[]));
    let more = frame(CONTINUATION, 0, 1, b"\0\x01x\x01y");
    for manager in ["request_headers_timeout: 0.3s", "stream_idle_timeout: 0.3s"] {
        let rig = rig(manager);
        for begun in [half.clone(), [&half[..], &more].concat(), half[..12].to_vec()] {
            let mut client = rig.http2();
            client.wire.send(&begun);
            rig.serves_others();
            client.closed();
        }
        rig.recovers();
    }
}
