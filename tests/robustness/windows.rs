//! Clients that ask for much and take nothing.

use crate::frames::{self, Client, SETTINGS, WINDOW_UPDATE, frame, get, setting};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::Wire;

/// Streams of a client that asks for much.
const STREAMS: u32 = 50;
/// Bytes of a response: more than the kernel holds for a client that reads nothing.
const LARGE: usize = 16 << 20;

/// An upstream that has more to say than any buffer holds.
fn talkative() -> Upstream {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
    Upstream::running(move |mut wire, _| {
        while wire.head().is_some() {
            wire.send(head.as_bytes());
            for _ in 0..LARGE / 4096 {
                // It may wait for as long as the test takes.
                if wire.flood(&[b'a'; 4096]) == crate::wire::Flooded::Closed {
                    return;
                }
            }
        }
    })
}

fn rig(upstream: &Upstream) -> Rig {
    let setup = Setup {
        manager: "stream_idle_timeout: 1s",
        route: "timeout: 0s",
        cluster: "circuit_breakers: {thresholds: [{max_connections: 1000, max_requests: 10000}]}",
        ..Setup::default()
    };
    Rig::start(upstream, setup)
}

/// Asks for much with these settings: all streams end by the idle timeout, and what they held is given back.
fn starves(settings: &[u8], more: &[u8]) {
    let upstream = talkative();
    let rig = rig(&upstream);
    let mut client = Client::connect(rig.address, settings);
    client.wire.send(more);
    for at in 0..STREAMS {
        client.wire.send(&get(2 * at + 1, "/"));
    }
    rig.until("cluster.app.upstream_rq_total", |value| value == u64::from(STREAMS));
    rig.serves_others();
    rig.until("http.web.downstream_rq_idle_timeout", |value| value == u64::from(STREAMS));
    rig.until("cluster.app.upstream_rq_active", |value| value == 0);
    drop(client);
    rig.recovers();
}

#[test]
fn streams_without_a_window_are_freed_by_the_idle_timeout() {
    starves(&setting(4, 0), &[]);
}

#[test]
fn windows_of_one_byte_are_freed_too() {
    starves(&setting(4, 1), &[]);
}

#[test]
fn a_connection_window_that_is_used_up_frees_its_streams_too() {
    starves(&setting(4, 1 << 30), &[]);
}

#[test]
fn an_http1_client_that_does_not_read_is_let_go() {
    let upstream = talkative();
    let rig = rig(&upstream);
    let mut wires: Vec<Wire> = (0..STREAMS).map(|_| rig.http1()).collect();
    for wire in &mut wires {
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    rig.until("http.web.downstream_rq_idle_timeout", |value| value == u64::from(STREAMS));
    drop(wires);
    rig.recovers();
}

#[test]
fn window_updates_of_zero_and_windows_too_large_are_faults() {
    let upstream = Upstream::silent();
    let rig = Rig::start(&upstream, Setup::default());
    for (stream, increment) in [(0, 0_u32), (1, 0), (0, u32::MAX >> 1), (1, u32::MAX >> 1)] {
        let mut client = Client::connect(rig.address, &frame(SETTINGS, 0, 0, &[]));
        client.wire.send(&get(1, "/"));
        client.wire.send(&frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes()));
        // A fault of the stream resets it; one of the connection, or taken for one, ends that.
        let reset = client.next(frames::RST_STREAM);
        assert!(reset.is_none_or(|reset| reset.stream == stream));
    }
    rig.recovers();
}

#[test]
fn a_client_with_open_windows_that_does_not_read_is_let_go() {
    let upstream = talkative();
    let rig = rig(&upstream);
    let mut client = Client::connect(rig.address, &setting(4, (1 << 31) - 1));
    client.wire.send(&frame(WINDOW_UPDATE, 0, 0, &((1_u32 << 31) - 70_000).to_be_bytes()));
    for at in 0..STREAMS {
        client.wire.send(&get(2 * at + 1, "/"));
    }
    rig.until("cluster.app.upstream_rq_total", |value| value == u64::from(STREAMS));
    rig.serves_others();
    rig.until("http.web.downstream_cx_http2_active", |value| value == 0);
    rig.until("cluster.app.upstream_rq_active", |value| value == 0);
    drop(client);
    rig.recovers();
}

#[test]
fn tables_and_windows_are_offered_as_configured() {
    let upstream = Upstream::running(|_, _| {});
    let manager = "http2_protocol_options: {hpack_table_size: 1024, initial_stream_window_size: 70000, \
        initial_connection_window_size: 1000000}";
    let rig = Rig::start(&upstream, Setup { manager, ..Setup::default() });
    let mut client = rig.http2();
    let settings = client.next(SETTINGS).unwrap().payload;
    let told = |id: u16| {
        let setting = settings.chunks(6).find(|setting| setting[..2] == id.to_be_bytes()).unwrap();
        u32::from_be_bytes(setting[2..].try_into().unwrap())
    };
    assert_eq!((told(1), told(4)), (1024, 70_000));
    let more = client.next(WINDOW_UPDATE).unwrap();
    assert_eq!((more.stream, more.payload), (0, (1_000_000_u32 - 65_535).to_be_bytes().to_vec()));
}
