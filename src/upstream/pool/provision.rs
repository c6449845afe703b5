//! Connections that are made on their own, for whoever waits longest: before they are needed
//! (`preconnect_policy.per_upstream_preconnect_ratio`), or because it is not known how many requests one will carry.
//!
//! When another is made is Envoy's: where the requests that wait and those that are served, times the ratio, are more
//! than there is room for.

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::config::cluster::UpstreamProtocol;
use crate::upstream::circuit_breaker::{Breaker, Guard};
use crate::upstream::host::Health;

use super::AcquireError;
use super::either::{Either, chose_http2};
use super::guards::Opening;
use super::host::{Carries, HostPool, Maker, Turn};
use super::http1::{Connection, Lease};

/// Connections begun at once at most.
pub(super) const MOST: usize = 3;

/// Requests and the room that there is for them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Requests that wait.
    pub(super) pending: u32,
    /// Requests that are served.
    pub(super) active: u32,
    /// Further ones that connections have room for, or will have.
    pub(super) room: u64,
}

impl Standing {
    /// The two together.
    pub(super) fn plus(self, other: Standing) -> Standing {
        Standing {
            pending: self.pending + other.pending,
            active: self.active + other.active,
            room: self.room.saturating_add(other.room),
        }
    }

    /// Whether there is to be another connection for requests times `ratio`, where so many more are about to come.
    pub(super) fn wants_another(self, ratio: f64, coming: u32) -> bool {
        let wanted = f64::from(self.pending + self.active + coming) * ratio;
        #[expect(
            clippy::cast_precision_loss,
            reason = "exact for any number of connections that there can be"
        )]
        let provided = self.room.saturating_add(self.active.into()) as f64;
        wanted > provided
    }
}

impl HostPool {
    /// Whether connections are made before they are needed.
    #[inline]
    pub(super) fn preconnects(&self) -> bool {
        self.cluster.config.preconnect.is_used()
    }

    /// Makes what is due once a request has a connection that speaks this.
    #[inline]
    pub(super) fn provision_again(self: &Rc<Self>, spoken: Carries) {
        if self.preconnects() {
            let chosen_by_host = matches!(self.cluster.config.http.protocol, UpstreamProtocol::Auto(..));
            let carries = if chosen_by_host { Carries::Either } else { spoken };
            self.provision(carries, self.cluster.circuit_breakers.of(false), 0);
        }
    }

    /// Makes the connections that are due; `arriving` requests are about to wait beside those that do.
    pub(super) fn provision(self: &Rc<Self>, carries: Carries, breaker: &Arc<Breaker>, arriving: u32) {
        for _ in 0..MOST {
            let standing = self.standing();
            let standing = Standing { pending: standing.pending + arriving, ..standing };
            if !self.is_due(standing) {
                return;
            }
            let Some(place) = self.place(breaker, self.is_bare(), false) else { return };
            self.begin_making(carries, place);
        }
    }

    /// Makes a connection for the request that is foreseen, if there is no room for it; the requests that it will have room
    /// for.
    pub(super) fn foresee(self: &Rc<Self>, carries: Carries) -> Option<u64> {
        let ratio = self.cluster.config.preconnect.predictive;
        let is_due = self.host.health() == Health::Healthy && self.standing().wants_another(ratio, 1);
        if !is_due || !self.allows_early() {
            return None;
        }
        let breaker = self.cluster.circuit_breakers.of(false);
        let place = self.place(breaker, self.is_bare(), false)?;
        self.begin_making(carries, place);
        Some(self.streams_of_each())
    }

    /// Whether another connection is due: one that is needed, or one before that where the host may be asked for it.
    fn is_due(&self, standing: Standing) -> bool {
        let needed = u64::from(standing.pending) > self.room_in_the_making();
        if self.host.health() != Health::Healthy {
            return needed;
        }
        let wanted = standing.wants_another(self.cluster.config.preconnect.per_upstream, 0);
        if wanted && !needed { self.allows_early() } else { wanted }
    }

    /// Whether the host says that it may be connected to early; counts where it does not.
    fn allows_early(&self) -> bool {
        let policy = &self.cluster.config.preconnect;
        let allows = policy.allowed.is_none() || policy.allows(self.host.metadata().as_deref());
        if !allows {
            self.cluster.stats.upstream_cx_preconnect_skipped().inc();
        }
        allows
    }

    /// Whether there is no connection, nor one in the making.
    fn is_bare(&self) -> bool {
        self.making.get() == 0 && self.has_none_open() && self.http2.has_none()
    }

    /// Requests that connections in the making will have room for.
    fn room_in_the_making(&self) -> u64 {
        u64::from(self.making.get()) * self.streams_of_each()
    }

