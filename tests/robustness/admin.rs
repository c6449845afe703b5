//! The admin interface: heads and forms that are too large, never end, or do not come at all.

use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::{Flooded, Wire};

fn rig() -> Rig {
    Rig::start(&Upstream::silent(), Setup::default())
}

/// That the interface still answers.
fn answers(rig: &Rig) {
    assert_eq!(rig.proxy.get("/ready").unwrap().status, 200, "{}", rig.proxy.log());
}

const FORM: &[u8] = b"POST /runtime_modify HTTP/1.1\r\nhost: a\r\n\
    content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn heads_beyond_the_limit_are_answered_431_and_not_stored() {
    let rig = rig();
    let endless = [&b"GET /ready HTTP/1.1\r\n"[..], &b"x: 1\r\n".repeat(1 << 20)].concat();
    let long = [&b"GET /"[..], &b"a".repeat(8 << 20)].concat();
    for head in [endless, long] {
        let mut wire = Wire::connect(rig.proxy.admin);
        assert_ne!(wire.flood(&head), Flooded::Taken);
        assert!(wire.response().is_none_or(|response| matches!(response.status, 414 | 431)));
        answers(&rig);
    }
    rig.recovers();
}

#[test]
fn connections_that_ask_nothing_do_not_keep_others_waiting() {
    let rig = rig();
    let halves = [&b""[..], b"G", b"GET /stats HTTP/1.1\r\nhost: a\r\nx-a: ", FORM];
    let begin = |half: &&[u8]| {
        let mut wire = Wire::connect(rig.proxy.admin);
        wire.send(half);
        wire
    };
    let wires: Vec<Wire> = halves.iter().cycle().take(200).map(begin).collect();
    answers(&rig);
    drop(wires);
    answers(&rig);
    rig.recovers();
}

#[test]
fn a_form_without_end_is_not_stored() {
    let rig = rig();
    let mut wire = Wire::connect(rig.proxy.admin);
    wire.send(FORM);
    let piece = [&b"10000\r\n"[..], &b"a".repeat(1 << 16), b"\r\n"].concat();
    // It is no form any more, so nothing is changed by it; what is left of it is not waited for.
    wire.flood(&piece.repeat(256));
    assert!(wire.response().is_none_or(|response| response.status == 400));
    answers(&rig);
    rig.recovers();
}

#[test]
fn bytes_that_are_no_http_are_answered_400_or_not_at_all() {
    let rig = rig();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET /ready\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01",
    ] {
        let mut wire = Wire::connect(rig.proxy.admin);
        wire.send(bytes);
        wire.finish();
        assert!(wire.response().is_none_or(|response| response.status == 400));
        answers(&rig);
    }
    rig.recovers();
}
