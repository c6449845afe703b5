//! Caches of names that requests bring, for all workers.
//!
//! A request whose name is not there asks the control thread for it, which resolves it ([`run`]), has the clusters that
//! share the cache take its hosts over, and lets the request go on. Names that nothing asks for any more go, and there
//! are never many more than `max_hosts`.

mod answer;
mod name;
mod run;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Cluster;
use crate::config::dns_cache as config;
use crate::observability::stats::{DnsCacheStats, Registry};

pub use name::normalise;
pub(in crate::upstream) use name::split;
pub use run::run;

/// How exactly it is known when a name was asked for last.
const USE_RESOLUTION: Duration = Duration::from_millis(100);

/// Names by themselves.
type Names = HashMap<Arc<str>, Arc<Known>>;

/// A cache of names.
#[derive(Debug)]
pub struct DnsCache {
    config: config::DnsCache,
    stats: DnsCacheStats,
    made: Instant,
    names: ArcSwap<Names>,
    pending: AtomicU32,
    asked: UnboundedSender<Ask>,
    /// Until its task begins.
    heard: Mutex<Option<UnboundedReceiver<Ask>>>,
    /// The clusters that take its names for hosts; used by the control thread alone.
    clusters: Mutex<Vec<Weak<Cluster>>>,
}

/// A request that waits for a name.
#[derive(Debug)]
struct Ask {
    name: Arc<str>,
    done: oneshot::Sender<Arc<Outcome>>,
}

/// A name in the cache.
#[derive(Debug)]
struct Known {
    /// `None` until its first resolution has ended.
    outcome: ArcSwapOption<Outcome>,
    /// In milliseconds of the cache's life.
    last_used: AtomicU64,
    /// Whether its resolution failed, and a request for it is to bring about another.
    forgotten: AtomicBool,
}

/// What came of resolving a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Where it is. As long as later resolutions bring no other addresses, these stay.
    Addresses(Box<[SocketAddr]>),
    /// It was never found anywhere; how access logs tell of it.
    Nowhere(Box<str>),
}

impl Outcome {
    /// What the details of a response say where there is no address.
    pub fn failure(&self) -> Option<String> {
        match self {
            Outcome::Addresses(_) => None,
            Outcome::Nowhere(reason) => Some(format!("dns_resolution_failure{{{reason}}}")),
        }
    }
}

/// What a request finds in the cache.
#[derive(Clone, Debug)]
pub enum Found {
    /// What is known of its name.
    Known(Arc<Outcome>),
    /// Nothing, and there are too many names already.
    Full,
    /// Nothing yet.
    Unknown,
}

impl DnsCache {
    /// An empty cache.
    pub(super) fn new(config: config::DnsCache, registry: &Registry) -> Self {
        let prefix = match config.name.as_str() {
            "" => "dns_cache.".to_owned(),
            name => format!("dns_cache.{name}."),
        };
        let stats = DnsCacheStats::new(registry, &prefix);
        stats.circuit_breakers_rq_pending_remaining().set(config.max_pending_requests.into());
        let (asked, heard) = unbounded_channel();
        DnsCache {
            config,
            stats,
            made: Instant::now(),
            names: ArcSwap::default(),
            pending: AtomicU32::new(0),
            asked,
            heard: Mutex::new(Some(heard)),
            clusters: Mutex::default(),
        }
    }

    /// How it is configured.
    pub fn config(&self) -> &config::DnsCache {
        &self.config
    }

    /// Whether a name has an address.
    pub fn is_resolved(&self, name: &str) -> bool {
        let names = self.names.load();
        let outcome = names.get(name).map(|known| known.outcome.load());
        outcome.is_some_and(|outcome| matches!(outcome.as_deref(), Some(Outcome::Addresses(_))))
    }

    /// What is known of a name.
    pub fn find(&self, name: &str) -> Found {
        let names = self.names.load();
        let known = names.get(name);
        if known.is_some_and(|known| known.forgotten.load(Ordering::Relaxed)) {
            return Found::Unknown;
        }
        match known.and_then(|known| known.outcome.load_full()) {
            Some(outcome) => Found::Known(outcome),
            None if known.is_none() && names.len() >= self.config.max_hosts as usize => {
                self.stats.host_overflow().inc();
                Found::Full
            }
            None => Found::Unknown,
        }
    }

    /// Asks for a name; the answer comes once something is known of it.
    pub fn ask(&self, name: &str) -> oneshot::Receiver<Arc<Outcome>> {
        let (done, answer) = oneshot::channel();
        // Without anybody who listens the answer is that there is none.
        self.asked.send(Ask { name: Arc::from(name), done }).unwrap_or_default();
        answer
    }

    /// Whether a name is looked for already of which nothing is known yet, so that nobody has to ask for it.
    pub fn is_asked_for(&self, name: &str) -> bool {
        self.names.load().get(name).is_some_and(|known| !known.forgotten.load(Ordering::Relaxed))
    }

    /// A request is for a name: it is kept.
    pub(super) fn touch(&self, name: &str) {
        if let Some(known) = self.names.load().get(name) {
            let now = self.now();
            // Written now and then only: workers share it.
            if now.saturating_sub(known.last_used.load(Ordering::Relaxed)) >= millis(USE_RESOLUTION) {
                known.last_used.store(now, Ordering::Relaxed);
            }
        }
    }

    /// A place among the requests that look for names; `None` where there are too many.
    pub fn try_pending(self: &Arc<Self>) -> Option<Pending> {
        let limit = self.config.max_pending_requests;
        let take = |count: u32| (count < limit).then_some(count + 1);
        match self.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(before) => {
                self.stats.circuit_breakers_rq_pending_remaining().dec();
                if before + 1 == limit {
                    self.stats.circuit_breakers_rq_pending_open().inc();
                }
                Some(Pending(Arc::clone(self)))
            }
            Err(_) => {
                self.stats.dns_rq_pending_overflow().inc();
                None
            }
        }
    }

    /// Has a cluster take the names for its hosts.
    pub(super) fn attach(&self, cluster: &Arc<Cluster>) {
        let mut clusters = self.lock_clusters();
        clusters.retain(|cluster| cluster.strong_count() > 0);
        clusters.push(Arc::downgrade(cluster));
    }

    fn lock_clusters(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Cluster>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names with addresses.
    pub(super) fn resolved(&self) -> Vec<(Arc<str>, Arc<Outcome>)> {
        let names: Guard<Arc<Names>> = self.names.load();
        let resolved = |(name, known): (&Arc<str>, &Arc<Known>)| {
            let outcome = known.outcome.load_full()?;
            matches!(*outcome, Outcome::Addresses(_)).then(|| (Arc::clone(name), outcome))
        };
        names.iter().filter_map(resolved).collect()
    }

    /// What is asked; `None` if another hears it already.
    pub fn listen(&self) -> Option<Asked> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take().map(Asked)
    }

    fn now(&self) -> u64 {
        millis(self.made.elapsed())
    }
}

/// What requests ask of a cache.
#[derive(Debug)]
pub struct Asked(UnboundedReceiver<Ask>);

/// A place among the requests that look for names; given back when dropped.
#[derive(Debug)]
#[must_use = "the place is given back as soon as the guard is dropped"]
pub struct Pending(Arc<DnsCache>);

impl Drop for Pending {
    fn drop(&mut self) {
        let before = self.0.pending.fetch_sub(1, Ordering::Relaxed);
        self.0.stats.circuit_breakers_rq_pending_remaining().inc();
        if before == self.0.config.max_pending_requests {
            self.0.stats.circuit_breakers_rq_pending_open().dec();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
