//! The sessions of a listener on one worker, and which of them a datagram belongs to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::address::Address;
use crate::config::cluster::Discovery;
use crate::http::Worker;
use crate::snapshot::Snapshot;
use crate::upstream::circuit_breaker::{Guard, Resource};
use crate::upstream::host::Health;
use crate::upstream::{Cluster, Host, composite, lb};

use super::datagrams::Shared;
use super::proxy::Proxy;
use super::session::Session;
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
        let gone = |session: &Session| {
            let cluster = snapshot.clusters.get(&session.cluster.name);
            cluster.is_none_or(|cluster| cluster.id != session.cluster.id) || session.has_lost_host()
        };
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
            session.send(data);
        }
    }

    /// The session that a datagram belongs to, a new one where there is none; `None` where there can be none.
    fn session(self: &Rc<Self>, key: Key, socket: &Rc<Downstream>) -> Option<Rc<Session>> {
        let Some(known) = self.sessions.find(&key) else {
            let cluster = self.route(&key)?;
            let place = self.place(&key, &cluster)?;
            let host = self.choose(&cluster, key.peer)?;
            return self.open(key, cluster, host, place, socket);
        };
        if known.host.health() != Health::Unhealthy {
            return Some(known);
        }
        // As in Envoy a session stays with an unhealthy host where there is no better one.
        let better = self
            .balance(&known.cluster, key.peer)
            .filter(|host| host.health() != Health::Unhealthy && host.id != known.host.id);
        let Some(host) = better else { return Some(known) };
        self.sessions.end(&key);
        let place = self.place(&key, &known.cluster)?;
        self.open(key, Arc::clone(&known.cluster), host, place, socket)
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
        self.open(key, cluster, host, place, socket)
    }

    /// The cluster that datagrams from there to here go to.
    fn route(&self, key: &Key) -> Option<Arc<Cluster>> {
        let snapshot = self.worker.snapshot();
        let name = self.proxy.config.route.cluster(key.peer, key.local, &snapshot.runtime);
        let cluster = name.and_then(|name| snapshot.clusters.get(name)).cloned();
        if cluster.is_none() {
            self.proxy.stats.downstream_sess_no_route().inc();
        }
        cluster
    }

    /// A place for a session among the connections of a cluster. One that finds none counts and is logged all the same.
    fn place(&self, key: &Key, cluster: &Cluster) -> Option<Guard> {
        let place = cluster.circuit_breakers.of(false).try_take(Resource::Connections);
        if place.is_none() {
            cluster.stats.upstream_cx_overflow().inc();
            self.proxy.stats.downstream_sess_total().inc();
            self.log_overflow(key, cluster);
        }
        place
    }

    /// The host that a session goes to.
    fn choose(&self, cluster: &Arc<Cluster>, peer: SocketAddr) -> Option<Arc<Host>> {
        let host = self.balance(cluster, peer);
        if host.is_none() {
            cluster.stats.upstream_cx_none_healthy().inc();
        }
        host
    }

    fn balance(&self, cluster: &Arc<Cluster>, peer: SocketAddr) -> Option<Arc<Host>> {
        let worker = &self.worker;
        let (snapshot, pools) = (worker.snapshot(), worker.pools.of(cluster));
        if let Discovery::Composite(_) = cluster.config.discovery {
            let members = composite::members(cluster, 0, &snapshot.clusters);
            return members.iter().find_map(|member| self.balance(member, peer));
        }
        let members = pools.members(&worker.pools, &snapshot.clusters);
        let place = match &members {
            Some(members) => Some(members.linear.choose(worker.random(), None)?),
            None => None,
        };
        let pools = match (&members, place) {
            (Some(members), Some(place)) => Rc::clone(members.pool(place.member)?),
            _ => pools,
        };
        let choice = lb::Choice {
            hash: self.proxy.config.hash_policy.map(|key| key.hash(peer)),
            load: place.map(|place| &place.load),
            runtime: Some(&snapshot.runtime),
            now: pools.cluster.age(),
            ..lb::Choice::default()
        };
        let chosen = pools.choose(&mut worker.rng.borrow_mut(), &choice)?;
        Some(Arc::clone(&chosen.host))
    }

    fn open(
        self: &Rc<Self>,
        key: Key,
        cluster: Arc<Cluster>,
        host: Arc<Host>,
        place: Guard,
        socket: &Rc<Downstream>,
    ) -> Option<Rc<Session>> {
        // Datagrams have no way to a Unix socket.
        let Address::Ip(address) = host.address else { return None };
        let stats = cluster.udp_stats(&self.proxy.registry).clone();
        let session = match Session::new(self, key, socket, (cluster, stats), (host, address), place) {
            Ok(session) => Rc::new(session),
            Err(error) => {
                tracing::warn!(target: "udp", %error, "no socket for a session");
                return None;
            }
        };
        session.start(self);
        self.sessions.open.borrow_mut().insert(key, Rc::clone(&session));
        Some(session)
    }
}
