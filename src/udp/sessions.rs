//! The sessions of a listener on one worker, and which of them a datagram belongs to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::http::Worker;
use crate::snapshot::Snapshot;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::host::Health;
use crate::upstream::{Cluster, Host};

use super::datagrams::Shared;
use super::proxy::Proxy;
use super::session::{Destination, Session};
use super::socket::Downstream;

/// What tells sessions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The client.
    pub(super) peer: SocketAddr,
    /// Where it sends.
    pub(super) local: SocketAddr,
    /// The host's number where one is chosen for each datagram; else 0.
    pub(super) host: u64,
}

/// The sessions that there are.
#[derive(Debug)]
pub(super) struct Sessions {
    open: RefCell<HashMap<Key, Rc<Session>>>,
    /// The snapshot by which they were looked after; kept, so that others are known by another address.
    #[expect(
        clippy::redundant_allocation,
        reason = "it is the worker's, whose counts no other thread writes"
    )]
    seen: RefCell<Rc<Arc<Snapshot>>>,
    proxy: Arc<Proxy>,
}

impl Sessions {
    /// None yet of this proxy; the clusters that it leads to have their statistics from now on.
    pub(super) fn new(worker: &Worker, proxy: &Arc<Proxy>) -> Self {
        let seen = worker.snapshot();
        proxy.count_in(&seen);
        Sessions { open: RefCell::default(), seen: RefCell::new(seen), proxy: Arc::clone(proxy) }
    }

    /// Ends the sessions whose cluster or host is gone.
    pub(super) fn follow(&self, worker: &Worker) {
        let snapshot = worker.snapshot();
        let is_gone = |to: &Destination| {
            snapshot.clusters.get(&to.cluster.name).is_none_or(|cluster| cluster.id != to.cluster.id)
        };
        let gone = |session: &Session| session.destination().is_some_and(is_gone) || session.has_lost_host();
        let ended: Vec<_> = self.open.borrow_mut().extract_if(|_, session| gone(session)).collect();
        for (_, session) in ended {
            session.end();
        }
        // While there are those of before, whose counts clusters of the same names carry on.
        self.proxy.count_in(&snapshot);
        self.seen.replace(snapshot);
    }

    /// Follows the snapshot in force where it is another than that of before.
    fn follow_changes(&self, worker: &Worker) {
        if !Rc::ptr_eq(&self.seen.borrow(), &worker.snapshot()) {
            self.follow(worker);
        }
    }

    /// Ends a session.
    pub(super) fn end(&self, key: &Key) {
        let ended = self.open.borrow_mut().remove(key);
        if let Some(session) = ended {
            session.end();
        }
    }

    /// Ends all of them.
    pub(super) fn end_all(&self) {
        for (_, session) in self.open.take() {
            session.end();
        }
    }

    fn find(&self, key: &Key) -> Option<Rc<Session>> {
        let found = self.open.borrow().get(key).cloned()?;
        if found.has_lost_host() {
            self.end(key);
            return None;
        }
        Some(found)
    }
}

impl Shared {
    /// Passes a datagram of a client on.
    pub(super) fn pass(
        self: &Rc<Self>,
        peer: SocketAddr,
        local: SocketAddr,
        socket: &Rc<Downstream>,
        data: &[u8],
    ) {
        self.sessions.follow_changes(&self.worker);
        let key = Key { peer, local, host: 0 };
        let session = match self.proxy.config.per_packet {
            true => self.session_to_any_host(key, socket),
            false => self.session(key, socket),
        };
        if let Some(session) = session {
            session.take(data);
        }
    }

    /// The session that a datagram belongs to, a new one where there is none; `None` where there can be none.
    fn session(self: &Rc<Self>, key: Key, socket: &Rc<Downstream>) -> Option<Rc<Session>> {
        let Some(known) = self.sessions.find(&key) else {
            if self.proxy.chooses_late() {
                return self.open(key, None, socket);
            }
            let cluster = self.route(&key)?;
            let place = self.place(&key, &cluster)?;
            let host = self.choose(&cluster, key.peer)?;
            return self.open(key, Some((cluster, place, host)), socket);
        };
        // As in Envoy a session with filters, or a tunnel, stays with its host.
        if self.proxy.chooses_late() || known.host().is_none_or(|host| host.health() != Health::Unhealthy) {
            return Some(known);
        }
        // As in Envoy a session stays with an unhealthy host where there is no better one.
        let Some(to) = known.destination() else { return Some(known) };
        let better = self.balance(&to.cluster, key.peer).map(|pool| Arc::clone(&pool.host)).filter(|host| {
            host.health() != Health::Unhealthy && known.host().is_some_and(|known| known.id != host.id)
        });
        let Some(host) = better else { return Some(known) };
        self.sessions.end(&key);
        let place = self.place(&key, &to.cluster)?;
        self.open(key, Some((Arc::clone(&to.cluster), place, host)), socket)
    }

    /// The session with the host that is chosen for this datagram.
    fn session_to_any_host(self: &Rc<Self>, key: Key, socket: &Rc<Downstream>) -> Option<Rc<Session>> {
        let cluster = self.route(&key)?;
        let host = self.choose(&cluster, key.peer)?;
        let key = Key { host: host.id, ..key };
        if let Some(known) = self.sessions.find(&key) {
            return Some(known);
        }
        let place = self.place(&key, &cluster)?;
        self.open(key, Some((cluster, place, host)), socket)
    }

    /// A session with this host, or with one that is chosen once its filters let it on.
    fn open(
        self: &Rc<Self>,
        key: Key,
        to: Option<(Arc<Cluster>, Guard, Arc<Host>)>,
        socket: &Rc<Downstream>,
    ) -> Option<Rc<Session>> {
        let session = Rc::new(Session::new(self, key, socket));
        let goes_on = match to {
            Some((cluster, place, host)) => {
                session.head_for(Destination::new(cluster, Some(place), &self.proxy));
                self.lead_to(&session, host)
            }
            None if session.lacks_filter => {
                self.proxy.stats.session_filter_config_missing().inc();
                false
            }
            None => session.advance(0, self),
        };
        if !goes_on {
            session.end();
            // As in Envoy the datagram counts all the same where a host would have been asked for a tunnel.
            return session.way().is_some().then_some(session);
        }
        session.own(self, Rc::clone(&session).run(Rc::clone(self)));
        self.sessions.open.borrow_mut().insert(key, Rc::clone(&session));
        Some(session)
    }
}
