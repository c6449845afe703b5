//! Where a session goes: its cluster, a place there, and a host.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::config::address::Address;
use crate::observability::stream_info::ResponseFlags;
use crate::upstream::circuit_breaker::{Guard, Resource};
use crate::upstream::pool::HostPool;
use crate::upstream::{Cluster, Host, lb, leading};

use super::datagrams::Shared;
use super::direct::Direct;
use super::session::{Destination, Session, Way};
use super::sessions::Key;
use super::tunnel::Tunnelled;
use super::tunneling::Tunneling;

/// Lets a task do what it can do without waiting; whether that is all.
fn poll_once(task: &mut Pin<Box<impl Future<Output = ()>>>) -> bool {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// A place for a session among the connections of a cluster.
fn try_place(cluster: &Cluster) -> Option<Guard> {
    let place = cluster.circuit_breakers.of(false).try_take(Resource::Connections);
    if place.is_none() {
        cluster.stats.upstream_cx_overflow().inc();
    }
    place
}

impl Shared {
    /// The cluster that datagrams from there to here go to.
    pub(super) fn route(&self, key: &Key) -> Option<Arc<Cluster>> {
        let snapshot = self.worker.snapshot();
        let name = self.proxy.config.route.cluster(key.peer, key.local, &snapshot.runtime);
        let cluster = name.and_then(|name| snapshot.clusters.get(name)).cloned();
        if cluster.is_none() {
            self.proxy.stats.downstream_sess_no_route().inc();
        }
        cluster
    }

    /// A place for a session among the connections of a cluster. One that finds none counts and is logged all the same.
    pub(super) fn place(&self, key: &Key, cluster: &Cluster) -> Option<Guard> {
        let place = try_place(cluster);
        if place.is_none() {
            self.proxy.stats.downstream_sess_total().inc();
            self.log_overflow(key, cluster);
        }
        place
    }

    /// The host that a session goes to.
    pub(super) fn choose(&self, cluster: &Arc<Cluster>, peer: SocketAddr) -> Option<Arc<Host>> {
        let pool = self.balance(cluster, peer);
        if pool.is_none() {
            cluster.stats.upstream_cx_none_healthy().inc();
        }
        pool.map(|pool| Arc::clone(&pool.host))
    }

    /// The host that load balancing chooses; `None` when none can be used.
    pub(super) fn balance(&self, cluster: &Arc<Cluster>, peer: SocketAddr) -> Option<Rc<HostPool>> {
        let worker = &self.worker;
        let (snapshot, pools) = (worker.snapshot(), worker.pools.of(cluster));
        if cluster.config.discovery.leads_to_others() {
            let others = leading::others(cluster, 0, &snapshot.clusters, || None);
            return others.iter().find_map(|other| self.balance(other, peer));
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
        pools.choose(&mut worker.rng.borrow_mut(), &choice)
    }

    /// Gives a session that its filters have let on a way to a host; whether there is one.
    pub(super) fn lead(self: &Rc<Self>, session: &Rc<Session>) -> bool {
        let Some(cluster) = self.route(&session.key) else {
            session.flag(ResponseFlags::NC);
            return false;
        };
        let place = try_place(&cluster);
        let is_full = place.is_none();
        let to = session.head_for(Destination::new(cluster, place, &self.proxy));
        if is_full {
            session.flag(ResponseFlags::UO);
            return false;
        }
        if let Some(tunneling) = &self.proxy.config.tunneling {
            return self.lead_through(session, to, tunneling);
        }
        let host = self.choose(&to.cluster, session.key.peer);
        host.is_some_and(|host| self.lead_to(session, host))
    }

    /// Asks a host for a tunnel for a session; whether the session goes on.
    fn lead_through(self: &Rc<Self>, session: &Rc<Session>, to: &Destination, tunneling: &Tunneling) -> bool {
        if !self.may_tunnel(session, to, 0) {
            return false;
        }
        let Some(pool) = self.tunnel_pool(session, to) else { return false };
        let tunnel = Rc::new(Tunnelled::new(tunneling));
        session.lead(Way::Tunnel(Rc::clone(&tunnel)));
        let mut task = Box::pin(tunnel.run(Rc::clone(session), Rc::clone(self), pool));
        // What fails at once leaves no session.
        let goes_on = !poll_once(&mut task);
        if goes_on {
            session.own(self, task);
        }
        goes_on
    }

    /// Gives a session a socket to this host; whether there is one.
    pub(super) fn lead_to(&self, session: &Session, host: Arc<Host>) -> bool {
        // Datagrams have no way to a Unix socket.
        let Address::Ip(address) = host.address else { return false };
        let from = self.proxy.config.use_original_src_ip.then_some(session.key.peer.ip());
        match Direct::new(host, address, from) {
            Ok(direct) => session.lead(Way::Direct(direct)),
            Err(error) => {
                tracing::warn!(target: "udp", %error, "no socket for a session");
                return false;
            }
        }
        true
    }

    /// Whether a tunnel may be asked for after so many attempts.
    pub(super) fn may_tunnel(&self, session: &Session, to: &Destination, attempts: u32) -> bool {
        let stats = &to.cluster.stats;
        let most = self.proxy.config.tunneling.as_ref().map_or(0, |one| one.retries.max_connect_attempts);
        // As in Envoy the session itself has a place there already.
        if to.cluster.circuit_breakers.of(false).is_open(Resource::Connections) {
            stats.upstream_cx_overflow().inc();
            session.flag(ResponseFlags::UO);
        } else if attempts >= most {
            stats.upstream_cx_connect_attempts_exceeded().inc();
            session.flag(ResponseFlags::URX);
        } else {
            return true;
        }
        to.stats.sess_tunnel_failure().inc();
        false
    }

    /// The host that is asked for a tunnel next; `None` where none can be.
    pub(super) fn tunnel_pool(&self, session: &Session, to: &Destination) -> Option<Rc<HostPool>> {
        let pool = self.balance(&to.cluster, session.key.peer);
        if pool.is_none() {
            session.flag(ResponseFlags::UH);
            to.stats.sess_tunnel_failure().inc();
        }
        pool
    }
}
