//! Pools to one host for requests that say something of the connections that carry them.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use tokio::time::Instant;

use super::HostPool;
use super::provision::Standing;
use crate::observability::stream_info::ConnectionInfo;
use crate::upstream::transport_options::Said;
use crate::upstream::{Proxied, TransportOptions};

/// The pools by what is said.
#[derive(Debug, Default)]
pub(super) struct Variants(RefCell<HashTable<Variant>>, DefaultHashBuilder);

/// One of them.
#[derive(Debug)]
struct Variant {
    options: Rc<TransportOptions>,
    pool: Rc<HostPool>,
}

impl Variants {
    /// The pool for requests that say this, if there is one.
    fn find(&self, said: &Said<'_>) -> Option<Rc<HostPool>> {
        let known = self.0.borrow();
        let found = known.find(self.1.hash_one(said), |variant| Said::of(&variant.options) == *said);
        found.map(|variant| Rc::clone(&variant.pool))
    }

    /// Keeps a pool for requests that say this, for which there is none.
    fn insert(&self, options: Rc<TransportOptions>, pool: Rc<HostPool>) {
        let hash = |options: &TransportOptions| self.1.hash_one(Said::of(options));
        let hashed = hash(&options);
        let variant = Variant { options, pool };
        self.0.borrow_mut().insert_unique(hashed, variant, |variant| hash(&variant.options));
    }

    /// Forgets the pools that nobody needs: what requests say may never be said again.
    pub(super) fn sweep(&self, now: Instant) {
        self.0.borrow_mut().retain(|Variant { pool, .. }| {
            pool.sweep(now);
            !pool.is_unused() || Rc::strong_count(pool) > 1
        });
    }

    /// How they stand together.
    pub(super) fn standing(&self) -> Standing {
        let known = self.0.borrow();
        known.iter().map(|variant| variant.pool.standing()).fold(Standing::default(), Standing::plus)
    }

    pub(super) fn close(&self) {
        for variant in self.0.borrow().iter() {
            variant.pool.close();
        }
    }
}

impl HostPool {
    /// The pool for what a request of this priority says of its connections that came from this client: the host may be one
    /// that is told of it, unless it is not to be (`tells`), and the cluster one whose clients share none.
    ///
    /// Allocates where the pool is new, and not for the requests after.
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
        let named = said.and_then(|said| said.proxied.as_deref()).filter(|_| tells);
        let of_client = if tells && named.is_none() { Proxied::of(client) } else { None };
        let proxied = named.or(of_client.as_ref());
        let apart = self.cluster.config.connection_pool_per_downstream_connection && client.is_there;
        if proxied.is_some() || apart || high_priority {
            let nothing = TransportOptions::default();
            let said = Said::of(said.map_or(&nothing, |said| said));
            let client = apart.then_some(client.id);
            return self.variant(&said.by(proxied, client, high_priority), Said::owned);
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
        self.variant(&Said::of(options), |_| Rc::clone(options))
    }

    /// The same; `options` gives what a new one keeps.
    fn variant<'s>(
        &self,
        said: &Said<'s>,
        options: impl FnOnce(&Said<'s>) -> Rc<TransportOptions>,
    ) -> Rc<HostPool> {
        if let Some(pool) = self.variants.find(said) {
            return pool;
        }
        let options = options(said);
        let pool = HostPool::new(Arc::clone(&self.host), Arc::clone(&self.cluster), Rc::clone(&self.doors));
        pool.options.replace(Some(Rc::clone(&options)));
        // A pool that is closed makes none that are not.
        pool.closed.set(self.closed.get());
        let pool = Rc::new(pool);
        self.variants.insert(options, Rc::clone(&pool));
        pool
    }
}
