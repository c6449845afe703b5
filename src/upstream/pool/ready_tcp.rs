//! Connections for bytes that are no HTTP, made before they are needed.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::time::Instant;

use crate::upstream::circuit_breaker::Guard;

use super::ended::Ended;
use super::host::{Carries, Connected, HostPool};
use super::tcp::TcpLease;

/// Those that wait for somebody who needs one.
#[derive(Debug, Default)]
pub(super) struct ReadyTcp(RefCell<Vec<Ready>>);

#[derive(Debug)]
struct Ready {
    connected: Connected,
    place: Guard,
    since: Instant,
}

impl ReadyTcp {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }
}

impl HostPool {
    /// Keeps a connection for whoever needs one.
    pub(super) fn keep_tcp(&self, connected: Connected, place: Guard) {
        let ready = Ready { connected, place, since: Instant::now() };
        if self.closed.get() {
            return self.closed(Ended::Local, ready.since);
        }
        self.ready_tcp.0.borrow_mut().push(ready);
        self.http2.changed.notify_waiters();
    }

    /// One that is still good, if there is one.
    pub(super) fn ready_tcp(self: &Rc<Self>) -> Option<TcpLease> {
        loop {
            let Ready { connected, place, since } = self.ready_tcp.0.borrow_mut().pop()?;
            if connected.established.has_failed(&self.host) {
                self.closed(Ended::Local, since);
            } else if connected.io.has_ended() {
                self.closed(Ended::Remote, since);
            } else {
                let lease = TcpLease::new(connected, place, Rc::clone(self));
                self.provision_again(Carries::Bytes);
                return Some(lease);
            }
        }
    }

    /// Drops those that have waited too long or that their host has left, or all of them.
    pub(super) fn sweep_tcp(&self, now: Instant, all: bool) {
        let timeout = self.cluster.config.tcp_idle_timeout;
        for ready in self.ready_tcp.0.take() {
            let expired = timeout.is_some_and(|timeout| now >= ready.since + timeout);
            if expired && !all {
                self.cluster.stats.upstream_cx_idle_timeout().inc();
            }
            if all || expired || ready.connected.established.has_failed(&self.host) {
                self.closed(Ended::Local, ready.since);
            } else if ready.connected.io.has_ended() {
                self.closed(Ended::Remote, ready.since);
            } else {
                self.ready_tcp.0.borrow_mut().push(ready);
            }
        }
    }
}
