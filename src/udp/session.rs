//! A session: the datagrams of one client to one host, and what comes back.
//!
//! It passes its filters first, then a socket or a tunnel. Without filters and tunnels its cluster and its host are
//! known before there is a session; with them, once the last filter lets it on.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;

use crate::observability::format::LogType;
use crate::observability::stats::udp::UdpClusterStats;
use crate::observability::stream_info::ResponseFlags;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::{Cluster, Host};

use super::contain::contain;
use super::datagrams::Shared;
use super::direct::Direct;
use super::log;
use super::proxy::Proxy;
use super::session_filters::{Begin, Filter};
use super::sessions::Key;
use super::socket::Downstream;
use super::tunnel::Tunnelled;

/// The datagrams of one client to one host. It is logged when it ends.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: Key,
    pub(super) proxy: Arc<Proxy>,
    /// Where it leads; nowhere while a filter keeps it.
    destination: OnceCell<Destination>,
    pub(super) began: (Instant, SystemTime),
    pub(super) counts: Counts,
    pub(super) logged: log::Logged,
    /// What went wrong.
    pub(super) flags: Cell<ResponseFlags>,
    filters: Box<[Box<dyn Filter>]>,
    /// Whether the configuration of a filter has not come.
    pub(super) lacks_filter: bool,
    /// What leads to the host; nothing while a filter keeps the session.
    way: OnceCell<Way>,
    /// Told when there is a way that was not there from the beginning.
    pub(super) has_way: Notify,
    downstream: Rc<Downstream>,
    pub(super) idle_since: Cell<Instant>,
    tasks: RefCell<SmallVec<[AbortHandle; 1]>>,
    has_ended: Cell<bool>,
}

/// The cluster that a session leads to.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) cluster: Arc<Cluster>,
    pub(super) stats: UdpClusterStats,
    /// The session's place among its connections; none where there was none left, and once the session has ended.
    place: RefCell<Option<Guard>>,
}

impl Destination {
    /// A cluster, and a place in it if there is one.
    pub(super) fn new(cluster: Arc<Cluster>, place: Option<Guard>, proxy: &Proxy) -> Self {
        let stats = cluster.udp_stats(&proxy.registry).clone();
        Destination { cluster, stats, place: RefCell::new(place) }
    }
}

/// What leads from a session to its host.
#[derive(Debug)]
pub(super) enum Way {
    /// A socket of its own.
    Direct(Direct),
    /// A stream of HTTP.
    Tunnel(Rc<Tunnelled>),
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

/// Adds to a count.
pub(super) fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

impl Session {
    /// A session that leads nowhere yet.
    pub(super) fn new(shared: &Rc<Shared>, key: Key, downstream: &Rc<Downstream>) -> Self {
        let proxy = &shared.proxy;
        let filters = proxy.filters.begin();
        proxy.stats.downstream_sess_total().inc();
        proxy.stats.downstream_sess_active().inc();
        let now = Instant::now();
        Session {
            key,
            proxy: Arc::clone(proxy),
            destination: OnceCell::new(),
            began: (now, SystemTime::now()),
            counts: Counts::default(),
            logged: log::Logged::new(shared),
            flags: Cell::default(),
            lacks_filter: filters.is_none(),
            filters: filters.unwrap_or_default(),
            way: OnceCell::new(),
            has_way: Notify::new(),
            downstream: Rc::clone(downstream),
            idle_since: Cell::new(now),
            tasks: RefCell::default(),
            has_ended: Cell::new(false),
        }
    }

    /// Where it leads, once that is known.
    pub(super) fn destination(&self) -> Option<&Destination> {
        self.destination.get()
    }

    /// Says where it leads, where nothing says so yet.
    pub(super) fn head_for(&self, destination: Destination) -> &Destination {
        self.destination.get_or_init(|| destination)
    }

    /// What leads to the host, once there is something.
    pub(super) fn way(&self) -> Option<&Way> {
        self.way.get()
    }

    /// The socket to the host, once there is one.
    pub(super) fn direct(&self) -> Option<&Direct> {
        match self.way.get() {
            Some(Way::Direct(direct)) => Some(direct),
            Some(Way::Tunnel(_)) | None => None,
        }
    }

    /// Leads it on, where nothing leads it on yet.
    pub(super) fn lead(&self, way: Way) {
        self.way.get_or_init(|| way);
        self.has_way.notify_one();
    }

