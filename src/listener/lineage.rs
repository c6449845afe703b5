//! A listener at one worker, through the updates of its filter chains.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::http::drain::{Drain, Pace};

use super::manager::Listener;

/// Why connections are closed in the end whose listener has gone: Envoy's words.
const LISTENER_GONE: &str = "purging_socket_that_have_not_progressed_to_connections";
/// The same of those whose filter chain has gone.
const CHAIN_GONE: &str = "filter_chain_is_being_removed";

/// Listeners of one number, of which each but the first took the place of the one before it.
#[derive(Debug)]
pub(super) struct Lineage {
    current: RefCell<Arc<Listener>>,
    /// Of connections that have no chain yet.
    drain: Rc<Drain>,
    /// Of those of chains that connections have chosen, by the chain's number.
    chains: RefCell<HashMap<u64, Rc<Drain>>>,
}

impl Lineage {
    /// That begins with this listener.
    pub(super) fn new(listener: Arc<Listener>) -> Rc<Self> {
        Rc::new(Lineage { current: RefCell::new(listener), drain: Rc::default(), chains: RefCell::default() })
    }

    /// What is in force.
    pub(super) fn listener(&self) -> Arc<Listener> {
        Arc::clone(&self.current.borrow())
    }

    /// Lets connections choose among the chains of an update from now on.
    pub(super) fn update(&self, listener: Arc<Listener>) {
        self.current.replace(listener);
    }

    /// Tells connections that have no chain yet to end.
    pub(super) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Tells the connections of a chain to end.
    pub(super) fn drain_of(&self, chain: u64) -> Rc<Drain> {
        let mut chains = self.chains.borrow_mut();
        Rc::clone(chains.entry(chain).or_insert_with(|| Rc::new(self.drain.like())))
    }

    /// Lets connections end with their responses while health checks fail, if the listener heeds that.
    pub(super) fn heed(&self, unhealthy: bool) {
        let unhealthy = unhealthy && self.current.borrow().config.drains_when_unhealthy;
        self.drain.heed(unhealthy);
        self.chains.borrow().values().for_each(|drain| drain.heed(unhealthy));
    }

    /// Lets all connections end.
    pub(super) fn begin(&self, pace: Pace) {
        self.drain.begin(pace);
        self.chains.borrow().values().for_each(|drain| drain.begin(pace));
    }

    /// Ends all connections at once.
    pub(super) fn close(&self) {
        self.drain.close(LISTENER_GONE);
        self.chains.borrow().values().for_each(|drain| drain.close(LISTENER_GONE));
    }

    /// Lets the connections of these chains, which no further ones choose, end.
    pub(super) fn begin_chains(&self, chains: &[u64], pace: Pace) {
        let drains = self.chains.borrow();
        chains.iter().filter_map(|chain| drains.get(chain)).for_each(|drain| drain.begin(pace));
    }

    /// Ends them at once.
    pub(super) fn close_chains(&self, chains: &[u64]) {
        let mut drains = self.chains.borrow_mut();
        chains.iter().filter_map(|chain| drains.remove(chain)).for_each(|drain| drain.close(CHAIN_GONE));
    }
}
