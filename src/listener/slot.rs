//! What comes in on a set of sockets, at one worker.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{AbortHandle, spawn_local};

use crate::base::io::Io;
use crate::http::{Peer, Worker};

use super::connection;
use super::connection_limit::ConnectionLimit;
use super::entrance::Entrance;
use super::handing::Arrived;
use super::lineage::Lineage;
use super::listening::Listening;
use super::manager::Listener;
use super::open::{Open, OpenConnection};
use super::slots::Slots;
use super::sockets;

/// Time before accepting is tried again after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections of a worker find around them.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// What the worker has.
    pub(super) worker: Rc<Worker>,
    /// Counts them.
    pub(super) connections: Rc<Open>,
    /// Whom they can be handed to.
    pub(super) slots: Weak<Slots>,
}

/// What the connections of a set of sockets are given to.
#[derive(Debug)]
pub(super) struct Slot {
    /// The worker's number.
    worker: usize,
    current: RefCell<Rc<Lineage>>,
    accepting: RefCell<Vec<(Rc<Listening>, AbortHandle)>>,
    /// Where connections come from within the process.
    entrance: OnceCell<Entrance>,
}

impl Slot {
    /// Accepts what comes to the worker on the sockets of a listener.
    pub(super) fn open(index: usize, lineage: Rc<Lineage>, around: Surroundings) -> Rc<Self> {
        let sockets = Arc::clone(&lineage.listener().sockets);
        let slot = Rc::new(Slot {
            worker: index,
            current: RefCell::new(lineage),
            accepting: RefCell::default(),
            entrance: OnceCell::new(),
        });
        if slot.listener().config.is_internal {
            slot.entrance.get_or_init(|| Entrance::open(&slot, &around));
        }
        for bound in &sockets.bound {
            let Some(socket) = bound.take(index) else {
                continue;
            };
            match Listening::new(socket, &bound.address) {
                Ok(listening) => slot.accept(listening, around.clone()),
                Err(error) => tracing::error!(target: "main", %error, "cannot listen on {}", bound.address),
            }
        }
        slot
    }

    /// What its connections are given to now.
    pub(super) fn listener(&self) -> Arc<Listener> {
        self.current.borrow().listener()
    }

    /// Gives the connections that come from now on to another listener on the same sockets.
    pub(super) fn replace(&self, lineage: Rc<Lineage>) {
        let backlog = sockets::backlog(&lineage.listener().config);
        let before = self.current.replace(lineage);
        if backlog == sockets::backlog(&before.listener().config) {
            return;
        }
        for (listening, _) in self.accepting.borrow().iter() {
            if let Err(error) = listening.set_backlog(backlog) {
                tracing::error!(target: "main", %error, backlog, "cannot change the backlog");
            }
        }
    }

