//! Upstream hosts that flood the proxy over HTTP/2.

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    frame,
};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;

const SETUP: Setup =
    Setup { manager: "", cluster: "", route: "timeout: 2s", http2: true, runtime: "", args: &[] };

/// The host answers a request with `first`, and then with `flood` again and again, until the proxy closes.
fn is_cut_off(first: Vec<u8>, flood: Vec<u8>) {
    let upstream = Upstream::http2(move |wire, _| {
        wire.flood(&first);
        wire.flood(&flood.repeat(20_000));
    });
    let rig = Rig::start(&upstream, SETUP);
    let status = rig.get("/");
    assert!(matches!(status, 0 | 200 | 502 | 503 | 504), "{status}");
    rig.recovers();
    rig.until("cluster.app.upstream_cx_active", |value| value == 0);
}

/// The head of a response on the first stream, which goes on.
fn head() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &block(&[(b":status", b"200")]))
}

#[test]
fn frames_without_payload_are_cut_off() {
    is_cut_off(head(), frame(DATA, 0, 1, &[]));
}

#[test]
fn header_blocks_without_end_are_cut_off() {
    let begun = frame(HEADERS, 0, 1, &block(&[(b":status", b"200")]));
    is_cut_off(begun.clone(), frame(CONTINUATION, 0, 1, b"\0\x01x\x01y"));
    is_cut_off(begun, frame(CONTINUATION, 0, 1, &[]));
}

#[test]
fn window_updates_for_nothing_are_cut_off() {
    is_cut_off(head(), frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
}

#[test]
fn priorities_for_nothing_are_cut_off() {
    is_cut_off(Vec::new(), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]));
}

#[test]
fn resets_of_streams_that_nobody_began_are_cut_off() {
    is_cut_off(Vec::new(), frame(RST_STREAM, 0, 7, &8_u32.to_be_bytes()));
}

#[test]
fn pushes_that_were_forbidden_are_cut_off() {
    is_cut_off(Vec::new(), frame(5, END_HEADERS, 1, &[0, 0, 0, 2]));
}

/// The host floods and reads nothing: nothing grows. What the request came to, and how many floods were counted.
fn is_not_answered_ahead(question: Vec<u8>) -> (u16, u64) {
    let upstream = Upstream::http2(move |wire, _| {
        let batch = question.repeat(10_000);
        while wire.flood(&batch) == crate::wire::Flooded::Taken {}
    });
    let rig = Rig::start(&upstream, SETUP);
    let status = rig.get("/");
    rig.recovers();
    (status, rig.stat("cluster.app.http2.outbound_control_flood"))
}

#[test]
fn pings_whose_answers_are_not_read_end_the_connection() {
    assert_eq!(is_not_answered_ahead(frame(PING, 0, 0, b"12345678")), (502, 1));
}

#[test]
fn settings_whose_answers_are_not_read_end_the_connection() {
    assert_eq!(is_not_answered_ahead(frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])), (502, 1));
}

#[test]
fn informational_responses_without_end_do_not_make_the_proxy_grow() {
    let interim = frame(HEADERS, END_HEADERS, 1, &block(&[(b":status", b"102")]));
    assert_eq!(is_not_answered_ahead(interim), (504, 0));
}

#[test]
fn malformed_responses_become_502() {
    for fields in [
        &[(&b":status"[..], &b"200"[..]), (b"content-length", b"3"), (b"content-length", b"4")][..],
        &[(b":status", b"200"), (b"content-length", b"+3")],
        &[(b":status", b"200"), (b"transfer-encoding", b"chunked")],
        &[(b":status", b"200"), (b"connection", b"close")],
        &[(b":status", b"200"), (b"x", b"a\r\nb: c")],
        &[(b":status", b"200"), (b"x", b"a\0")],
        &[(b":status", b"200"), (b"x\r\ny", b"a")],
        &[(b":status", b"200"), (b"X", b"a")],
        &[(b":status", b"99")],
        &[(b":status", b"1000")],
        &[(b":status", b"200\r\n")],
        &[(b"x", b"no status")],
    ] {
        let response = frame(HEADERS, END_HEADERS, 1, &block(fields));
        let upstream = Upstream::http2(move |wire, _| wire.send(&response));
        let rig = Rig::start(&upstream, SETUP);
        assert_eq!(rig.get("/"), 502, "{fields:?}");
        rig.recovers();
    }
}
