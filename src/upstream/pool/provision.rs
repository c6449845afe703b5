//! Connections that are made on their own, for whoever waits longest: before they are needed
//! (`preconnect_policy.per_upstream_preconnect_ratio`), or because it is not known how many requests one will carry.
//!
//! When another is made is Envoy's: where the requests that wait and those that are served, times the ratio, are more
//! than there is room for.

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::upstream::circuit_breaker::{Breaker, Guard};
use crate::upstream::host::Health;

use super::AcquireError;
use super::either::{Either, chose_http2};
use super::guards::Opening;
use super::host::{Carries, HostPool, Maker, Turn};
use super::http1::{Connection, Lease};

/// Connections begun at once at most.
const MOST: usize = 3;

impl HostPool {
    /// Whether connections are made before they are needed.
    #[inline]
    pub(super) fn preconnects(&self) -> bool {
        self.cluster.config.preconnect_ratio > 1.0
    }

    /// Makes the connections that are due; `arriving` requests are about to wait beside those that do.
    pub(super) fn provision(self: &Rc<Self>, carries: Carries, breaker: &Arc<Breaker>, arriving: u32) {
        for _ in 0..MOST {
            if !self.wants_another(arriving) {
                return;
            }
            let Some(place) = self.place(breaker, self.is_bare(), false) else { return };
            self.begin_making(carries, place);
        }
    }

    /// Whether there is no connection, nor one in the making.
    fn is_bare(&self) -> bool {
        self.making.get() == 0 && self.has_none_open() && self.http2.has_none()
    }

    fn wants_another(&self, arriving: u32) -> bool {
        let (pending, making) = (self.waiting_count() + arriving, self.making.get());
        // A host that is not well is not asked for more than it has to be.
        if self.host.health() != Health::Healthy {
            return pending > making;
        }
        let (streams, room) = self.http2.load();
        let idle = self.idle_count();
        let active = self.open_count().saturating_sub(idle + making) + streams;
        let room = u64::from(idle) + u64::from(making) + room;
        let wanted = f64::from(pending + active) * self.cluster.config.preconnect_ratio;
        #[expect(
            clippy::cast_precision_loss,
            reason = "exact for any number of connections that there can be"
        )]
        let provided = (room + u64::from(active)) as f64;
        wanted > provided
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
        let connection = Connection::new(connected, &self.cluster.config, place);
        opening.opened();
        self.give_back(Box::new(connection));
        if self.waiting_count() > 0 {
            self.provision(carries, self.cluster.circuit_breakers.of(false), 0);
        }
    }

    /// A connection or a stream, once there is one.
    ///
    /// Dropping the future gives up waiting; what is being made stays for others.
    pub(super) async fn acquire_made(
        self: &Rc<Self>,
        carries: Carries,
        high_priority: bool,
    ) -> Result<Either, AcquireError> {
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, waiting) = self.begin_pending(breaker)?;
        let acquired = async {
            let mut asked = false;
            loop {
                let changed = self.http2.changed.notified();
                if let Some(either) = self.either() {
                    return Ok(either);
                }
                // Others may take what was made.
                if !asked || self.is_bare() {
                    self.provision(carries, breaker, 1);
                    asked = true;
                }
                tokio::select! {
                    biased;
                    turn = self.wait() => match turn {
                        Turn::Take(connection) => return Ok(Either::Http1(Lease::new(connection, Rc::clone(self)))),
                        Turn::Open => asked = false,
                        Turn::Failed(error) => return Err(error),
                    },
                    () = changed => {}
                }
            }
        };
        waiting.over(acquired).await
    }
}