    /// How many requests a connection has room for that is being made.
    fn streams_of_each(&self) -> u64 {
        let config = &self.cluster.config;
        match &config.http.protocol {
            UpstreamProtocol::Http2(options) => {
                let most = config.http.max_requests_per_connection.unwrap_or(u32::MAX);
                u64::from(options.max_concurrent_streams.min(most))
            }
            // As in Envoy one, until it is known what it speaks.
            UpstreamProtocol::Http1(_) | UpstreamProtocol::UseDownstream(..) | UpstreamProtocol::Auto(..) => {
                1
            }
        }
    }

    /// How the pool stands.
    pub(super) fn standing(&self) -> Standing {
        let (streams, room) = self.http2.load(&self.host);
        let idle = self.idle_count();
        Standing {
            pending: self.waiting_count(),
            active: self.open_count().saturating_sub(idle + self.making.get()) + streams,
            room: u64::from(idle) + self.room_in_the_making() + room,
        }
    }

    /// The same with the pools of connections that requests say something of.
    pub(super) fn standing_with_variants(&self) -> Standing {
        self.standing().plus(self.variants.standing())
    }

    fn begin_making(self: &Rc<Self>, carries: Carries, place: Guard) {
        self.making.set(self.making.get() + 1);
        self.one_more();
        spawn_local(Rc::clone(self).make(carries, place));
    }

    /// Makes a connection for whoever waits longest.
    async fn make(self: Rc<Self>, carries: Carries, place: Guard) {
        let opening = Opening::begun(&self);
        let connected = self.connect_counted(carries, Maker::Pool).await;
        self.making.set(self.making.get() - 1);
        let Ok(connected) = connected else { return };
        if carries == Carries::Either {
            // As in Envoy, which makes the connection anew in its books once it is known what it speaks.
            self.cluster.stats.upstream_cx_total().inc();
            if chose_http2(&connected) {
                self.cluster.stats.upstream_cx_http2_total().inc();
                match self.share(connected, place).await {
                    Ok(_) => self.http2.changed.notify_waiters(),
                    Err(error) => self.fail_waiting(&error),
                }
                return;
            }
            self.count_http1();
        }
        if carries == Carries::Http2 {
            drop(opening);
            match self.share(connected, place).await {
                Ok(_) => self.http2.changed.notify_waiters(),
                Err(error) => self.fail_waiting(&error),
            }
            return;
        }
        if carries == Carries::Bytes {
            opening.opened();
            return self.keep_tcp(connected, place);
        }
        let connection = Connection::new(connected, &self.cluster.config, place);
        opening.opened();
        self.give_back(Box::new(connection));
        if self.waiting_count() > 0 {
            self.provision(carries, self.cluster.circuit_breakers.of(false), 0);
        }
    }

    /// What `ready` finds, once there is something; `taken` makes it of a connection that another request left, or passes
    /// that on.
    ///
    /// Dropping the future gives up waiting; what is being made stays for others.
    pub(super) async fn acquire_made<T>(
        self: &Rc<Self>,
        carries: Carries,
        high_priority: bool,
        ready: fn(&Rc<Self>) -> Option<T>,
        taken: fn(&Rc<Self>, Box<Connection>) -> Option<T>,
    ) -> Result<T, AcquireError> {
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, waiting) = self.begin_pending(breaker)?;
        let acquired = async {
            let mut asked = false;
            loop {
                let changed = self.http2.changed.notified();
                if let Some(found) = ready(self) {
                    return Ok(found);
                }
                // Others may take what was made.
                if !asked || self.is_bare() {
                    self.provision(carries, breaker, 1);
                    asked = true;
                }
                tokio::select! {
                    biased;
                    turn = self.wait() => match turn {
                        Turn::Take(connection) => if let Some(found) = taken(self, connection) {
                            return Ok(found);
                        },
                        Turn::Open => asked = false,
                        Turn::Failed(error) => return Err(error),
                    },
                    // Another may have taken what was made.
                    () = changed => asked = false,
                }
            }
        };
        waiting.over(acquired).await
    }

    /// A connection or a stream, once there is one.
    ///
    /// Dropping the future gives up waiting; what is being made stays for others.
    pub(super) async fn acquire_either_made(
        self: &Rc<Self>,
        carries: Carries,
        high_priority: bool,
    ) -> Result<Either, AcquireError> {
        let taken =
            |pool: &Rc<Self>, connection| Some(Either::Http1(Lease::new(connection, Rc::clone(pool))));
        self.acquire_made(carries, high_priority, Self::either, taken).await
    }
}
