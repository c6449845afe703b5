//! Pools to one host for requests that say something of the connections that carry them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::HostPool;
use crate::upstream::TransportOptions;

/// The pools by what is said.
#[derive(Debug, Default)]
pub(super) struct Variants(RefCell<HashMap<Rc<TransportOptions>, Rc<HostPool>>>);

impl Variants {
    /// Forgets the pools that nobody needs: what requests say may never be said again.
    pub(super) fn sweep(&self, now: Instant) {
        self.0.borrow_mut().retain(|_, pool| {
            pool.sweep(now);
            !pool.is_unused() || Rc::strong_count(pool) > 1
        });
    }

    pub(super) fn close(&self) {
        for pool in self.0.borrow().values() {
            pool.close();
        }
    }
}

impl HostPool {
    /// The pool for requests that say this of their connections, made at first use.
    pub fn varied(&self, options: &Rc<TransportOptions>) -> Rc<HostPool> {
        if let Some(pool) = self.variants.0.borrow().get(options) {
            return Rc::clone(pool);
        }
        let pool = HostPool::new(Arc::clone(&self.host), Arc::clone(&self.cluster), Some(Rc::clone(options)));
        // A pool that is closed makes none that are not.
        pool.closed.set(self.closed.get());
        let pool = Rc::new(pool);
        self.variants.0.borrow_mut().insert(Rc::clone(options), Rc::clone(&pool));
        pool
    }
}