    /// Whether the host is none of its cluster's any more.
    pub(super) fn has_lost_host(&self) -> bool {
        self.destination().zip(self.host()).is_some_and(|(to, host)| to.cluster.has_lost(host))
    }

    /// The host, where it is one that datagrams are sent to.
    pub(super) fn host(&self) -> Option<&Arc<Host>> {
        self.direct().map(|direct| &direct.host)
    }

    /// Has a task end with the session, which ends where the task panics.
    pub(super) fn own(&self, shared: &Rc<Shared>, task: impl Future<Output = ()> + 'static) {
        let (key, shared) = (self.key, Rc::clone(shared));
        let contained = async move {
            if contain(&shared.process, task).await.is_none() {
                shared.sessions.end(&key);
            }
        };
        self.tasks.borrow_mut().push(spawn_local(contained).abort_handle());
    }

    /// Passes the filters from this one on, as far as they let it, and then gets a way to a host; whether the session
    /// goes on.
    pub(super) fn advance(self: &Rc<Self>, from: usize, shared: &Rc<Shared>) -> bool {
        for (index, filter) in self.filters.iter().enumerate().skip(from) {
            if let Begin::Wait(answer) = filter.begin(self) {
                let (session, resumed) = (Rc::clone(self), Rc::clone(shared));
                self.own(shared, async move {
                    if answer.await {
                        session.resume(index, &resumed);
                    }
                });
                return true;
            }
        }
        shared.lead(self)
    }

    /// Goes on behind a filter that has let the session on.
    fn resume(self: &Rc<Self>, index: usize, shared: &Rc<Shared>) {
        if self.advance(index + 1, shared) {
            self.filters[index].release(&mut |datagram| self.up(index + 1, datagram));
        } else {
            shared.sessions.end(&self.key);
        }
    }

    /// Takes a datagram of the client.
    pub(super) fn take(&self, datagram: &[u8]) {
        let (stats, length) = (&self.proxy.stats, datagram.len() as u64);
        stats.downstream_sess_rx_bytes().add(length);
        stats.downstream_sess_rx_datagrams().inc();
        add(&self.counts.bytes_received, length);
        add(&self.counts.datagrams_received, 1);
        self.idle_since.set(Instant::now());
        self.up(0, datagram);
    }

    /// Passes a datagram on to this filter, and those behind it, and the host.
    fn up(&self, index: usize, datagram: &[u8]) {
        if let Some(filter) = self.filters.get(index) {
            return filter.up(datagram, &mut |next| self.up(index + 1, next));
        }
        let Some(to) = self.destination() else { return };
        match self.way.get() {
            Some(Way::Direct(direct)) => direct.send(datagram, to),
            Some(Way::Tunnel(tunnel)) => tunnel.send(datagram, to),
            None => {}
        }
    }

    /// Passes what the host sent on to the client, through the filters.
    pub(super) fn give(&self, data: &[u8]) {
        self.down(self.filters.len(), data);
    }

    /// Passes it on to so many of the filters, the last of them first, and to the client.
    fn down(&self, filters: usize, data: &[u8]) {
        match filters.checked_sub(1) {
            Some(index) => self.filters[index].down(data, &mut |next| self.down(index, next)),
            None => self.send_back(data),
        }
    }

    fn send_back(&self, datagram: &[u8]) {
        let (stats, length) = (&self.proxy.stats, datagram.len() as u64);
        add(&self.downstream.sent, length);
        if self.downstream.send(self.key.local.ip(), self.key.peer, datagram).is_ok() {
            stats.downstream_sess_tx_bytes().add(length);
            stats.downstream_sess_tx_datagrams().inc();
            add(&self.counts.bytes_sent, length);
            add(&self.counts.datagrams_sent, 1);
        } else {
            stats.downstream_sess_tx_errors().inc();
            add(&self.counts.errors_sent, 1);
        }
    }

    /// Notes what went wrong.
    pub(super) fn flag(&self, flag: ResponseFlags) {
        let mut flags = self.flags.get();
        flags.insert(flag);
        self.flags.set(flags);
    }

    /// Ends it, if it has not ended: gives its place back, and logs it.
    pub(super) fn end(&self) {
        if self.has_ended.replace(true) {
            return;
        }
        drop(self.destination().map(|to| to.place.take()));
        self.proxy.stats.downstream_sess_active().dec();
        if let Some(Way::Tunnel(tunnel)) = self.way() {
            tunnel.give_up();
        }
        self.log(LogType::UdpSessionEnd);
        for task in self.tasks.take() {
            task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}
