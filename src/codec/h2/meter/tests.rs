use super::*;
use crate::codec::h2::frames::Frames;
use crate::observability::stats::Registry;

const LAST: u8 = 5;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn server() -> Meter {
    Meter::new(End::Server, Http2Stats::new(&Registry::new(1), "http2."))
}

fn read(meter: &Meter, mut bytes: &[u8]) {
    let mut frames = Frames::default();
    while let Some(frame) = frames.next(&mut bytes) {
        meter.frame_in(frame);
    }
}

fn wrote(meter: &Meter, mut bytes: &[u8]) {
    let mut frames = Frames::default();
    while let Some(frame) = frames.next(&mut bytes) {
        meter.frame_out(frame);
    }
}

fn active(meter: &Meter) -> u64 {
    meter.inner.borrow().stats.streams_active().value()
}

#[test]
fn bytes_of_a_stream_are_counted_with_their_framing() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, 4, 1, b"head"));
    let stream = meter.attach(1);
    read(&meter, &frame(kind::DATA, 1, 1, b"body!"));
    stream.queued(2);
    assert_eq!(meter.inner.borrow().stats.pending_send_bytes().value(), 2);
    wrote(&meter, &frame(kind::HEADERS, 4, 1, b"h"));
    wrote(&meter, &frame(kind::DATA, 1, 1, b"ok"));
    let wire = stream.wire();
    assert_eq!((wire.received, wire.header_received), (27, 13));
    assert_eq!((wire.sent, wire.header_sent), (21, 10));
    assert_eq!(meter.inner.borrow().stats.pending_send_bytes().value(), 0);
    assert_eq!(active(&meter), 0);
    drop(stream);
    assert!(meter.inner.borrow().streams.is_empty());
}

#[test]
fn a_stream_that_is_reset_before_anybody_has_it_was_malformed() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, LAST, 1, b"?"));
    wrote(&meter, &frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 1]));
    assert_eq!(meter.take_refused().map(|refused| refused.fault), Some(Fault::Field));
    assert_eq!(meter.take_refused(), None);
    assert_eq!((active(&meter), meter.inner.borrow().stats.tx_reset().value()), (0, 1));
}

#[test]
fn a_stream_that_is_handed_out_after_its_reset_was_not_refused() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, 4, 1, b"?"));
    wrote(&meter, &frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 1]));
    let stream = meter.attach(1);
    assert_eq!(stream.wire().received, 10);
    assert_eq!(meter.take_refused(), None);
}

#[test]
fn an_answer_to_a_stream_that_nobody_has_says_that_its_headers_are_too_large() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, LAST, 1, b"?"));
    wrote(&meter, &frame(kind::HEADERS, LAST, 1, b"431"));
    assert_eq!(meter.take_refused().map(|refused| refused.fault), Some(Fault::TooLarge));
}

#[test]
fn one_stream_too_many_is_no_fault_of_its_request() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, LAST, 1, b"?"));
    wrote(&meter, &frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 7]));
    assert_eq!(meter.take_refused(), None);
    assert_eq!(meter.inner.borrow().stats.stream_refused_errors().value(), 1);
}

#[test]
fn an_error_of_the_connection_is_blamed_on_what_was_not_handed_out() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, LAST, 1, b"fine"));
    let _served = meter.attach(1);
    read(&meter, &frame(kind::HEADERS, LAST, 3, b"?"));
    read(&meter, &frame(kind::HEADERS, LAST, 4, b"no stream of a client"));
    meter.broken();
    assert_eq!(meter.take_refused().map(|refused| refused.fault), Some(Fault::Field));
    assert_eq!(meter.take_refused(), None);
    assert_eq!(active(&meter), 1);
}

#[test]
fn what_a_request_is_refused_for_is_told() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, LAST, 1, b"?"));
    meter.refuse(1, Fault::Message);
    wrote(&meter, &frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 1]));
    assert_eq!(meter.take_refused().map(|refused| refused.fault), Some(Fault::Message));
}

#[test]
fn a_graceful_goaway_is_counted_once() {
    let meter = server();
    let announced = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    wrote(&meter, &frame(kind::GOAWAY, 0, 0, &announced));
    wrote(&meter, &frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
    assert_eq!(meter.inner.borrow().stats.goaway_sent().value(), 1);
}

#[test]
fn streams_after_the_last_that_is_served_are_not_kept() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, 4, 1, b"served"));
    read(&meter, &frame(kind::HEADERS, LAST, 3, b"too late"));
    wrote(&meter, &frame(kind::GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    assert_eq!(active(&meter), 2);
    wrote(&meter, &frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
    for id in [5, 7, 9] {
        read(&meter, &frame(kind::HEADERS, 4, id, b"ignored"));
        read(&meter, &frame(kind::DATA, 0, id, b"ignored"));
    }
    assert_eq!(meter.inner.borrow().streams.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!((active(&meter), meter.take_refused()), (1, None));
}

#[test]
fn a_request_that_the_connection_ends_by_is_told_of() {
    let meter = server();
    read(&meter, &frame(kind::HEADERS, LAST, 1, b"?"));
    wrote(&meter, &frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 1]));
    meter.broken();
    assert_eq!(meter.take_refused().map(|refused| refused.fault), Some(Fault::Field));
}
