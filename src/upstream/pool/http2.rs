//! HTTP/2 connections: many requests at a time on each.

mod lease;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::base::timer::Timer;
use crate::codec::StreamError;
use crate::codec::h2::{self, Client, Settings, Watch};
use crate::config;
use crate::config::cluster::UpstreamProtocol;
use crate::config::protocol::Http2Options;
use crate::observability::stats::ClusterStats;
use crate::upstream::Host;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::host_stats::ActiveConnection;

use super::AcquireError;
use super::connect::Established;
use super::ended::Ended;
use super::host::{Carries, Connected, HostPool, Maker};
use super::random_bits;

pub use lease::StreamLease;

/// The connections to one host that requests share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    connections: RefCell<Vec<Rc<Connection>>>,
    connecting: Cell<bool>,
    /// Told when waiting may have an end: a connection was made, or was not, or has room again.
    pub(super) changed: Rc<Notify>,
    /// How often the host took no connection, and why not the last time.
    failures: Cell<u64>,
    last_failure: RefCell<Option<AcquireError>>,
}

impl Shared {
    /// Whether there is no connection, nor one in the making.
    pub(super) fn is_unused(&self) -> bool {
        !self.connecting.get() && self.connections.borrow().is_empty()
    }

    /// Whether a connection would be the first: those that only take their leave carry nothing any more.
    pub(super) fn has_none(&self) -> bool {
        !self.connecting.get() && self.connections.borrow().iter().all(|one| one.client.borrow().is_none())
    }

    /// Streams on connections to `host`, and how many more they have room for: those from before it failed have none.
    pub(super) fn load(&self, host: &Host) -> (u32, u64) {
        let (mut streams, mut room) = (0, 0);
        for connection in &*self.connections.borrow() {
            streams += connection.streams.get() as u32;
            if !connection.established.has_failed(host) {
                room += connection.room() as u64;
            }
        }
        (streams, room)
    }

    fn failed(&self, error: &AcquireError) {
        self.failures.set(self.failures.get() + 1);
        self.last_failure.replace(Some(error.clone()));
    }

    /// What kept a connection from being made since there were so many failures.
    fn failure_since(&self, failures: u64) -> Option<AcquireError> {
        if self.failures.get() == failures { None } else { self.last_failure.borrow().clone() }
    }
}

/// A connection that requests share.
#[derive(Debug)]
pub(super) struct Connection {
    /// Gone once the connection is out of use and its last stream has ended: with it the connection ends.
    client: RefCell<Option<Client>>,
    /// Told when a stream has ended, which leaves room for another.
    changed: Rc<Notify>,
    streams: Cell<usize>,
    /// Streams at once that are configured; the host may permit fewer.
    most_streams: usize,
    begun: Cell<u32>,
    /// Streams in all that are configured.
    most_requests: Option<u32>,
    /// Out of use: streams that are on it go on, others begin elsewhere.
    retired: Cell<bool>,
    counted: Cell<(u64, u64)>,
    watch: Rc<Watch>,
    idle_since: Cell<Instant>,
    opened: Instant,
    /// When it has lived for as long as it may.
    ends: Option<Instant>,
    established: Established,
    _place: Guard,
    _active: ActiveConnection,
}

impl Connection {
    fn takes_streams(&self) -> bool {
        self.room() > 0
    }

    /// How many more streams it takes.
    fn room(&self) -> usize {
        let too_old = self.ends.is_some_and(|end| Instant::now() >= end);
        if self.retired.get() || too_old {
            return 0;
        }
        let client = self.client.borrow();
        let most = client.as_ref().map_or(0, |client| client.max_streams().min(self.most_streams));
        let left =
            self.most_requests.map_or(usize::MAX, |most| most.saturating_sub(self.begun.get()) as usize);
        most.saturating_sub(self.streams.get()).min(left)
    }

    /// Takes the connection out of use. It ends when its streams have.
    fn retire(&self) {
        self.retired.set(true);
        if self.streams.get() == 0 && self.client.take().is_some() {
            self.changed.notify_waiters();
        }
    }

