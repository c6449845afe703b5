//! What becomes of requests that wait for a connection.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join;
use futures_util::poll;
use socket2::{Domain, Socket, Type};

use super::AcquireError;
use super::host::HostPool;
use crate::base::headers::Headers;
use crate::observability::stream_info::{Address, ConnectionInfo};
use crate::upstream::TransportOptions;
use crate::upstream::testing::{ClusterBuilder, endpoint};

/// The connections to a host at this port, of which there may be one.
fn pool(port: u16) -> Rc<HostPool> {
    let mut builder = ClusterBuilder::new("c").hosts([endpoint(port)]);
    builder.config.circuit_breakers.default.max_connections = 1;
    builder.config.circuit_breakers.default.max_connection_pools = 1;
    let cluster = builder.build();
    let host = cluster.hosts().iter().next().map(Arc::clone).expect("the host just configured");
    Rc::new(HostPool::new(host, cluster, Rc::default()))
}

/// A port that is taken, and where nobody listens.
fn deaf() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    let address = socket.local_addr().expect("just bound").as_socket().expect("an IP address");
    (socket, address.port())
}

#[tokio::test]
async fn who_waits_hears_that_the_host_takes_no_connection() {
    let (_socket, port) = deaf();
    let pool = pool(port);
    let (first, second) = join(pool.acquire(false), pool.acquire(false)).await;
    assert!(matches!(first, Err(AcquireError::Connect(_))), "{first:?}");
    assert!(matches!(second, Err(AcquireError::Connect(_))), "{second:?}");
    let stats = &pool.cluster.stats;
    assert_eq!(
        (stats.upstream_cx_total().value(), stats.upstream_rq_pending_failure_eject().value()),
        (1, 2)
    );
}

#[tokio::test]
async fn who_waits_for_a_stream_hears_it_too() {
    let (_socket, port) = deaf();
    let pool = pool(port);
    let (first, second) = join(pool.acquire_stream(false), pool.acquire_stream(false)).await;
    assert!(matches!(first, Err(AcquireError::Connect(_))), "{first:?}");
    assert!(matches!(second, Err(AcquireError::Connect(_))), "{second:?}");
    let stats = &pool.cluster.stats;
    assert_eq!(
        (stats.upstream_cx_total().value(), stats.upstream_rq_pending_failure_eject().value()),
        (1, 2)
    );
}

#[tokio::test]
async fn a_connection_given_up_amid_its_making_leaves_its_place() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let pool = pool(listener.local_addr().expect("just bound").port());
    let mut first = Box::pin(pool.acquire(false));
    let mut second = Box::pin(pool.acquire(false));
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut second).is_pending());
    drop(first);
    // The second goes on with the place of the pool as well.
    assert!(pool.cluster.circuit_breakers.of(false).try_pool().is_none());
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn a_pool_without_a_connection_leaves_its_place_to_another() {
    let (_socket, port) = deaf();
    let pool = pool(port);
    let breaker = pool.cluster.circuit_breakers.of(false);
    assert!(pool.acquire_stream(false).await.is_err());
    assert!(breaker.try_pool().is_some());
    assert!(pool.acquire(false).await.is_err());
    assert!(breaker.try_pool().is_some());
}

/// The gauge and the counter of requests that wait, and whether one more may.
fn waiting(pool: &HostPool) -> (u64, u64, bool) {
    let stats = &pool.cluster.stats;
    let room = pool.cluster.circuit_breakers.of(false).try_pending().is_some();
    (stats.upstream_rq_pending_active().value(), stats.upstream_rq_cancelled().value(), room)
}

#[tokio::test]
async fn who_gives_up_waiting_is_counted_no_longer() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let pool = pool(listener.local_addr().expect("just bound").port());
    let lease = pool.acquire(false).await.expect("the first connection");
    let mut second = Box::pin(pool.acquire(false));
    assert!(poll!(&mut second).is_pending());
    assert_eq!(waiting(&pool), (1, 0, true));
    drop(second);
    assert_eq!(waiting(&pool), (0, 1, true));
    drop(lease);
    assert!(pool.acquire(false).await.is_ok());
}

#[tokio::test]
async fn a_turn_that_comes_to_who_has_given_up_is_the_next_ones() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("just bound").port();
    for is_clean in [true, false] {
        let pool = pool(port);
        let mut lease = pool.acquire(false).await.expect("the first connection");
        let (mut second, mut third) = (Box::pin(pool.acquire(false)), Box::pin(pool.acquire(false)));
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        if !is_clean {
            lease.send_headers(&Headers::new(), false, false);
        }
        // The second is given the connection, or its place, and never learns of it.
        drop(lease);
        drop(second);
        let lease = third.await.expect("a connection for who waits on");
        assert_eq!(waiting(&pool), (0, 1, true));
        assert_eq!(pool.cluster.stats.upstream_cx_active().value(), 1);
        drop(lease);
    }
}

#[test]
fn requests_that_say_the_same_share_a_pool() {
    let pool = pool(1);
    let client = |id| {
        let address = |port| Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        ConnectionInfo::new(id, address(1), address(2))
    };
    let said = Rc::new(TransportOptions { server_name: Some("one.test".into()), ..Default::default() });
    let of = |said: Option<&Rc<TransportOptions>>, high| pool.for_client(said, &client(1), true, high);
    let pools = [of(None, false), of(None, true), of(Some(&said), false), of(Some(&said), true)];
    for (index, one) in pools.iter().enumerate() {
        assert!(pools[..index].iter().all(|other| !Rc::ptr_eq(one, other)), "{index}");
    }
    // Another that says it, and another client.
    let again = Rc::new(TransportOptions::clone(&said));
    let same = [of(None, false), of(None, true), of(Some(&again), false), of(Some(&again), true)];
    assert!(pools.iter().zip(&same).all(|(one, other)| Rc::ptr_eq(one, other)));
    assert!(Rc::ptr_eq(&pools[1], &pool.for_client(None, &client(2), true, true)));
    assert!(Rc::ptr_eq(&pools[0], &pool));
}

#[test]
fn a_client_that_is_told_of_has_a_pool_of_its_own() {
    let mut builder = ClusterBuilder::new("c").hosts([endpoint(1)]);
    builder.config.connection_pool_per_downstream_connection = true;
    let cluster = builder.build();
    let host = cluster.hosts().iter().next().map(Arc::clone).expect("the host just configured");
    let pool = Rc::new(HostPool::new(host, cluster, Rc::default()));
    let address = || Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    let of = |id| pool.for_client(None, &ConnectionInfo::new(id, address(), address()), true, false);
    assert!(Rc::ptr_eq(&of(1), &of(1)));
    assert!(!Rc::ptr_eq(&of(1), &of(2)));
    assert!(!Rc::ptr_eq(&of(1), &pool));
}
