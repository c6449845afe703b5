//! What waits for a host when both sides have ended: the connection of the client is over, that to the host lasts until it
//! has everything.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::base::timer::Timer;
use crate::network::way::Way;
use crate::observability::stats::network::TcpProxyStats;

use super::direct::Direct;

/// A connection to a host that outlives the client's. It counts as active for as long.
pub(super) struct Flushing {
    host: Direct,
    way: Way,
    stats: TcpProxyStats,
}

/// What ends it.
enum End {
    /// The host has everything.
    Complete,
    /// The host broke the connection.
    Host,
    /// The host was found to have failed, or what waits for it has been too much for too long.
    GivenUp,
    /// The host took nothing for too long.
    Idle,
}

impl Flushing {
    /// Of what waits on a way whose source has ended.
    pub(super) fn new(host: Direct, way: Way, stats: &TcpProxyStats) -> Self {
        stats.upstream_flush_total().inc();
        stats.upstream_flush_active().inc();
        Flushing { host, way, stats: stats.clone() }
    }

    /// Writes what is left, in a task of its own; `idle_timeout` is how long the host may take nothing.
    pub(super) fn start(self, idle_timeout: Option<Duration>) {
        spawn_local(self.run(idle_timeout));
    }

    async fn run(mut self, idle_timeout: Option<Duration>) {
        let mut timer = Timer::default();
        let mut idle_end = idle_timeout.map(|idle| Instant::now() + idle);
        let end = poll_fn(|cx| {
            let before = self.way.written;
            let polled = self.poll_host(cx);
            let written = self.way.written - before;
            if written > 0 {
                self.host.lease.count(0, written);
                idle_end = idle_timeout.map(|idle| Instant::now() + idle);
            }
            if polled.is_pending() && timer.poll(idle_end, cx).is_ready() {
                return Poll::Ready(End::Idle);
            }
            polled
        });
        match end.await {
            End::Idle => self.stats.idle_timeout().inc(),
            End::Host => self.host.lease.closed_by_host(),
            End::Complete | End::GivenUp => {}
        }
    }

    fn poll_host(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match self.way.poll_rest(self.host.lease.io(), cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(End::Complete),
            Poll::Ready(Err(_)) if self.host.lease.io().is_overfull() => return Poll::Ready(End::GivenUp),
            Poll::Ready(Err(_)) => return Poll::Ready(End::Host),
            Poll::Pending => {}
        }
        ready!(self.host.lease.poll_failure(cx));
        Poll::Ready(End::GivenUp)
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.stats.upstream_flush_active().dec();
    }
}