    /// Adds what was read and written since the last time.
    fn count_bytes(&self, stats: &ClusterStats) {
        let (read, written) = self.watch.bytes();
        let before = self.counted.replace((read, written));
        if before == (read, written) {
            return;
        }
        stats.upstream_cx_rx_bytes_total().add(read - before.0);
        stats.upstream_cx_tx_bytes_total().add(written - before.1);
    }
}

/// The options that hold for HTTP/2 to this cluster.
pub(in crate::upstream) fn options(config: &config::Cluster) -> Http2Options {
    match &config.http.protocol {
        UpstreamProtocol::Http2(options)
        | UpstreamProtocol::UseDownstream(_, options)
        | UpstreamProtocol::Auto(_, options) => options.clone(),
        UpstreamProtocol::Http1(_) => Http2Options::default(),
    }
}

impl HostPool {
    /// A stream on a connection that has room for one.
    pub fn stream(self: &Rc<Self>) -> Option<StreamLease> {
        let serves = |connection: &&Rc<Connection>| {
            connection.takes_streams() && !connection.established.has_failed(&self.host)
        };
        let connection = self.http2.connections.borrow().iter().find(serves).map(Rc::clone)?;
        let lease = StreamLease::new(connection, Rc::clone(self));
        self.provision_again(Carries::Http2);
        Some(lease)
    }

    /// A stream: on a connection that is there, or a new one. Those who come while one is being made wait for it.
    ///
    /// Dropping the future gives up waiting or connecting.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_stream(self: &Rc<Self>, high_priority: bool) -> Result<StreamLease, AcquireError> {
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, waiting) = self.begin_pending(breaker)?;
        let acquired = async {
            // All of those who wait look whenever something changes, but each is refused once.
            let mut refused = false;
            loop {
                let changed = self.http2.changed.notified();
                if let Some(lease) = self.stream() {
                    return Ok(lease);
                }
                let place = match self.http2.connecting.get() {
                    true => None,
                    false => {
                        let place = self.place(breaker, self.http2.has_none(), refused);
                        refused = place.is_none();
                        place
                    }
                };
                let Some(place) = place else {
                    let failures = self.http2.failures.get();
                    changed.await;
                    if let Some(error) = self.http2.failure_since(failures) {
                        self.cluster.stats.upstream_rq_pending_failure_eject().inc();
                        return Err(error);
                    }
                    continue;
                };
                let _connecting = Connecting::new(self);
                return self.open_shared(place).await.inspect_err(|error| self.http2.failed(error));
            }
        };
        waiting.over(acquired).await
    }

    async fn open_shared(self: &Rc<Self>, place: Guard) -> Result<StreamLease, AcquireError> {
        let connected = self.connect_counted(Carries::Http2, Maker::Request).await?;
        let connection = self.share(connected, place).await?;
        Ok(StreamLease::new(connection, Rc::clone(self)))
    }

    /// Begins to speak HTTP/2 on a new connection, for requests to share.
    pub(super) async fn share(
        self: &Rc<Self>,
        connected: Connected,
        place: Guard,
    ) -> Result<Rc<Connection>, AcquireError> {
        let Connected { io, established, active, .. } = connected;
        let config = &self.cluster.config;
        let buffer_limit = config.buffer.limit_bytes;
        let settings = Settings {
            max_headers_count: config.http.max_response_headers_count,
            ..Settings::new(&options(config), config.http.max_response_headers_kb * 1024, buffer_limit)
        };
        let connected = h2::connect(io, &settings, self.cluster.codec_stats.http2()).await;
        let (mut client, driver) = connected.map_err(broken)?;
        client.ready().await.map_err(broken)?;
        let now = Instant::now();
        let connection = Rc::new(Connection {
            watch: client.watch(),
            client: RefCell::new(Some(client)),
            changed: Rc::clone(&self.http2.changed),
            streams: Cell::new(0),
            most_streams: settings.max_concurrent_streams as usize,
            begun: Cell::new(0),
            most_requests: config.http.max_requests_per_connection,
            // A pool that was closed meanwhile has one for the request that waited, and for no other.
            retired: Cell::new(self.closed.get()),
            counted: Cell::default(),
            idle_since: Cell::new(now),
            opened: now,
            ends: config.http.max_connection_duration.map(|limit| now + limit.drawn(random_bits)),
            established,
            _place: place,
            _active: active,
        });
        self.http2.connections.borrow_mut().push(Rc::clone(&connection));
        self.cluster.stats.upstream_cx_active().inc();
        spawn_local(drive(Rc::clone(self), Rc::clone(&connection), driver));
        Ok(connection)
    }

    fn shared_ended(&self, ended: &Rc<Connection>, error: Option<StreamError>) {
        let broke_protocol = matches!(error, Some(StreamError::Protocol(_)));
        let active = ended.watch.open_streams() > 0 && !broke_protocol;
        let here = ended.retired.get() || broke_protocol || ended.watch.is_given_up();
        let by = match (here, active) {
            (true, false) => Ended::Local,
            (true, true) => Ended::LocalWithRequest,
            (false, false) => Ended::Remote,
            (false, true) => Ended::RemoteWithRequest,
        };
        ended.retire();
        self.http2.connections.borrow_mut().retain(|connection| !Rc::ptr_eq(connection, ended));
        let stats = &self.cluster.stats;
        ended.count_bytes(stats);
        stats.upstream_rq_per_cx().record(ended.begun.get().into());
        by.count(stats, ended.opened);
        self.leave_place();
        self.http2.changed.notify_waiters();
    }

    /// Drops shared connections that have been idle too long, or all of them. With its last handle an idle
    /// connection says goodbye and ends.
    pub(super) fn sweep_shared(&self, now: Instant, all: bool) {
        let timeout = self.cluster.config.http.idle_timeout;
        self.http2.connections.borrow_mut().retain(|connection| {
            let idle = connection.streams.get() == 0;
            let expired = timeout.is_some_and(|timeout| now >= connection.idle_since.get() + timeout);
            if idle && expired && !all {
                self.cluster.stats.upstream_cx_idle_timeout().inc();
            }
            let kept = !(all || idle && expired || connection.established.has_failed(&self.host));
            if !kept {
                connection.retire();
            }
            kept
        });
    }
}

