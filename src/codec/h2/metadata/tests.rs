use super::*;
use crate::codec::h2::frames::Frames;
use crate::observability::stats::{Http2Stats, Registry};

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn meter(end: End) -> Meter {
    Meter::new(end, Http2Stats::new(&Registry::new(1), "http2."))
}

/// Reads bytes in pieces of `step`.
fn read(meter: &Meter, bytes: &[u8], step: usize) -> Result<(), Flood> {
    let (mut frames, mut inlet) = (Frames::default(), Inlet::new(20));
    for mut piece in bytes.chunks(step) {
        inlet.take(piece, meter)?;
        while let Some(frame) = frames.next(&mut piece) {
            meter.frame_in(frame);
            inlet.begin(frame);
            inlet.take(piece, meter)?;
        }
    }
    Ok(())
}

fn wrote(meter: &Meter, mut bytes: &[u8]) {
    let mut frames = Frames::default();
    while let Some(frame) = frames.next(&mut bytes) {
        meter.frame_out(frame);
    }
}

fn due(meter: &Meter) -> (Vec<u8>, bool) {
    let mut own = BytesMut::new();
    let waits = meter.take_metadata(&Context::from_waker(Waker::noop()), &mut own);
    (own.to_vec(), waits)
}

const MAP: &[u8] = b"\0\x01a\x01b";

#[test]
fn what_comes_between_attempts_is_for_none_and_what_comes_with_the_next_waits_for_it() {
    let (server, client) = (meter(End::Server), meter(End::Client));
    let (here, _there) = (server.attach(1), client.attach(7));
    let map = |value: u8| frame(kind::METADATA, END_METADATA, 1, &[0, 1, b'a', 1, value]);
    assert_eq!(read(&server, &[frame(kind::HEADERS, 4, 1, b"head"), map(b'1')].concat(), 100), Ok(()));
    here.port().lead_to(Sink::Nowhere);
    assert_eq!(read(&server, &map(b'2'), 100), Ok(()));
    here.port().hold();
    assert_eq!(read(&server, &map(b'3'), 100), Ok(()));
    assert!(here.holds_metadata());
    here.port().lead_to(Sink::Port(client.port(7)));
    wrote(&client, &frame(kind::HEADERS, 4, 7, b"head"));
    assert_eq!(due(&client), (frame(kind::METADATA, END_METADATA, 7, b"\0\x01a\x013"), false));
}

#[test]
fn maps_are_found_however_the_bytes_are_cut() {
    let head = frame(kind::HEADERS, 4, 1, b"head");
    let first = frame(kind::METADATA, 0, 1, &MAP[..3]);
    let rest = frame(kind::METADATA, END_METADATA, 1, &MAP[3..]);
    let whole = [head, first, rest, frame(kind::METADATA, END_METADATA, 1, b"")].concat();
    for step in 1..=whole.len() {
        let (server, client) = (meter(End::Server), meter(End::Client));
        assert_eq!(read(&server, &whole, step), Ok(()));
        assert_eq!(server.inner.borrow().stats.metadata_empty_frames().value(), 1);
        assert!(server.holds_metadata(1));
        let (here, _there) = (server.attach(1), client.attach(7));
        here.port().lead_to(Sink::Port(client.port(7)));
        assert!(!here.holds_metadata());
        wrote(&client, &frame(kind::HEADERS, 4, 7, b"head"));
        assert_eq!(due(&client), (frame(kind::METADATA, END_METADATA, 7, MAP), false), "in pieces of {step}");
        assert_eq!(due(&client), (vec![], false));
    }
}

#[test]
fn a_map_waits_for_the_head_of_its_request_and_is_lost_after_its_end() {
    let client = meter(End::Client);
    let stream = client.attach(1);
    stream.port().send(MAP);
    assert_eq!(due(&client), (vec![], true));
    wrote(&client, &frame(kind::HEADERS, 4, 1, b"head"));
    assert_eq!(due(&client).0, frame(kind::METADATA, END_METADATA, 1, MAP));
    wrote(&client, &frame(kind::DATA, 1, 1, b""));
    stream.port().send(MAP);
    assert_eq!(due(&client), (vec![], false));
    let port = stream.port();
    drop((stream, client));
    port.send(MAP);
}

#[test]
fn too_many_bytes_end_the_connection() {
    let server = meter(End::Server);
    let map = frame(kind::METADATA, END_METADATA, 1, MAP);
    let begun = [&frame(kind::HEADERS, 4, 1, b"head")[..], &map, &map, &map, &map].concat();
    assert_eq!(read(&server, &begun, 9), Ok(()));
    assert_eq!(read(&server, &map, 9), Err(Flood::Metadata));
}

#[test]
fn what_belongs_to_no_stream_is_passed_over() {
    let server = meter(End::Server);
    for stream in [0, 1] {
        assert_eq!(read(&server, &frame(kind::METADATA, END_METADATA, stream, b"\xff"), 99), Ok(()));
    }
    let ended = [frame(kind::HEADERS, 5, 1, b"head"), frame(kind::METADATA, END_METADATA, 1, MAP)].concat();
    assert_eq!(read(&server, &ended, 99), Ok(()));
    assert!(!server.holds_metadata(1));
}

#[test]
fn a_map_longer_than_a_frame_goes_out_in_several() {
    let mut out = BytesMut::new();
    write_frames(1, &[7; 40_000], &mut out);
    let (mut frames, mut bytes) = (Frames::default(), &out[..]);
    let found: Vec<(u32, bool)> = std::iter::from_fn(|| frames.next(&mut bytes))
        .map(|frame| (frame.length, frame.ends_metadata()))
        .collect();
    assert_eq!(found, [(16_384, false), (16_384, false), (7_232, true)]);
}
