//! Connections that speak what the host chooses by ALPN: `HttpProtocolOptions.auto_config`.
//!
//! As in Envoy a connection counts for one request until it is known what it speaks. It is made on its own, so that a
//! request which finds room on another meanwhile leaves one behind that others find.

use std::rc::Rc;

use tokio::task::spawn_local;

use crate::upstream::circuit_breaker::Guard;

use super::AcquireError;
use super::host::{Carries, Connected, H2, HostPool, Turn};
use super::http1::{Connection, Lease};
use super::http2::StreamLease;

/// What carries one request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is there")]
pub enum Either {
    /// A connection of its own.
    Http1(Lease),
    /// A stream of a shared connection.
    Http2(StreamLease),
}

impl HostPool {
    /// A stream or a connection that is there.
    pub fn either(self: &Rc<Self>) -> Option<Either> {
        self.stream().map(Either::Http2).or_else(|| self.idle().map(Either::Http1))
    }

    /// The same, once there is one.
    ///
    /// Dropping the future gives up waiting; what is being made stays for others.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_either(self: &Rc<Self>, high_priority: bool) -> Result<Either, AcquireError> {
        let breaker = self.cluster.circuit_breakers.of(high_priority);
        let (_pending, _waiting) = self.begin_pending(breaker)?;
        // One is made for each request, and another only once there is none: others may take it.
        let (mut asked, mut refused) = (false, false);
        loop {
            let changed = self.http2.changed.notified();
            if let Some(either) = self.either() {
                return Ok(either);
            }
            let is_first = self.making.get() == 0 && self.has_none_open() && self.http2.has_none();
            if !asked || is_first {
                let place = self.place(breaker, is_first, refused);
                (asked, refused) = (place.is_some(), place.is_none());
                if let Some(place) = place {
                    self.begin_making(place);
                }
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
    }

    fn begin_making(self: &Rc<Self>, place: Guard) {
        self.making.set(self.making.get() + 1);
        spawn_local(Rc::clone(self).make_either(place));
    }

    /// Makes a connection for whoever waits longest.
    async fn make_either(self: Rc<Self>, place: Guard) {
        let opening = self.opening();
        let connected = self.connect_counted(Carries::Either).await;
        self.making.set(self.making.get() - 1);
        let Ok(connected) = connected else { return };
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
        let connection = Connection::new(connected, &self.cluster.config, place);
        opening.opened();
        self.give_back(Box::new(connection));
        self.make_more();
    }

    /// Makes a connection for one of those that wait and for whom none is made, or counts that there is no place for it.
    fn make_more(self: &Rc<Self>) {
        let breaker = self.cluster.circuit_breakers.of(false);
        if self.waits_in_vain()
            && let Some(place) = self.place(breaker, false, false)
        {
            self.begin_making(place);
        }
    }
}

/// Whether the host speaks HTTP/2. One that chooses nothing speaks HTTP/1.1.
fn chose_http2(connected: &Connected) -> bool {
    connected.established.tls.as_ref().is_some_and(|tls| *tls.alpn == *H2)
}