/// A connection that broke before it could be used.
fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AcquireError {
    AcquireError::Connect(Arc::new(std::io::Error::other(error)))
}

/// Moves the frames of a connection to its end, and takes it out of use when it is too old or its peer goes away.
async fn drive(pool: Rc<HostPool>, connection: Rc<Connection>, driver: h2::Connecting) {
    let stats = &pool.cluster.stats;
    let mut driving = pin!(driver.run());
    let mut age = Timer::default();
    let mut end = connection.ends;
    let mut told = false;
    let ended = poll_fn(|cx| {
        let ended = driving.as_mut().poll(cx);
        // Streams may last long, so that their bytes count while they do.
        connection.count_bytes(stats);
        // The host may have come to permit more streams at once.
        if pool.has_pending() && connection.takes_streams() {
            connection.changed.notify_waiters();
        }
        if !told && connection.watch.goes_away() {
            told = true;
            stats.upstream_cx_close_notify().inc();
            connection.retire();
        }
        if age.poll(end, cx).is_ready() {
            end = None;
            stats.upstream_cx_max_duration_reached().inc();
            connection.retire();
            cx.waker().wake_by_ref();
        }
        ended
    })
    .await;
    if let Err(error) = &ended {
        tracing::debug!(target: "http2", %error, host = %pool.host.address_text, "upstream connection ended");
    }
    pool.shared_ended(&connection, ended.err());
}

/// Marks that a connection is being made until it is dropped, however that ends.
struct Connecting<'a>(&'a HostPool);

impl<'a> Connecting<'a> {
    fn new(pool: &'a HostPool) -> Self {
        pool.http2.connecting.set(true);
        Connecting(pool)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.http2.connecting.set(false);
        self.0.http2.changed.notify_waiters();
        self.0.leave_place();
    }
}

#[cfg(test)]
mod tests;
