//! Connections that requests share, to a host that permits one stream at a time.

use std::net::Ipv4Addr;

use bytes::Bytes;
use futures_util::poll;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, yield_now};

use super::*;
use crate::upstream::testing::{ClusterBuilder, endpoint};

/// The connections to a host, of which there may be one, as may pools.
async fn pool() -> Rc<HostPool> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("just bound").port();
    spawn_local(serve(listener));
    let mut builder = ClusterBuilder::new("c").hosts([endpoint(port)]);
    builder.config.http.protocol = UpstreamProtocol::Http2(Http2Options::default());
    builder.config.circuit_breakers.default.max_connections = 1;
    builder.config.circuit_breakers.default.max_connection_pools = 1;
    let cluster = builder.build();
    let host = cluster.hosts().iter().next().map(Arc::clone).expect("the host just configured");
    Rc::new(HostPool::new(host, cluster, Rc::default()))
}

/// Takes connections and whatever comes on them.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        spawn_local(async move {
            let mut builder = ::h2::server::Builder::new();
            let handshake = builder.max_concurrent_streams(1).handshake::<_, Bytes>(stream);
            let mut connection = handshake.await.expect("HTTP/2");
            while connection.accept().await.is_some() {}
        });
    }
}

/// A stream on a connection whose host has said how many it permits.
async fn first(pool: &Rc<HostPool>) -> StreamLease {
    let lease = pool.acquire_stream(false).await.expect("a stream");
    while lease.connection.client.borrow().as_ref().is_some_and(|client| client.max_streams() != 1) {
        yield_now().await;
    }
    lease
}

#[tokio::test]
async fn a_request_that_finds_no_room_waits_where_there_may_be_no_more_connections() {
    LocalSet::new()
        .run_until(async {
            let pool = pool().await;
            let first = first(&pool).await;
            let mut second = Box::pin(pool.acquire_stream(false));
            assert!(poll!(&mut second).is_pending());
            for _ in 0..3 {
                pool.http2.changed.notify_waiters();
                assert!(poll!(&mut second).is_pending());
            }
            let stats = &pool.cluster.stats;
            assert_eq!((stats.upstream_cx_total().value(), stats.upstream_cx_overflow().value()), (1, 1));
            drop(first);
            assert!(second.await.is_ok());
            assert_eq!(stats.upstream_cx_total().value(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_connection_that_comes_to_a_closed_pool_ends_with_its_request() {
    LocalSet::new()
        .run_until(async {
            let pool = pool().await;
            let mut request = Box::pin(pool.acquire_stream(false));
            assert!(poll!(&mut request).is_pending());
            pool.close();
            let lease = request.await.expect("a stream");
            let connection = Rc::clone(&lease.connection);
            drop(lease);
            assert!(connection.client.borrow().is_none());
            while !pool.http2.is_unused() {
                yield_now().await;
            }
        })
        .await;
}

#[tokio::test]
async fn a_pool_keeps_its_place_while_requests_wait() {
    LocalSet::new()
        .run_until(async {
            let pool = pool().await;
            let breaker = pool.cluster.circuit_breakers.of(false);
            let (mut first, mut second) =
                (Box::pin(pool.acquire_stream(false)), Box::pin(pool.acquire_stream(false)));
            assert!(poll!(&mut first).is_pending());
            assert!(poll!(&mut second).is_pending());
            drop(first);
            assert!(breaker.try_pool().is_none());
            drop(second);
            assert!(breaker.try_pool().is_some());
        })
        .await;
}

#[tokio::test]
async fn what_was_connected_before_its_host_failed_is_no_room_for_further_requests() {
    LocalSet::new()
        .run_until(async {
            let pool = pool().await;
            drop(first(&pool).await);
            assert_eq!(pool.http2.load(&pool.host), (0, 1));
            pool.host.failures.note();
            assert_eq!(pool.http2.load(&pool.host), (0, 0));
        })
        .await;
}
