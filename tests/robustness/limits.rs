//! Heads beyond the limits, in either protocol and from either side.

use crate::frames::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, frame, request_block, setting};
use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;

fn request(fields: &str) -> Vec<u8> {
    format!("GET /self HTTP/1.1\r\nhost: a\r\n{fields}\r\n").into_bytes()
}

/// No differential case: the connections of Envoy's admin interface count and are refused, too.
#[test]
fn connections_beyond_the_limit_of_the_runtime_are_closed() {
    let runtime = "overload.global_downstream_max_connections: 2";
    let rig = Rig::start(&Upstream::silent(), Setup { runtime, ..Setup::default() });
    let of_listener = |name: &str| format!("listener.127.0.0.1_0.{name}");
    let (active, refused) =
        (of_listener("downstream_cx_active"), of_listener("downstream_global_cx_overflow"));
    rig.until(&active, |value| value == 0);
    let mut served = [rig.http1(), rig.http1()];
    for wire in &mut served {
        wire.send(&request(""));
        assert_eq!(wire.response().unwrap().status, 200);
    }
    rig.until(&active, |value| value == 2);
    let mut third = rig.http1();
    third.flood(&request(""));
    assert!(third.response().is_none());
    rig.until(&refused, |value| value == 1);
    drop(served);
    rig.until(&active, |value| value == 0);
    rig.recovers();
}

#[test]
fn http1_heads_beyond_the_limits_are_answered_431() {
    let rig = Rig::start(&Upstream::silent(), Setup::default());
    let many: String = (0..200).map(|at| format!("x-{at}: 1\r\n")).collect();
    let large = format!("x: {}\r\n", "a".repeat(70_000));
    let long_name = format!("{}: 1\r\n", "a".repeat(70_000));
    for fields in [many, large, long_name] {
        let mut wire = rig.http1();
        wire.flood(&request(&fields));
        assert_eq!(wire.response().unwrap().status, 431);
    }
    let mut wire = rig.http1();
    wire.flood(&[b"GET /".to_vec(), b"a".repeat(70_000)].concat());
    assert_eq!(wire.response().unwrap().status, 431);
    rig.recovers();
}

#[test]
fn http1_heads_without_end_are_not_stored() {
    let rig = Rig::start(&Upstream::silent(), Setup::default());
    for endless in [&b"a"[..], b"x: 1\r\n"] {
        let mut wire = rig.http1();
        wire.flood(&[&b"GET / HTTP/1.1\r\n"[..], &endless.repeat(16 << 20)].concat());
        wire.rest();
        rig.recovers();
    }
}

#[test]
fn trailers_beyond_the_limits_are_refused() {
    let manager = "http_protocol_options: {enable_trailers: true}";
    let rig = Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() });
    for trailers in ["x: 1\r\n".repeat(200), format!("x: {}\r\n", "a".repeat(70_000))] {
        let mut wire = rig.http1();
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
        wire.flood(format!("{head}{trailers}\r\n").as_bytes());
        let status = wire.response().unwrap().status;
        assert!(matches!(status, 400 | 431), "{status}");
    }
    rig.recovers();
}

#[test]
fn chunk_lines_without_end_are_refused() {
    let rig = Rig::start(&Upstream::silent(), Setup::default());
    for line in [&b"1;a=".repeat(3000)[..], &b"0".repeat(9000), &b"f".repeat(17)] {
        let mut wire = rig.http1();
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        wire.flood(&[head, line, b"\r\n"].concat());
        assert_eq!(wire.response().unwrap().status, 400);
    }
    rig.recovers();
}

#[test]
fn http2_heads_beyond_the_limits_are_refused() {
    let rig = Rig::start(&Upstream::silent(), Setup::default());
    let value = [b'a'; 1000];
    let large: Vec<(&[u8], &[u8])> = vec![(b"x", &value); 70];
    let many: Vec<(&[u8], &[u8])> = vec![(b"x", b"1"); 200];
    for fields in [large, many] {
        let mut client = rig.http2();
        let block = request_block("GET", "/self", &fields);
        let (first, rest) = block.split_at(block.len().min(16_000));
        client.wire.flood(&frame(HEADERS, END_STREAM, 1, first));
        for part in rest.chunks(16_000) {
            client.wire.flood(&frame(CONTINUATION, 0, 1, part));
        }
        client.wire.flood(&frame(CONTINUATION, END_HEADERS, 1, &[]));
        let status = client.status(1);
        assert!(matches!(status, 0 | 431), "{status}");
    }
    rig.recovers();
}

#[test]
fn header_blocks_that_unpack_to_far_more_are_refused() {
    let rig = Rig::start(&Upstream::silent(), Setup::default());
    let mut client = rig.http2();
    // One large field goes into HPACK's table, then a byte for each time that it is repeated.
    let value = [b'a'; 3000];
    let mut block = request_block("GET", "/self", &[]);
    block.extend_from_slice(&[0x40, 1, b'x', 127, 0x80 | (2873 % 128) as u8, (2873 / 128) as u8]);
    block.extend_from_slice(&value);
    block.extend_from_slice(&[0x80 | 62; 10_000]);
    client.wire.flood(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    let status = client.status(1);
    assert!(matches!(status, 0 | 431), "{status}");
    drop(client);
    rig.recovers();
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let manager = "http2_protocol_options: {max_concurrent_streams: 10}";
    let rig = Rig::start(&Upstream::silent(), Setup { manager, ..Setup::default() });
    let mut client = rig.http2();
    for at in 0..1000 {
        client.wire.flood(&crate::frames::get(2 * at + 1, "/"));
    }
    rig.serves_others();
    assert!(rig.stat("http.web.downstream_rq_active") <= 10);
    drop(client);
    rig.recovers();
}

#[test]
fn settings_that_rfc_9113_forbids_end_the_connection() {
    let rig = Rig::start(&Upstream::silent(), Setup::default());
    for (id, value) in [(4, u32::MAX), (5, 1), (5, u32::MAX), (2, 7)] {
        let mut client = rig.http2();
        client.wire.send(&setting(id, value));
        client.closed();
    }
    rig.recovers();
}

#[test]
fn an_upstream_s_heads_beyond_the_limits_become_502() {
    for fields in ["x: 1\r\n".repeat(200), format!("x: {}\r\n", "a".repeat(70_000)), "a".repeat(200_000)] {
        let upstream = Upstream::running(move |mut wire, _| {
            while wire.head().is_some() {
                wire.flood(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
            }
        });
        let rig = Rig::start(&upstream, Setup::default());
        assert_eq!(rig.get("/"), 502);
        rig.recovers();
    }
}
