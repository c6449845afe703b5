//! Upstream hosts that die under load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::rig::{Rig, Setup};
use crate::upstream::Upstream;
use crate::wire::Wire;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Requests of each client.
const REQUESTS: usize = 200;

/// How many of a client's requests on one connection were answered by 200 and by 503; nothing else may come.
fn ask(mut wire: Wire) -> (usize, usize) {
    let (mut served, mut lost) = (0, 0);
    for _ in 0..REQUESTS {
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = wire.response().expect("an answer to every request");
        match response.status {
            200 => served += 1,
            503 => lost += 1,
            _ => panic!("{}", response.shown),
        }
    }
    (served, lost)
}

#[test]
fn what_a_host_that_dies_leaves_unanswered_is_answered_with_503_and_nothing_else_is_lost() {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::running(move |mut wire: Wire, _| {
        while wire.head().is_some() {
            if count.fetch_add(1, Ordering::Relaxed) % 7 == 6 {
                // The connection goes with the request on it.
                return;
            }
            wire.send(OK);
        }
    });
    let rig = Rig::start(&upstream, Setup::default());
    let clients: Vec<_> = (0..8).map(|_| rig.http1()).map(|wire| thread::spawn(move || ask(wire))).collect();
    let (mut served, mut lost) = (0, 0);
    for client in clients {
        let (of_client, lost_by_client) = client.join().unwrap();
        served += of_client;
        lost += lost_by_client;
    }
    assert_eq!(served + lost, 8 * REQUESTS);
    // One of seven dies with its connection; no other suffers.
    assert_eq!(lost, 8 * REQUESTS / 7);
}
