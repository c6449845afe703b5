//! HTTP/2 clients that send a great many frames which cost them nothing.

use crate::frames::{
    ACK, CONTINUATION, DATA, END_STREAM, HEADERS, PING, PRIORITY, SETTINGS, WINDOW_UPDATE, frame, get, post,
    request_block, reset,
};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::Flooded;

/// Envoy's extension, and the flag of the last frame of a map.
const METADATA: u8 = 0x4d;
const END_METADATA: u8 = 4;
/// Frames that make up a flood.
const MANY: usize = 20_000;

fn rig() -> Rig {
    Rig::start(&Upstream::silent(), Setup::default())
}

/// Sends `frame` many times after `first`: the proxy must close the connection and serve on.
fn is_cut_off(first: &[u8], frame: &[u8]) {
    let rig = rig();
    let mut client = rig.http2();
    client.wire.send(first);
    client.flood(frame, MANY);
    rig.serves_others();
    client.closed();
    rig.recovers();
}

#[test]
fn streams_that_are_begun_and_reset_at_once_end_the_connection() {
    let rig = rig();
    let mut client = rig.http2();
    let streams: Vec<u8> =
        (0..MANY as u32).flat_map(|at| [get(2 * at + 1, "/"), reset(2 * at + 1)].concat()).collect();
    client.wire.flood(&streams);
    rig.serves_others();
    client.closed();
    rig.recovers();
    let reached = rig.stat("cluster.app.upstream_rq_total");
    assert!(reached < 1000, "{reached} of {MANY} requests reached the upstream");
}

#[test]
fn header_blocks_without_end_are_cut_off() {
    let field = [&[0, 1, b'x', 127, 0][..], &[b'a'; 127]].concat();
    let begun = frame(HEADERS, 0, 1, &request_block("GET", "/", &[]));
    is_cut_off(&begun, &frame(CONTINUATION, 0, 1, &field));
    is_cut_off(&begun, &frame(CONTINUATION, 0, 1, &[]));
    is_cut_off(&begun, &frame(CONTINUATION, 0, 1, &[0x20]));
}

#[test]
fn frames_without_payload_are_cut_off() {
    is_cut_off(&post(1, "/"), &frame(DATA, 0, 1, &[]));
    is_cut_off(&post(1, "/"), &frame(DATA, 8, 1, &[3, 0, 0, 0]));
    is_cut_off(&[], &frame(HEADERS, 0, 1, &[]));
}

#[test]
fn window_updates_for_nothing_are_cut_off() {
    is_cut_off(&[], &frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
    is_cut_off(&get(1, "/"), &frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
}

#[test]
fn priorities_for_nothing_are_cut_off() {
    is_cut_off(&[], &frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]));
    is_cut_off(&get(1, "/"), &frame(PRIORITY, 0, 5, &[0, 0, 0, 3, 1]));
}

/// Sends frames that want an answer and reads none of them: the proxy must not store answers. How it ended.
fn is_not_answered_ahead(manager: &'static str, question: &[u8]) -> (Flooded, u64) {
    let rig = Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() });
    let mut client = rig.http2();
    let batch = question.repeat(10_000);
    let mut batches = 0;
    let ended = loop {
        match client.wire.flood(&batch) {
            Flooded::Taken => batches += 1,
            ended => break ended,
        }
        assert!(batches < 2_000, "nobody minds");
    };
    rig.serves_others();
    let grown = rig.resident();
    drop(client);
    rig.recovers();
    assert!(grown < 256 * 1024 * 1024, "{grown} bytes");
    (ended, rig.stat("http2.outbound_control_flood"))
}

#[test]
fn pings_whose_answers_are_not_read_end_the_connection() {
    let ping = frame(PING, 0, 0, b"12345678");
    assert_eq!(is_not_answered_ahead("", &ping), (Flooded::Closed, 1));
}

#[test]
fn settings_whose_answers_are_not_read_end_the_connection() {
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    assert_eq!(is_not_answered_ahead("", &settings), (Flooded::Closed, 1));
}

#[test]
fn pings_are_not_read_while_more_answers_wait_than_there_is_room_for() {
    let ping = frame(PING, 0, 0, b"12345678");
    let limit = "http2_protocol_options: {max_outbound_control_frames: 4294967295}";
    assert_eq!(is_not_answered_ahead(limit, &ping), (Flooded::Stuck, 0));
}

#[test]
fn pings_whose_answers_are_read_are_all_answered() {
    let rig = rig();
    let mut client = rig.http2();
    for _ in 0..100 {
        client.flood(&frame(PING, 0, 0, b"12345678"), 100);
        for _ in 0..100 {
            let answer = client.next(PING).unwrap();
            assert_eq!((answer.flags, &answer.payload[..]), (ACK, &b"12345678"[..]));
        }
    }
    drop(client);
    rig.recovers();
}

#[test]
fn a_limit_on_empty_frames_is_kept_to_the_frame() {
    let manager = "http2_protocol_options: {max_consecutive_inbound_frames_with_empty_payload: 3}";
    let rig = Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() });
    let empty = frame(DATA, 0, 1, &[]);
    is_kept(&rig, &empty, 3);
}

#[test]
fn limits_on_priorities_and_window_updates_are_kept_to_the_frame() {
    let manager = "http2_protocol_options: {max_inbound_priority_frames_per_stream: 2, \
                   max_inbound_window_update_frames_per_data_frame_sent: 1}";
    let rig = Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() });
    is_kept(&rig, &frame(PRIORITY, 0, 7, &[0, 0, 0, 3, 1]), 4);
    is_kept(&rig, &frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()), 7);
}

#[test]
fn metadata_without_end_is_cut_off() {
    let manager = "http2_protocol_options: {allow_metadata: true}";
    let rig = Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() });
    for payload in [&[0; 16_000][..], b"\0\x01a\x01b"] {
        for flags in [0, END_METADATA] {
            let mut client = rig.http2();
            client.wire.send(&post(1, "/"));
            client.flood(&frame(METADATA, flags, 1, payload), 2 * 1024 * 1024 / payload.len());
            rig.serves_others();
            client.closed();
            rig.recovers();
        }
    }
}

/// With one stream begun, so many frames are taken and one more is not.
fn is_kept(rig: &Rig, frame: &[u8], limit: usize) {
    let end = crate::frames::frame(DATA, END_STREAM, 1, b"x");
    let mut client = rig.http2();
    client.wire.send(&[&post(1, "/self")[..], &frame.repeat(limit), &end].concat());
    assert_eq!(client.status(1), 200);
    drop(client);
    let mut client = rig.http2();
    client.wire.send(&[post(1, "/"), frame.repeat(limit + 1)].concat());
    client.closed();
    rig.recovers();
}

#[test]
fn streams_that_are_reset_once_they_are_forwarded_end_the_connection_too() {
    let upstream = Upstream::silent();
    let rig = Rig::start(&upstream, Setup::default());
    let mut client = rig.http2();
    let mut stream = 1;
    // Envoy's measure: half of 500 streams, each reset within two seconds of its beginning and before a response.
    while rig.stat("http.web.downstream_rq_too_many_premature_resets") == 0 {
        assert!(stream < 2000, "nobody minds");
        if client.wire.flood(&get(stream, "/")) == Flooded::Closed {
            break;
        }
        upstream.reports.recv_timeout(crate::wire::PATIENCE).ok();
        client.wire.flood(&reset(stream));
        stream += 2;
    }
    client.closed();
    assert_eq!(rig.stat("http.web.downstream_rq_too_many_premature_resets"), 1);
    rig.recovers();
}
