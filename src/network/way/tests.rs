//! Bytes on their way between two sockets.

use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;

/// A stream, and the far end of it.
fn pair() -> (Io, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    (Io::from(near), far)
}

#[tokio::test]
async fn what_comes_is_passed_on_and_the_end_after_it() {
    let (source, mut client) = pair();
    let (sink, mut host) = pair();
    let mut way = Way::new(None);
    let mut scratch = BytesMut::with_capacity(4);
    client.write_all(b"hello, host").await.expect("a socket");
    client.shutdown().await.expect("a socket");
    poll_fn(|cx| way.poll(&source, &sink, &mut scratch, cx)).await.expect("both sides are there");
    let mut received = String::new();
    host.read_to_string(&mut received).await.expect("a text");
    assert_eq!(received, "hello, host");
    assert_eq!((way.read, way.written, way.pauses), (11, 11, 0));
}

#[tokio::test]
async fn reading_stops_above_the_limit_and_goes_on_below_half_of_it() {
    let (source, mut client) = pair();
    let (sink, mut host) = pair();
    let mut way = Way::new(Some(1000));
    let mut scratch = BytesMut::with_capacity(READ_SIZE);
    let sent = vec![7; 1 << 20];
    let (writing, reading) = (client.write_all(&sent), async {
        let mut received = vec![0; sent.len()];
        poll_fn(|cx| {
            let polled = way.poll(&source, &sink, &mut scratch, cx);
            assert!(polled.is_pending());
            if way.is_full { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let held = way.waiting.len();
        assert!((1001..=1000 + READ_SIZE).contains(&held), "{held}");
        let moving = poll_fn(|cx| way.poll(&source, &sink, &mut scratch, cx));
        tokio::select! {
            moved = moving => panic!("the client has not ended: {moved:?}"),
            read = host.read_exact(&mut received) => read.expect("all of it"),
        };
        assert_eq!(received, sent);
    });
    let (wrote, ()) = tokio::join!(writing, reading);
    wrote.expect("all is taken");
    assert!(way.resumptions > 0 && way.waiting.capacity() == 0);
}

#[tokio::test]
async fn much_goes_through_a_pipe_and_arrives_in_order() {
    let (source, mut client) = pair();
    let (sink, mut host) = pair();
    let mut way = Way::new(None);
    let mut scratch = BytesMut::with_capacity(MUCH);
    let sent: Vec<u8> = (0..16 << 20).map(|at: u32| (at % 251) as u8).collect();
    let writing = async {
        client.write_all(&sent).await.expect("all is taken");
        client.shutdown().await.expect("a socket");
    };
    let mut piped = false;
    let moving = poll_fn(|cx| {
        let polled = way.poll(&source, &sink, &mut scratch, cx);
        piped |= way.pipe.is_some();
        polled
    });
    let mut received = Vec::new();
    let ((), moved, read) = tokio::join!(writing, moving, host.read_to_end(&mut received));
    moved.expect("both sides are there");
    read.expect("all of it");
    assert!(piped && received == sent);
    assert_eq!((way.read, way.written), (16 << 20, 16 << 20));
}

#[tokio::test]
async fn a_sink_that_is_gone_is_told_from_a_source_that_is() {
    let (source, mut client) = pair();
    let (sink, host) = pair();
    drop(host);
    client.write_all(b"x").await.expect("a socket");
    let mut way = Way::new(None);
    let mut scratch = BytesMut::with_capacity(READ_SIZE);
    let broken = poll_fn(|cx| way.poll(&source, &sink, &mut scratch, cx)).await;
    assert!(matches!(broken, Err(Broken::Sink(_))), "{broken:?}");
}
