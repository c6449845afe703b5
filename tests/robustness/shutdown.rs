//! The end of the process, under load and against peers that will not go.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use crate::common::Proxy;
use crate::frames::{self, Client};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::{PATIENCE, Wire};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Asks again and again on connections that are kept alive, until the proxy takes no more. A connection that has had
/// answers ends with `connection: close` and in no other way. One that was never accepted, since the socket was closed
/// while it waited there, has none.
fn ask_over_http1(address: std::net::SocketAddr, answered: &AtomicUsize) {
    while let Ok(stream) = TcpStream::connect_timeout(&address, PATIENCE) {
        let mut wire = Wire::new(stream);
        for earlier in 0.. {
            if wire.flood(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") != crate::wire::Flooded::Taken {
                assert_eq!(earlier, 0, "a connection was closed without a word");
                break;
            }
            let Some(response) = wire.response() else {
                assert_eq!(earlier, 0, "a request on a connection that was kept alive was not answered");
                break;
            };
            assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]), "{}", response.shown);
            answered.fetch_add(1, Ordering::SeqCst);
            if response.shown.contains("connection: close") {
                assert_eq!(wire.rest(), b"");
                break;
            }
        }
    }
}

/// The same over HTTP/2, a stream at a time, until GOAWAY.
fn ask_over_http2(address: std::net::SocketAddr, answered: &AtomicUsize) {
    while TcpStream::connect_timeout(&address, PATIENCE).is_ok() {
        let mut client = Client::plain(address);
        for stream in (1..).step_by(2) {
            if client.wire.flood(&frames::get(stream, "/")) != crate::wire::Flooded::Taken {
                break;
            }
            match client.status(stream) {
                200 => answered.fetch_add(1, Ordering::SeqCst),
                0 => break,
                other => panic!("{other}"),
            };
        }
    }
}

fn exit_code(proxy: &mut Proxy) -> Option<i32> {
    proxy.child.wait().unwrap().code()
}

#[test]
fn sigterm_under_load_loses_nothing() {
    let upstream = Upstream::answering(OK);
    let mut rig = Rig::start(&upstream, Setup { args: &["--drain-time-s", "10"], ..Setup::default() });
    let answered = Arc::new(AtomicUsize::new(0));
    let ask = [ask_over_http1, ask_over_http1, ask_over_http2];
    let clients: Vec<_> = (0..12)
        .map(|at| {
            let (address, answered) = (rig.address, Arc::clone(&answered));
            thread::spawn(move || ask[at % ask.len()](address, &answered))
        })
        .collect();
    while answered.load(Ordering::SeqCst) < 500 {
        thread::yield_now();
    }
    rig.signal(Signal::SIGTERM);
    let code = exit_code(&mut rig.proxy);
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(code, Some(0), "{}", rig.proxy.log());
}

#[test]
fn a_peer_that_will_not_go_does_not_keep_the_process() {
    let upstream = Upstream::silent();
    let mut rig = Rig::start(&upstream, Setup { args: &["--drain-time-s", "1"], ..Setup::default() });
    let mut waiting = rig.http1();
    waiting.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut client = rig.http2();
    client.wire.send(&frames::get(1, "/"));
    let mut half = rig.http1();
    half.send(b"GET / HT");
    rig.until("http.web.downstream_rq_active", |value| value >= 2);
    rig.signal(Signal::SIGTERM);
    assert_eq!(exit_code(&mut rig.proxy), Some(0), "{}", rig.proxy.log());
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let upstream = Upstream::silent();
    let mut rig = Rig::start(&upstream, Setup { args: &["--drain-time-s", "600"], ..Setup::default() });
    let mut waiting = rig.http1();
    waiting.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    rig.until("cluster.app.upstream_rq_active", |value| value == 1);
    rig.signal(Signal::SIGINT);
    rig.until("server.state", |state| state == 1);
    rig.signal(Signal::SIGINT);
    assert_eq!(exit_code(&mut rig.proxy), Some(0), "{}", rig.proxy.log());
}
