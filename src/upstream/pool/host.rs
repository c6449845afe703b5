//! A worker's connections to one host.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::base::io::Io;
use crate::transport::internal::Doors;
use crate::upstream::circuit_breaker::{Breaker, Guard, Resource};
use crate::upstream::host_stats::ActiveConnection;
use crate::upstream::{Cluster, Host, TransportOptions};

use super::AcquireError;
use super::connect::{Established, connect};
use super::ended::Ended;
use super::guards::{Opening, PendingGauge};
use super::http1::{Connection, Lease};
use super::http2::Shared;
use super::ready_tcp::ReadyTcp;
use super::variants::Variants;

/// Connections to one host, and requests that wait for one.
#[derive(Debug)]
pub struct HostPool {
    /// The host.
    pub host: Arc<Host>,
    /// The cluster it belongs to.
    pub cluster: Arc<Cluster>,
    /// The listeners that can be connected to within the process.
    pub(super) doors: Rc<Doors>,
    /// What the requests say that its connections are for.
    pub(super) options: RefCell<Option<Rc<TransportOptions>>>,
    /// Pools of other connections to the host, for requests that say something of them.
    pub(super) variants: Variants,
    /// The last is the one used last: its buffers are the warmest.
    #[expect(clippy::vec_box, reason = "they come and go boxed, and moving connections costs more")]
    idle: RefCell<Vec<Box<Connection>>>,
    waiting: RefCell<VecDeque<oneshot::Sender<Turn>>>,
    open: Cell<u32>,
    /// Connections in the making that belong to no request.
    pub(super) making: Cell<u32>,
    /// Requests that wait for a connection, or for one to be made.
    pending: Cell<u32>,
    /// Places among the cluster's pools, for requests of default and of high priority, while there are connections or
    /// requests that wait for one.
    places: RefCell<[Option<Guard>; 2]>,
    pub(super) http2: Shared,
    /// Connections for bytes that were made before they are needed.
    pub(super) ready_tcp: ReadyTcp,
    pub(super) closed: Cell<bool>,
}

impl HostPool {
    pub(super) fn new(host: Arc<Host>, cluster: Arc<Cluster>, doors: Rc<Doors>) -> Self {
        HostPool {
            host,
            cluster,
            doors,
            options: RefCell::default(),
            variants: Variants::default(),
            idle: RefCell::default(),
            waiting: RefCell::default(),
            open: Cell::new(0),
            making: Cell::new(0),
            pending: Cell::new(0),
            places: RefCell::default(),
            http2: Shared::default(),
            ready_tcp: ReadyTcp::default(),
            closed: Cell::new(false),
        }
    }

