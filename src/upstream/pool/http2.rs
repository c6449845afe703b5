//! HTTP/2 connections: many requests at a time on each.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::codec::h2::{self, Client, ClientStream, Settings};
use crate::config;
use crate::config::cluster::UpstreamProtocol;
use crate::config::protocol::Http2Options;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::host::ActiveConnection;

use super::AcquireError;
use super::connect::Ends;
use super::host::HostPool;

/// The connections to one host that requests share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    connections: RefCell<Vec<Rc<Connection>>>,
    connecting: Cell<bool>,
    changed: Notify,
}

/// A connection that requests share.
#[derive(Debug)]
struct Connection {
    client: RefCell<Client>,
    streams: Cell<usize>,
    begun: Cell<u32>,
    ended: Cell<bool>,
    idle_since: Cell<Instant>,
    opened: Instant,
    ends: Ends,
    _place: Guard,
    _active: ActiveConnection,
}

impl Connection {
    fn takes_streams(&self, config: &config::Cluster) -> bool {
        let used_up = config.max_requests_per_connection.is_some_and(|limit| self.begun.get() >= limit);
        let too_old = config.max_connection_duration.is_some_and(|limit| self.opened.elapsed() >= limit);
        !self.ended.get() && !used_up && !too_old && self.streams.get() < self.client.borrow().max_streams()
    }
}

/// The options that hold for HTTP/2 to this cluster.
fn options(config: &config::Cluster) -> Http2Options {
    match &config.protocol {
        UpstreamProtocol::Http2(options) | UpstreamProtocol::UseDownstream(_, options) => options.clone(),
        UpstreamProtocol::Http1(_) => Http2Options::default(),
    }
}

impl HostPool {
    /// A stream on a connection that has room for one.
    pub fn stream(self: &Rc<Self>) -> Option<StreamLease> {
        let connections = self.http2.connections.borrow();
        let connection =
            connections.iter().find(|connection| connection.takes_streams(&self.cluster.config))?;
        Some(StreamLease::new(Rc::clone(connection)))
    }

    /// A stream: on a connection that is there, or a new one. Those who come while one is being made wait for it.
    ///
    /// Dropping the future gives up waiting or connecting.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_stream(self: &Rc<Self>, high_priority: bool) -> Result<StreamLease, AcquireError> {
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, _waiting) = self.begin_pending(breaker)?;
        loop {
            let changed = self.http2.changed.notified();
            if let Some(lease) = self.stream() {
                return Ok(lease);
            }
            if self.http2.connecting.get() {
                changed.await;
                continue;
            }
            let Some(place) = self.place(breaker) else {
                changed.await;
                continue;
            };
            let _connecting = Connecting::new(&self.http2);
            return self.open_shared(place).await;
        }
    }

    async fn open_shared(self: &Rc<Self>, place: Guard) -> Result<StreamLease, AcquireError> {
        let (io, active) = self.connect_counted(true).await?;
        let settings =
            Settings::new(&options(&self.cluster.config), self.cluster.config.max_response_headers_kb * 1024);
        let ends = Ends::new(&io, active.host());
        let connected = h2::connect(io, &settings, self.cluster.codec_stats.http2()).await;
        let (mut client, driver) =
            connected.map_err(|error| AcquireError::Connect(std::io::Error::other(error)))?;
        client.ready().await.map_err(|error| AcquireError::Connect(std::io::Error::other(error)))?;
        let now = Instant::now();
        let connection = Rc::new(Connection {
            client: RefCell::new(client),
            streams: Cell::new(0),
            begun: Cell::new(0),
            ended: Cell::new(false),
            idle_since: Cell::new(now),
            opened: now,
            ends,
            _place: place,
            _active: active,
        });
        self.http2.connections.borrow_mut().push(Rc::clone(&connection));
        self.cluster.stats.upstream_cx_active().inc();
        let pool = Rc::clone(self);
        let driven = Rc::clone(&connection);
        spawn_local(async move {
            if let Err(error) = driver.run().await {
                tracing::debug!(target: "http2", %error, host = %pool.host.address_text, "upstream connection ended");
            }
            pool.shared_ended(&driven);
        });
        Ok(StreamLease::new(connection))
    }

    fn shared_ended(&self, ended: &Rc<Connection>) {
        ended.ended.set(true);
        self.http2.connections.borrow_mut().retain(|connection| !Rc::ptr_eq(connection, ended));
        let stats = &self.cluster.stats;
        stats.upstream_cx_active().dec();
        stats.upstream_cx_destroy().inc();
        stats.upstream_cx_length_ms().record(ended.opened.elapsed().as_millis() as u64);
        self.http2.changed.notify_waiters();
    }

    /// Drops shared connections that have been idle too long, or all of them. With its last handle an idle
    /// connection says goodbye and ends.
    pub(super) fn sweep_shared(&self, now: Instant, all: bool) {
        let timeout = self.cluster.config.idle_timeout;
        self.http2.connections.borrow_mut().retain(|connection| {
            let idle = connection.streams.get() == 0;
            let expired = timeout.is_some_and(|timeout| now >= connection.idle_since.get() + timeout);
            if idle && expired && !all {
                self.cluster.stats.upstream_cx_idle_timeout().inc();
            }
            !(all || idle && expired)
        });
    }
}

/// Marks that a connection is being made until it is dropped, however that ends.
struct Connecting<'a>(&'a Shared);

impl<'a> Connecting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.connecting.set(true);
        Connecting(shared)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.changed.notify_waiters();
    }
}

/// A stream lent for one request. Dropped before its end, it is reset.
#[derive(Debug)]
pub struct StreamLease {
    stream: ClientStream,
    connection: Rc<Connection>,
}

impl StreamLease {
    fn new(connection: Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        connection.begun.set(connection.begun.get() + 1);
        let stream = connection.client.borrow().stream();
        StreamLease { stream, connection }
    }

    /// Takes the connection out of use: streams that are on it go on, others begin elsewhere.
    pub fn retire(&self) {
        self.connection.ended.set(true);
    }

    /// From where its connection was made, and to where.
    pub fn ends(&self) -> Ends {
        self.connection.ends
    }
}

impl Deref for StreamLease {
    type Target = ClientStream;

    fn deref(&self) -> &ClientStream {
        &self.stream
    }
}

impl DerefMut for StreamLease {
    fn deref_mut(&mut self) -> &mut ClientStream {
        &mut self.stream
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
        self.connection.idle_since.set(Instant::now());
    }
}
