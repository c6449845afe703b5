//! Pools to one host for requests that say something of the connections that carry them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::HostPool;
use super::provision::Standing;
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

    /// How they stand together.
    pub(super) fn standing(&self) -> Standing {
        self.0.borrow().values().map(|pool| pool.standing()).fold(Standing::default(), Standing::plus)
    }

    pub(super) fn close(&self) {
        for pool in self.0.borrow().values() {
            pool.close();
        }
    }
}

impl HostPool {
    /// The pool for what a request of this priority says of its connections that came from this client: the host may be one
    /// that is told of it, unless it is not to be (`tells`), and the cluster one whose clients share none.
    pub fn for_client(
        self: &Rc<Self>,
        said: Option<&Rc<TransportOptions>>,
        client: &ConnectionInfo,
        tells: bool,
        high_priority: bool,
    ) -> Rc<HostPool> {
        // As in Envoy a header of its own is told of whatever is said.
        let tells = (tells || client.proxied_values.is_some())
            && self.cluster.tells_clients(&self.host, said.map(|said| &**said));
        let of_client = || Proxied::of(client).map(Box::new);
        let proxied =
            if tells { said.and_then(|said| said.proxied.clone()).or_else(of_client) } else { None };
        let apart = self.cluster.config.connection_pool_per_downstream_connection && client.is_there;
        if proxied.is_some() || apart || high_priority {
            let said = said.map(|said| TransportOptions::clone(said)).unwrap_or_default();
            let client = apart.then_some(client.id);
            return self.varied(&Rc::new(TransportOptions { proxied, client, high_priority, ..said }));
        }
        match said {
            Some(said) if **said != TransportOptions::default() => self.varied(said),
            said => {
                self.say(said);
                Rc::clone(self)
            }
        }
    }

    /// Notes what a request says by which connections are not told apart: as in Envoy those of the pool say it for whom the
    /// first was made, until there is none any more.
    fn say(&self, said: Option<&Rc<TransportOptions>>) {
        let is_said = self.options.borrow().as_ref().map(Rc::as_ptr) == said.map(Rc::as_ptr);
        if !is_said && self.is_unused() {
            self.options.replace(said.cloned());
        }
    }

    /// The pool for requests that say this of their connections, made at first use.
    pub fn varied(&self, options: &Rc<TransportOptions>) -> Rc<HostPool> {
        if let Some(pool) = self.variants.0.borrow().get(options) {
            return Rc::clone(pool);
        }
        let (host, cluster) = (Arc::clone(&self.host), Arc::clone(&self.cluster));
        let pool = HostPool::new(host, cluster, Rc::clone(&self.doors));
        pool.options.replace(Some(Rc::clone(options)));
        // A pool that is closed makes none that are not.
        pool.closed.set(self.closed.get());
        let pool = Rc::new(pool);
        self.variants.0.borrow_mut().insert(Rc::clone(options), Rc::clone(&pool));
        pool
    }
}
