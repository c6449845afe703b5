//! A connection in the making while filters see its request. As in Envoy it is asked for before the first of them: a
//! filter that waits does not put it off.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::http::upstream::Carrier;
use crate::upstream::pool::{AcquireError, Carries, HostPool};

use super::accounting::InProgress;
use super::connect::{acquire, idle};

/// A connection that is there, or in the making.
pub(in crate::http) struct Connecting<'p> {
    pool: &'p Rc<HostPool>,
    making: Option<LocalBoxFuture<'p, Result<Carrier, AcquireError>>>,
    carrier: Option<Carrier>,
}

impl<'p> Connecting<'p> {
    /// Takes an idle connection, or prepares to ask for one.
    pub(super) fn new(pool: &'p Rc<HostPool>, carries: Carries, high_priority: bool) -> Self {
        let carrier = idle(pool, carries);
        let making = carrier.is_none().then(|| acquire(pool, carries, high_priority).boxed_local());
        Connecting { pool, making, carrier }
    }

    /// Ready once there is a connection, or cannot be one; it is not asked for before the first call.
    pub(in crate::http) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        if let Some(making) = &mut self.making {
            let made = ready!(making.as_mut().poll(cx));
            self.making = None;
            self.carrier = Some(made?);
        }
        Poll::Ready(Ok(()))
    }

    /// The connection, if it is there.
    pub(super) fn carrier(&self) -> Option<&Carrier> {
        self.carrier.as_ref()
    }

    /// The connection, if it is there, for the request.
    pub(super) fn into_carrier(self) -> Option<Carrier> {
        self.carrier
    }

    /// The request does not go to the host: counts what Envoy counts of one that was given up.
    pub(super) fn give_up(self) {
        let stats = &self.pool.cluster.stats;
        match &self.carrier {
            // The pool counts a wait that is given up.
            None => {}
            Some(carrier) => {
                let _counted = InProgress::new(self.pool);
                if matches!(carrier, Carrier::Http2(_)) {
                    stats.upstream_rq_tx_reset().inc();
                }
            }
        }
    }
}