    fn accept(self: &Rc<Self>, listening: Listening, around: Surroundings) {
        let weak = Rc::downgrade(self);
        let listening = Rc::new(listening);
        let kept = Rc::clone(&listening);
        let task = spawn_local(async move {
            loop {
                let accepted = listening.accept().await;
                let Some(slot) = weak.upgrade() else {
                    return;
                };
                match slot.start_all(accepted, &listening, &around) {
                    Ok(()) => tokio::task::yield_now().await,
                    // Out of descriptors or memory: others may free some, so it is tried again, not at once.
                    Err(error) => {
                        tracing::warn!(target: "connection", %error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        self.accepting.borrow_mut().push((kept, task.abort_handle()));
    }

    /// Starts a connection, and those that wait with it, as many as are accepted at once.
    fn start_all(
        &self,
        first: io::Result<(Io, Peer)>,
        listening: &Listening,
        around: &Surroundings,
    ) -> io::Result<()> {
        let limit = self.listener().config.socket.max_connections_to_accept_per_socket_event;
        let limit = limit.map_or(u64::MAX, u64::from);
        let (mut next, mut count) = (Some(first), 0);
        let outcome = loop {
            match next {
                Some(Ok((io, peer))) => self.arrive(io, peer, around),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
            count += 1;
            // The look that finds nothing is one that waiting would begin with.
            next = if count < limit { listening.accept().now_or_never() } else { None };
        };
        if count > 0 {
            self.listener().stats.connections_accepted_per_socket_event().record(count);
        }
        outcome
    }

    /// Starts a connection that was accepted here, or gives it to the worker whose turn it is.
    fn arrive(&self, io: Io, peer: Peer, around: &Surroundings) {
        let listener = self.listener();
        let snapshot = around.worker.snapshot();
        if listener.heeds_runtime_limit && !listener.all_open.may_grow(&snapshot.runtime) {
            return listener.stats.downstream_global_cx_overflow().inc();
        }
        if !listener.open.may_grow(&snapshot.runtime) {
            return listener.stats.downstream_cx_overflow().inc();
        }
        let balancer = listener.balancer.clone();
        let Some((balancer, seat)) =
            balancer.and_then(|balancer| balancer.choose().map(|seat| (balancer, seat)))
        else {
            return self.start(Arrived::new(io, peer.into()), around);
        };
        if seat.worker == self.worker {
            return self
                .start(Arrived { seat: Some(Box::new(seat)), ..Arrived::new(io, peer.into()) }, around);
        }
        if let Err(error) = balancer.give(io, peer, seat) {
            tracing::debug!(target: "connection", %error, "a connection was not given to another worker");
        }
    }

    /// Starts the connections that other workers give to this one, as long as there is a listener to give them. What is
    /// on its way when the listener goes is served as what came before.
    pub(super) fn take_given(self: &Rc<Self>, around: Surroundings) {
        let Some(mut given) =
            self.listener().balancer.as_ref().and_then(|balancer| balancer.open(self.worker))
        else {
            return;
        };
        let (weak, worker) = (Rc::downgrade(self), self.worker);
        let lineage = Rc::downgrade(&self.current.borrow());
        spawn_local(async move {
            while let Some(one) = given.recv().await {
                let current = weak.upgrade().map(|slot| Rc::clone(&slot.current.borrow()));
                if current.is_none() {
                    // Others see that it is closed, and give no more.
                    given.close();
                }
                let Some(lineage) = current.or_else(|| lineage.upgrade()) else { return };
                match one.take() {
                    Ok((io, peer, seat)) => {
                        let arrived = Arrived { seat: Some(Box::new(seat)), ..Arrived::new(io, peer.into()) };
                        start(worker, lineage, arrived, &around);
                    }
                    Err(error) => {
                        tracing::debug!(target: "connection", %error, "a given connection was not taken");
                    }
                }
            }
        });
    }

    /// Starts a connection that was accepted here, or by another listener that hands it on.
    pub(super) fn start(&self, arrived: Arrived, around: &Surroundings) {
        start(self.worker, Rc::clone(&self.current.borrow()), arrived, around);
    }
}

/// Starts a connection at the worker of this number.
fn start(worker: usize, lineage: Rc<Lineage>, arrived: Arrived, around: &Surroundings) {
    let listener = lineage.listener();
    let place = listener.connection_limit.as_ref().map(ConnectionLimit::take);
    if matches!(place, Some(None)) {
        listener.stats.downstream_global_cx_overflow().inc();
        return;
    }
    let around = around.clone();
    let open = OpenConnection::new(Rc::clone(&around.connections), listener, worker);
    // As what is known of a connection it is boxed: tasks have the room for what they hand on several times.
    let arrived = Box::new(arrived);
    spawn_local(async move {
        let handed_on = {
            let _place = place;
            connection::serve(arrived, open, &lineage, &around).await
        };
        if let Some(handed_on) = handed_on {
            handed_on.to.start(handed_on.arrived, &around);
        }
    });
}

impl Drop for Slot {
    fn drop(&mut self) {
        for (_, task) in self.accepting.borrow().iter() {
            task.abort();
        }
    }
}
