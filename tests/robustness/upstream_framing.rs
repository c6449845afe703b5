//! Upstream hosts whose responses can be read in two ways, and what they say beside them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::{PATIENCE, Wire};

/// What the client gets when the host answers so.
fn answer(response: impl Into<Vec<u8>>) -> u16 {
    let upstream = Upstream::answering(response);
    let rig = Rig::start(&upstream, Setup::default());
    let status = rig.get("/");
    rig.recovers();
    status
}

#[test]
fn responses_that_can_be_read_in_two_ways_become_502() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 0x3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length : 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\n\r\nabc",
        "HTTP/1.1 200 OK\ncontent-length: 3\n\nabc",
        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\rb: c\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 099 No\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 1000 No\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 2OO OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        "garbage\r\n\r\n",
    ] {
        assert_eq!(answer(response), 502, "{response:?}");
    }
}

#[test]
fn a_101_that_nobody_asked_for_becomes_no_tunnel() {
    assert_eq!(answer("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), 502);
}

/// Asks twice on one connection: the second answer is the host's second, whatever came behind its first.
fn second_answer_after(first: &'static str) -> String {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::running(move |mut wire, _| {
        while wire.head().is_some() {
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => wire.send(first.as_bytes()),
                _ => wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright"),
            }
        }
    });
    let rig = Rig::start(&upstream, Setup::default());
    let mut wire = rig.http1();
    wire.send(b"GET /first HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(wire.response().unwrap().body, b"ok");
    wire.send(b"GET /second HTTP/1.1\r\nhost: a\r\n\r\n");
    let second = wire.response().unwrap();
    assert_eq!(rig.stat("cluster.app.upstream_cx_total"), 2, "its connection must not be used again");
    drop(wire);
    rig.recovers();
    String::from_utf8(second.body).unwrap()
}

#[test]
fn bytes_behind_a_response_never_reach_the_next_request() {
    for first in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokx",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        assert_eq!(second_answer_after(first), "right", "{first:?}");
    }
}

#[test]
fn bytes_that_come_late_behind_a_response_never_reach_the_next_request() {
    let (more, wanted) = std::sync::mpsc::channel::<()>();
    let wanted = std::sync::Mutex::new(wanted);
    let count = AtomicUsize::new(0);
    let upstream = Upstream::running(move |mut wire, reports| {
        while wire.head().is_some() {
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright");
                continue;
            }
            wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            wanted.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong");
            reports.send(Vec::new()).unwrap();
        }
    });
    let rig = Rig::start(&upstream, Setup::default());
    let mut wire = rig.http1();
    wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(wire.response().unwrap().body, b"ok");
    more.send(()).unwrap();
    upstream.reports.recv_timeout(PATIENCE).unwrap();
    wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(wire.response().unwrap().body, b"right");
    drop(wire);
    rig.recovers();
}

#[test]
fn a_response_that_is_cut_off_is_not_passed_on_as_whole() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        let upstream = Upstream::running(move |mut wire: Wire, _| {
            if wire.head().is_some() {
                wire.send(response.as_bytes());
                wire.finish();
            }
        });
        let rig = Rig::start(&upstream, Setup::default());
        let mut wire = rig.http1();
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let received = String::from_utf8(wire.rest()).unwrap();
        let whole = received.ends_with("0\r\n\r\n") || received.contains("content-length: 3");
        assert!(received.starts_with("HTTP/1.1 200") && !whole, "{received:?}");
        rig.recovers();
    }
}

#[test]
fn informational_responses_without_end_are_bounded_by_the_timeout() {
    let upstream = Upstream::running(|mut wire, _| {
        while wire.head().is_some() {
            while wire.flood(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100)) == crate::wire::Flooded::Taken {
            }
        }
    });
    let rig = Rig::start(&upstream, Setup { route: "timeout: 0.5s", ..Setup::default() });
    assert_eq!(rig.get("/"), 504);
    rig.recovers();
}
