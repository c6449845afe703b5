//! The task that resolves the names of a cache, on the control thread.

use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::answer::{look_up, outcome};
use super::name::split;
use super::store::{Kept, Store};
use super::{Ask, Asked, DnsCache, Known, Names, Outcome, millis};
use crate::base::back_off::BackOff;
use crate::base::random::Rng;
use crate::upstream::Cluster;
use crate::upstream::discovery::resolver::{Answer, Resolve, ResolveError};

/// How they tell of one all of whose addresses are passed over.
const DENIED: &str = "address_denied";

/// What is said of a name where there is no port.
const DEFAULT_PORT: u16 = 80;

/// Resolves the names that requests ask of `cache` for as long as clusters share it; `after` hears how often the hosts
/// of one changed.
pub async fn run(
    cache: Weak<DnsCache>,
    asked: Asked,
    resolver: Rc<dyn Resolve>,
    rng: Rng,
    after: impl Fn(Arc<Cluster>, u32),
) {
    let Asked(mut asked) = asked;
    let (names, steps) = (HashMap::new(), FuturesUnordered::new());
    let mut task = Task { resolver, rng, after, names, steps, store: None };
    let kept_in = cache.upgrade().and_then(|cache| cache.config.store.clone());
    if let Some(kept_in) = kept_in {
        let (store, kept) = Store::open(kept_in).await;
        task.store = Some(store);
        if let Some(cache) = cache.upgrade() {
            task.take(&cache, kept);
        }
    }
    if let Some(cache) = cache.upgrade() {
        for (host, port) in &cache.config.preresolve_hostnames {
            let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            task.begin(&cache, Arc::from(name), None);
        }
    }
    loop {
        tokio::select! {
            ask = asked.recv() => {
                let (Some(Ask { name, done }), Some(cache)) = (ask, cache.upgrade()) else { return };
                task.begin(&cache, name, Some(done));
            }
            Some(step) = task.steps.next(), if !task.steps.is_empty() => {
                let Some(cache) = cache.upgrade() else { return };
                match step {
                    Step::Due(name, known) => task.due(&cache, name, &known),
                    Step::Resolved(name, result) => task.resolved(&cache, name, result),
                }
            }
            () = write(&mut task.store) => {}
        }
    }
}

struct Task<F> {
    resolver: Rc<dyn Resolve>,
    rng: Rng,
    after: F,
    names: HashMap<Arc<str>, Entry>,
    steps: FuturesUnordered<Pin<Box<dyn Future<Output = Step>>>>,
    /// Where names are kept for the next start.
    store: Option<Store>,
}

/// Writes what is to be kept. Never ends.
async fn write(store: &mut Option<Store>) {
    match store {
        Some(store) => store.run().await,
        None => std::future::pending().await,
    }
}

/// A name of the cache.
struct Entry {
    known: Arc<Known>,
    waiting: Vec<oneshot::Sender<Arc<Outcome>>>,
    failures: Option<BackOff>,
}

/// What happens to a name.
enum Step {
    /// It is time to resolve it again.
    Due(Arc<str>, Arc<Known>),
    /// `None` when that took too long.
    Resolved(Arc<str>, Option<Result<Answer, ResolveError>>),
}

impl<F: Fn(Arc<Cluster>, u32)> Task<F> {
    /// A request asks for a name, or nobody yet.
    fn begin(&mut self, cache: &Arc<DnsCache>, name: Arc<str>, done: Option<oneshot::Sender<Arc<Outcome>>>) {
        if self.names.get(&name).is_some_and(|entry| entry.known.forgotten.load(Ordering::Relaxed)) {
            self.remove(cache, &name);
        }
        // Requests may be given up by the time that they come here: they ask for nothing any more, and the workers do not
        // count them among those that are pending.
        let limit = cache.config.max_hosts.saturating_add(cache.config.max_pending_requests) as usize;
        if let Some(done) = &done
            && (done.is_closed() || (!self.names.contains_key(&name) && self.names.len() >= limit))
        {
            return;
        }
        if let Some(entry) = self.names.get_mut(&name) {
            match (entry.known.outcome.load_full(), done) {
                // A request that nobody waits for any more hears nothing.
                (Some(outcome), Some(done)) => done.send(outcome).unwrap_or_default(),
                (None, done) => {
                    if entry.waiting.len().is_power_of_two() {
                        entry.waiting.retain(|waiting| !waiting.is_closed());
                    }
                    entry.waiting.extend(done);
                }
                (Some(_), None) => {}
            }
            return;
        }
        self.add(cache, &name, None).waiting.extend(done);
        self.resolve(cache, name);
    }

    /// Adds a name of which this is known.
    fn add(&mut self, cache: &DnsCache, name: &Arc<str>, outcome: Option<Arc<Outcome>>) -> &mut Entry {
        let known = Arc::new(Known {
            outcome: ArcSwapOption::new(outcome),
            last_used: AtomicU64::new(cache.now()),
            forgotten: AtomicBool::new(false),
        });
        cache.change(|names| names.insert(Arc::clone(name), Arc::clone(&known)));
        cache.stats.host_added().inc();
        let failures = cache.config.dns.failure_refresh.map(|(base, max)| BackOff::new(base, max));
        self.names.entry(Arc::clone(name)).or_insert(Entry { known, waiting: Vec::new(), failures })
    }

    /// Takes over what was kept of names. They are resolved again as if they had been resolved now.
    fn take(&mut self, cache: &Arc<DnsCache>, kept: Vec<Kept>) {
        for Kept { name, addresses, ttl } in kept {
            self.add(cache, &name, Some(Arc::new(Outcome::Addresses(addresses))));
            cache.stats.host_address_changed().inc();
            cache.stats.cache_load().inc();
            self.sleep(name, ttl.max(cache.config.dns_min_refresh_rate));
        }
        self.tell_clusters(cache);
    }