    /// An idle connection, if there is one that is still good.
    pub fn idle(self: &Rc<Self>) -> Option<Lease> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.established().has_failed(&self.host) {
                self.discard(&connection, Ended::Local);
                continue;
            }
            if connection.is_usable(&self.cluster.stats) {
                let lease = Lease::new(connection, Rc::clone(self));
                self.provision_again(Carries::Http1);
                return Some(lease);
            }
            self.discard(&connection, Ended::Remote);
        }
    }

    /// A connection: an idle one, a new one, or when there may be no more, the next that becomes free.
    ///
    /// Dropping the future gives up waiting or connecting.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire(self: &Rc<Self>, high_priority: bool) -> Result<Lease, AcquireError> {
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, waiting) = self.begin_pending(breaker)?;
        let acquired = async {
            loop {
                if let Some(lease) = self.idle() {
                    return Ok(lease);
                }
                if let Some(place) = self.place(breaker, self.has_none_open(), false) {
                    return self.open(place).await;
                }
                match self.wait().await {
                    Turn::Take(connection) => return Ok(Lease::new(connection, Rc::clone(self))),
                    Turn::Open => {}
                    Turn::Failed(error) => return Err(error),
                }
            }
        };
        waiting.over(acquired).await
    }

    /// Counts a request as waiting for a connection, if one more may.
    pub(super) fn begin_pending(
        &self,
        breaker: &Arc<Breaker>,
    ) -> Result<(Guard, PendingGauge<'_>), AcquireError> {
        self.take_place(breaker)?;
        let stats = &self.cluster.stats;
        let Some(pending) = breaker.try_pending() else {
            self.leave_place();
            stats.upstream_rq_pending_overflow().inc();
            return Err(AcquireError::Overflow);
        };
        stats.upstream_rq_pending_total().inc();
        Ok((pending, PendingGauge::new(self)))
    }

    /// The place of this pool among those of the cluster, if there is one.
    fn take_place(&self, breaker: &Arc<Breaker>) -> Result<(), AcquireError> {
        let is_high = Arc::ptr_eq(breaker, self.cluster.circuit_breakers.of(true));
        let place = &mut self.places.borrow_mut()[usize::from(is_high)];
        if place.is_none() {
            *place = breaker.try_pool();
        }
        if place.is_none() {
            self.cluster.stats.upstream_cx_pool_overflow().inc();
            return Err(AcquireError::NoPool);
        }
        Ok(())
    }

    /// Gives the place back when there is no connection any more, and nobody who waits for one.
    pub(super) fn leave_place(&self) {
        if self.is_unused() {
            self.places.take();
        }
    }

    /// Whether requests wait for a connection, or for one to be made.
    pub(super) fn has_pending(&self) -> bool {
        self.pending.get() > 0
    }

    /// How many requests wait for what others leave.
    pub(super) fn waiting_count(&self) -> u32 {
        self.waiting.borrow().iter().filter(|waiting| !waiting.is_closed()).count() as u32
    }

    /// How many connections that carry one message at a time, or bytes, are idle.
    pub(super) fn idle_count(&self) -> u32 {
        (self.idle.borrow().len() + self.ready_tcp.count()) as u32
    }

    /// How many of them there are, in the making or not.
    pub(super) fn open_count(&self) -> u32 {
        self.open.get()
    }

    /// Counts a request among those that wait.
    pub(super) fn one_pending(&self) {
        self.pending.set(self.pending.get() + 1);
    }

    /// Counts a request out of those that wait.
    pub(super) fn one_less_pending(&self) {
        self.pending.set(self.pending.get().saturating_sub(1));
        self.leave_place();
    }

    /// Counts a connection among those that are open.
    pub(super) fn one_more(&self) {
        self.open.set(self.open.get() + 1);
    }

    /// Counts a connection out of those that are open.
    pub(super) fn one_less(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.leave_place();
    }

    /// A place for one more connection. One that is the first of its protocol may always be made, or requests would wait
    /// for ever. That there is no place is counted, unless the request was `refused` one before.
    pub(super) fn place(&self, breaker: &Arc<Breaker>, is_first: bool, refused: bool) -> Option<Guard> {
        let place = breaker.try_connection(self.host.stats.cx_active.load(Ordering::Relaxed));
        if place.is_none() && !refused {
            self.cluster.stats.upstream_cx_overflow().inc();
        }
        place.or_else(|| is_first.then(|| breaker.take(Resource::Connections)))
    }

    /// Waits for what another request leaves.
    pub(super) async fn wait(&self) -> Turn {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push_back(sender);
        let mut waiting = Waiting { pool: self, receiver };
        (&mut waiting.receiver).await.unwrap_or(Turn::Open)
    }

    /// Whether there is no connection that carries one message at a time, nor one in the making.
    pub(super) fn has_none_open(&self) -> bool {
        self.open.get() == 0
    }

    async fn open(self: &Rc<Self>, place: Guard) -> Result<Lease, AcquireError> {
        let opening = self.opening();
        let connected = self.connect_counted(Carries::Http1, Maker::Request).await?;
        let connection = Connection::new(connected, &self.cluster.config, place);
        opening.opened();
        Ok(Lease::new(Box::new(connection), Rc::clone(self)))
    }

    /// Counts a connection as open while it is being opened.
    pub(super) fn opening(&self) -> Opening<'_> {
        Opening::new(self)
    }

    /// Counts a connection out that was there since `since`, and lets one of those that wait open another.
    pub(super) fn closed(&self, ended: Ended, since: Instant) {
        self.one_less();
        ended.count(&self.cluster.stats, since);
        self.let_another_open();
    }

    /// Connects, and counts how that went.
    pub(super) async fn connect_counted(
        &self,
        carries: Carries,
        maker: Maker,
    ) -> Result<Connected, AcquireError> {
        let stats = &self.cluster.stats;
        let started = Instant::now();
        let active = self.host.begin_connection();
        stats.upstream_cx_total().inc();
        match carries {
            Carries::Http2 => stats.upstream_cx_http2_total().inc(),
            Carries::Http1 => self.count_http1(),
            // What it speaks is counted once that is known.
            Carries::Either | Carries::Bytes => {}
        }
        // Each further address that is tried counts as a connection, too.
        let another = || {
            self.host.stats.count_connection();
            stats.upstream_cx_total().inc();
        };
        match connect(self, carries.alpn(), another).await {
            Ok((io, greeted)) => {
                let established = Established::new(&io, greeted, &self.host, started);
                stats.upstream_cx_connect_ms().record(established.took.as_millis() as u64);
                let named = self.options.borrow().as_ref().is_some_and(|said| said.http_proxy.is_some());
                let proxied = named && established.tls.is_none();
                Ok(Connected { io, established, active, proxied })
            }
            Err(error) => {
                self.count_connect_failure(&error, started);
                // One that belongs to no request ends the waiting of all.
                if maker == Maker::Request {
                    stats.upstream_rq_pending_failure_eject().inc();
                }
                self.fail_waiting(&error);
                Err(error)
            }
        }
    }

    /// Counts a connection that speaks HTTP/1.1.
    pub(super) fn count_http1(&self) {
        self.cluster.stats.upstream_cx_http1_total().inc();
        self.cluster.codec_stats.http1();
    }

    fn count_connect_failure(&self, error: &AcquireError, started: Instant) {
        let stats = &self.cluster.stats;
        stats.upstream_cx_destroy().inc();
        stats.upstream_cx_length_ms().record(started.elapsed().as_millis() as u64);
        stats.upstream_cx_connect_fail().inc();
        if matches!(error, AcquireError::Timeout) {
            stats.upstream_cx_connect_timeout().inc();
            stats.upstream_cx_destroy_local().inc();
        } else if error.is_local() {
            stats.upstream_cx_destroy_local().inc();
        } else {
            stats.upstream_cx_destroy_remote().inc();
        }
        self.host.stats.count_connect_fail();
    }

    /// Takes back a connection that is clean, for whoever waits longest, or keeps it idle.
    pub(super) fn give_back(&self, mut connection: Box<Connection>) {
        if self.closed.get() {
            return self.discard(&connection, Ended::Local);
        }
        while let Some(waiting) = self.waiting.borrow_mut().pop_front() {
            match waiting.send(Turn::Take(connection)) {
                Err(Turn::Take(returned)) => connection = returned,
                _ => return,
            }
        }
        connection.go_idle();
        self.idle.borrow_mut().push(connection);
    }

    /// Counts a connection out that is closed by being dropped.
    pub(super) fn discard(&self, connection: &Connection, ended: Ended) {
        self.one_less();
        connection.count_out(&self.cluster.stats, ended);
        self.let_another_open();
    }

    pub(super) fn let_another_open(&self) {
        // One of those that wait may open another in its place; one that gave up is passed over.
        while let Some(waiting) = self.waiting.borrow_mut().pop_front() {
            if waiting.send(Turn::Open).is_ok() {
                return;
            }
        }
    }

    /// A host that takes no connection is not asked for one by each of those that wait in turn: they hear of it, and may
    /// be sent elsewhere.
    pub(super) fn fail_waiting(&self, error: &AcquireError) {
        for waiting in self.waiting.take() {
            if waiting.send(Turn::Failed(error.clone())).is_ok() {
                self.cluster.stats.upstream_rq_pending_failure_eject().inc();
            }
        }
    }

    /// Whether there is no connection, nor anybody who waits for one.
    pub(super) fn is_unused(&self) -> bool {
        self.open.get() == 0 && self.pending.get() == 0 && self.http2.is_unused()
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.variants.sweep(now);
        self.sweep_shared(now, false);
        self.sweep_tcp(now, false);
        let timeout = self.cluster.config.http.idle_timeout;
        let mut idle = self.idle.take();
        idle.retain_mut(|connection| {
            let expired = timeout.is_some_and(|timeout| now >= connection.idle_since() + timeout);
            if expired {
                self.cluster.stats.upstream_cx_idle_timeout().inc();
                self.discard(connection, Ended::Local);
                return false;
            }
            if connection.established().has_failed(&self.host) {
                self.discard(connection, Ended::Local);
                return false;
            }
            let usable = connection.is_usable(&self.cluster.stats);
            if !usable {
                self.discard(connection, Ended::Remote);
            }
            usable
        });
        self.idle.borrow_mut().append(&mut idle);
    }

    pub(super) fn close(&self) {
        self.closed.set(true);
        self.variants.close();
        self.sweep_shared(Instant::now(), true);
        self.sweep_tcp(Instant::now(), true);
        for connection in self.idle.take() {
            self.discard(&connection, Ended::Local);
        }
    }
}

