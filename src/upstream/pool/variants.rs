//! Pools to one host for requests that say something of the connections that carry them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::HostPool;
use crate::observability::stream_info::ConnectionInfo;
use crate::upstream::{Proxied, TransportOptions};

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
    /// The pool for what a request says of its connections, or a connection that came from this client: the host may be
    /// one that is told of it. It is told of none where that is `None`.
    pub fn for_client(
        self: &Rc<Self>,
        said: Option<&Rc<TransportOptions>>,
        client: Option<&ConnectionInfo>,
    ) -> Rc<HostPool> {
        if self.cluster.tells_clients(&self.host)
            && let Some(proxied) = client.and_then(Proxied::of)
        {
            let said = said.map(|said| TransportOptions::clone(said)).unwrap_or_default();
            let said = TransportOptions { proxied: Some(Box::new(proxied)), ..said };
            return self.varied(&Rc::new(said));
        }
        match said {
            None => Rc::clone(self),
            Some(said) => self.varied(said),
        }
    }

    /// The pool for requests that say this of their connections, made at first use.
    pub fn varied(&self, options: &Rc<TransportOptions>) -> Rc<HostPool> {
        if let Some(pool) = self.variants.0.borrow().get(options) {
            return Rc::clone(pool);
        }
        let (host, cluster) = (Arc::clone(&self.host), Arc::clone(&self.cluster));
        let mut pool = HostPool::new(host, cluster, Rc::clone(&self.doors));
        pool.options = Some(Rc::clone(options));
        // A pool that is closed makes none that are not.
        pool.closed.set(self.closed.get());
        let pool = Rc::new(pool);
        self.variants.0.borrow_mut().insert(Rc::clone(options), Rc::clone(&pool));
        pool
    }
}