    fn resolve(&self, cache: &DnsCache, name: Arc<str>) {
        cache.stats.dns_query_attempt().inc();
        let (resolver, dns) = (Rc::clone(&self.resolver), cache.config.dns.clone());
        let timeout = cache.config.dns_query_timeout;
        self.steps.push(Box::pin(async move {
            let resolving = look_up(&*resolver, &name, &dns);
            let result = match timeout {
                Some(timeout) => tokio::time::timeout(timeout, resolving).await.ok(),
                None => Some(resolving.await),
            };
            Step::Resolved(name, result)
        }));
    }

    fn sleep(&self, name: Arc<str>, pause: Duration) {
        let Some(known) = self.names.get(&name).map(|entry| Arc::clone(&entry.known)) else { return };
        self.steps.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            Step::Due(name, known)
        }));
    }

    /// Resolves a name again, unless nothing has asked for it for long, or it has gone and come back meanwhile.
    fn due(&mut self, cache: &Arc<DnsCache>, name: Arc<str>, known: &Arc<Known>) {
        if !self.names.get(&name).is_some_and(|entry| Arc::ptr_eq(&entry.known, known)) {
            return;
        }
        let unused = cache.now().saturating_sub(known.last_used.load(Ordering::Relaxed));
        if unused > millis(cache.config.host_ttl) {
            self.remove(cache, &name);
        } else if known.forgotten.load(Ordering::Relaxed) {
            self.sleep(name, cache.config.host_ttl);
        } else {
            self.resolve(cache, name);
        }
    }

    fn remove(&mut self, cache: &Arc<DnsCache>, name: &Arc<str>) {
        self.names.remove(name);
        cache.change(|names| names.remove(name));
        cache.stats.host_removed().inc();
        if let Some(store) = &mut self.store {
            store.forget(name);
        }
        self.tell_clusters(cache);
    }

    /// Has clusters take over what is known now.
    fn tell_clusters(&self, cache: &DnsCache) {
        let mut clusters = Vec::new();
        cache.lock_clusters().retain(|cluster| match cluster.upgrade() {
            Some(cluster) => {
                clusters.push(cluster);
                true
            }
            None => false,
        });
        for cluster in clusters {
            let changes = cluster.follow_names();
            if changes > 0 {
                (self.after)(cluster, changes);
            }
        }
    }

    fn resolved(
        &mut self,
        cache: &Arc<DnsCache>,
        name: Arc<str>,
        result: Option<Result<Answer, ResolveError>>,
    ) {
        let Some(entry) = self.names.get_mut(&name) else { return };
        let port = split(&name).1.unwrap_or(DEFAULT_PORT);
        let had_addresses = matches!(&result, Some(Ok(answer)) if !answer.addresses.is_empty());
        let result = result.map(|result| result.map(|answer| cache.allowed(answer)));
        let failed = !matches!(result, Some(Ok(_)));
        let (outcome, ttl) = match outcome(&cache.stats, result, port) {
            (Outcome::Nowhere(_), ttl) if had_addresses => (Outcome::Nowhere(DENIED.into()), ttl),
            found => found,
        };
        if let (Some(store), Outcome::Addresses(addresses)) = (&mut self.store, &outcome) {
            store.keep(&name, addresses, ttl.unwrap_or_default());
        }
        let before = entry.known.outcome.load_full();
        let has_address = matches!(before.as_deref(), Some(Outcome::Addresses(_)));
        let moved = matches!(outcome, Outcome::Addresses(_)) && before.as_deref() != Some(&outcome);
        if moved || !has_address {
            let has_address = has_address || moved;
            let outcome = Arc::new(outcome);
            entry.known.outcome.store(Some(Arc::clone(&outcome)));
            let forget = failed && !has_address && cache.config.disable_dns_refresh_on_failure;
            entry.known.forgotten.store(forget, Ordering::Relaxed);
            let waiting = std::mem::take(&mut entry.waiting);
            if moved {
                cache.stats.host_address_changed().inc();
                self.tell_clusters(cache);
            }
            for done in waiting {
                done.send(Arc::clone(&outcome)).unwrap_or_default();
            }
            if forget {
                // It stays for as long as others do that nothing asks for.
                return self.sleep(name, cache.config.host_ttl);
            }
        }
        let pause = self.pause(cache, &name, failed, ttl);
        self.sleep(name, pause);
    }

    /// How long it takes until the name is resolved again.
    fn pause(&mut self, cache: &DnsCache, name: &str, failed: bool, ttl: Option<Duration>) -> Duration {
        let refresh_rate = cache.config.dns.refresh_rate;
        let failures = self.names.get_mut(name).and_then(|entry| entry.failures.as_mut());
        match (failed, failures) {
            (true, Some(failures)) => failures.next_pause(&mut self.rng),
            (true, None) => refresh_rate,
            (false, failures) => {
                if let Some(failures) = failures {
                    failures.reset();
                }
                ttl.unwrap_or(refresh_rate).max(cache.config.dns_min_refresh_rate)
            }
        }
    }
}

impl DnsCache {
    /// Changes what names there are.
    fn change<T>(&self, change: impl FnOnce(&mut Names) -> T) {
        let mut names = Names::clone(&self.names.load());
        change(&mut names);
        self.stats.num_hosts().set(names.len() as u64);
        self.names.store(Arc::new(names));
    }
}