/// A request that waits. What it is left and does not take any more goes to the next.
struct Waiting<'p> {
    pool: &'p HostPool,
    receiver: oneshot::Receiver<Turn>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        match self.receiver.try_recv() {
            Ok(Turn::Take(connection)) => self.pool.give_back(connection),
            Ok(Turn::Open) => self.pool.let_another_open(),
            Ok(Turn::Failed(_)) | Err(_) => {}
        }
    }
}

/// What comes of waiting.
#[derive(Debug)]
pub(super) enum Turn {
    /// This connection was given back.
    Take(Box<Connection>),
    /// There may be room for a new one: one was closed, or one that was being made was given up.
    Open,
    /// The host did not take a connection.
    Failed(AcquireError),
}

/// What ALPN calls HTTP/2.
pub(super) const H2: &[u8] = b"h2";

/// On whose behalf a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// A request's, which waits for it.
    Request,
    /// The pool's.
    Pool,
}

/// What a connection is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
    /// HTTP of the version that the host chooses.
    Either,
    /// Whatever comes.
    Bytes,
}

impl Carries {
    /// What is offered over TLS where the cluster offers nothing.
    fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Carries::Http1 => &[b"http/1.1"],
            Carries::Http2 => &[H2],
            Carries::Either => &[H2, b"http/1.1"],
            Carries::Bytes => &[],
        }
    }
}

/// A connection that was made just now.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) io: Io,
    pub(super) established: Established,
    pub(super) active: ActiveConnection,
    /// Whether a proxy that the request named reads its requests.
    pub(super) proxied: bool,
}
