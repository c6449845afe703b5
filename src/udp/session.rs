//! A session: the datagrams of one client to one host, and what comes back.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;

use crate::base::timer::Timer;
use crate::observability::format::LogType;
use crate::observability::stats::udp::UdpClusterStats;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::{Cluster, Host};

use super::datagrams::{BATCH, Shared};
use super::log;
use super::proxy::Proxy;
use super::sessions::Key;
use super::socket::{Downstream, READS, receive};

/// The datagrams of one client to one host. It is logged when it ends.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: Key,
    pub(super) proxy: Arc<Proxy>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) host: Arc<Host>,
    pub(super) began: (Instant, SystemTime),
    pub(super) counts: Counts,
    pub(super) logged: log::Logged,
    pub(super) address: SocketAddr,
    stats: UdpClusterStats,
    downstream: Rc<Downstream>,
    upstream: UdpSocket,
    connected: Cell<bool>,
    idle_since: Cell<Instant>,
    /// The version of the cluster's hosts of which the host was one.
    hosts_version: Cell<u64>,
    /// Whether the host is one of the cluster's own, which an aggregate cluster does not have.
    listed: bool,
    task: OnceCell<AbortHandle>,
    /// There until the session ends.
    place: RefCell<Option<Guard>>,
}

/// What passed in a session.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes_received: Cell<u64>,
    pub(super) datagrams_received: Cell<u64>,
    pub(super) bytes_sent: Cell<u64>,
    pub(super) datagrams_sent: Cell<u64>,
    pub(super) errors_sent: Cell<u64>,
}

fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

impl Session {
    /// A session with a socket of its own.
    ///
    /// # Errors
    /// The system has no socket left.
    pub(super) fn new(
        shared: &Rc<Shared>,
        key: Key,
        downstream: &Rc<Downstream>,
        (cluster, stats): (Arc<Cluster>, UdpClusterStats),
        (host, address): (Arc<Host>, SocketAddr),
        place: Guard,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), None)?;
        let upstream = UdpSocket::from_std(socket.into())?;
        let (version, hosts) = (cluster.hosts_version(), cluster.hosts());
        shared.proxy.stats.downstream_sess_total().inc();
        shared.proxy.stats.downstream_sess_active().inc();
        let now = Instant::now();
        Ok(Session {
            key,
            proxy: Arc::clone(&shared.proxy),
            listed: hosts.iter().any(|known| known.id == host.id),
            hosts_version: Cell::new(version),
            cluster,
            host,
            began: (now, SystemTime::now()),
            counts: Counts::default(),
            logged: log::Logged::new(shared),
            address,
            stats,
            downstream: Rc::clone(downstream),
            upstream,
            connected: Cell::new(false),
            idle_since: Cell::new(now),
            task: OnceCell::new(),
            place: RefCell::new(Some(place)),
        })
    }

    /// Starts to listen to the host.
    pub(super) fn start(self: &Rc<Self>, shared: &Rc<Shared>) {
        let task = spawn_local(Rc::clone(self).run(Rc::clone(shared))).abort_handle();
        self.task.get_or_init(|| task);
    }

    /// Whether the host is none of its cluster's any more.
    pub(super) fn has_lost_host(&self) -> bool {
        let version = self.cluster.hosts_version();
        if !self.listed || self.hosts_version.replace(version) == version {
            return false;
        }
        !self.cluster.hosts().iter().any(|known| known.id == self.host.id)
    }

    /// Passes a datagram on to the host.
    pub(super) fn send(&self, datagram: &[u8]) {
        let (stats, length) = (&self.proxy.stats, datagram.len() as u64);
        stats.downstream_sess_rx_bytes().add(length);
        stats.downstream_sess_rx_datagrams().inc();
        add(&self.counts.bytes_received, length);
        add(&self.counts.datagrams_received, 1);
        self.idle_since.set(Instant::now());
        let socket = SockRef::from(&self.upstream);
        // Only now, so that a host that cannot be reached costs each datagram its turn, as in Envoy.
        if !self.connected.get() {
            self.connected.set(socket.connect(&self.address.into()).is_ok());
        }
        if self.connected.get() && socket.send(datagram).is_ok() {
            self.stats.sess_tx_datagrams().inc();
            self.cluster.stats.upstream_cx_tx_bytes_total().add(length);
        } else {
            self.stats.sess_tx_errors().inc();
        }
    }

    /// Passes on what the host sends, until nothing passes for too long.
    async fn run(self: Rc<Self>, shared: Rc<Shared>) {
        let mut timer = Timer::default();
        let interval = self.proxy.config.log_interval.filter(|_| !self.proxy.access_log.is_empty());
        let mut next_line = interval.map(|interval| self.began.0 + interval);
        loop {
            let idle_end = self.idle_since.get() + self.proxy.config.idle_timeout;
            let due = next_line.map_or(idle_end, |line| line.min(idle_end));
            let came = tokio::select! {
                biased;
                _ = self.upstream.ready(READS) => true,
                () = poll_fn(|cx| timer.poll(Some(due), cx)) => false,
            };
            if came {
                self.idle_since.set(Instant::now());
                let mut more = BATCH;
                while more > 0 && self.pass_back(&shared) {
                    more -= 1;
                }
            }
            let now = Instant::now();
            if now >= self.idle_since.get() + self.proxy.config.idle_timeout {
                self.proxy.stats.idle_timeout().inc();
                return shared.sessions.end(&self.key);
            }
            if let Some(interval) = interval
                && next_line.is_some_and(|line| line <= now)
            {
                self.log(&shared.worker, LogType::UdpPeriodic);
                next_line = Some(now + interval);
            }
        }
    }

    /// Passes one datagram of the host back; whether more may wait.
    fn pass_back(&self, shared: &Shared) -> bool {
        shared.with_buffers(|buffer, control| {
            let received = match receive(&self.upstream, buffer, control) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    self.stats.sess_rx_errors().inc();
                    return true;
                }
            };
            if received.truncated {
                self.stats.sess_rx_datagrams_dropped().inc();
                return true;
            }
            let length = received.length as u64;
            self.stats.sess_rx_datagrams().inc();
            self.cluster.stats.upstream_cx_rx_bytes_total().add(length);
            let stats = &self.proxy.stats;
            if self.downstream.send(self.key.local.ip(), self.key.peer, &buffer[..received.length]).is_ok() {
                stats.downstream_sess_tx_bytes().add(length);
                stats.downstream_sess_tx_datagrams().inc();
                add(&self.counts.bytes_sent, length);
                add(&self.counts.datagrams_sent, 1);
            } else {
                stats.downstream_sess_tx_errors().inc();
                add(&self.counts.errors_sent, 1);
            }
            true
        })
    }

    /// Our end of the way to the host, once there is one.
    pub(super) fn upstream_local(&self) -> Option<SocketAddr> {
        self.upstream.local_addr().ok().filter(|address| address.port() != 0)
    }

    /// Ends it, if it has not ended: gives its place back, and logs it.
    pub(super) fn end(&self) {
        let Some(place) = self.place.borrow_mut().take() else { return };
        drop(place);
        self.proxy.stats.downstream_sess_active().dec();
        self.log(&self.logged.worker, LogType::UdpSessionEnd);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}
