//! The task that resolves the names of a cache, on the control thread.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::name::split;
use super::{Ask, Asked, DnsCache, Known, Names, Outcome, millis};
use crate::base::back_off::BackOff;
use crate::base::random::Rng;
use crate::config::cluster::{Dns, DnsFamily};
use crate::upstream::Cluster;
use crate::upstream::discovery::resolver::{Answer, Resolve, ResolveError};

/// How access logs tell of a name that nobody knows.
const UNKNOWN: &str = "cares_norecords:Domain_name_not_found";

/// How they tell of one that has no address.
const NO_DATA: &str = "cares_norecords:DNS_server_returned_answer_with_no_data";

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
    let mut task = Task { resolver, rng, after, names: HashMap::new(), steps: FuturesUnordered::new() };
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
        }
    }
}

struct Task<F> {
    resolver: Rc<dyn Resolve>,
    rng: Rng,
    after: F,
    names: HashMap<Arc<str>, Entry>,
    steps: FuturesUnordered<Pin<Box<dyn Future<Output = Step>>>>,
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
        let known = Known {
            outcome: ArcSwapOption::empty(),
            last_used: AtomicU64::new(cache.now()),
            forgotten: AtomicBool::new(false),
        };
        let entry = Entry {
            known: Arc::new(known),
            waiting: done.into_iter().collect(),
            failures: cache.config.dns.failure_refresh.map(|(base, max)| BackOff::new(base, max)),
        };
        cache.change(|names| names.insert(Arc::clone(&name), Arc::clone(&entry.known)));
        cache.stats.host_added().inc();
        self.names.insert(Arc::clone(&name), entry);
        self.resolve(cache, name);
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

/// What an answer comes to, and its time to live where it has addresses.
fn outcome(
    stats: &crate::observability::stats::DnsCacheStats,
    result: Option<Result<Answer, ResolveError>>,
    port: u16,
) -> (Outcome, Option<Duration>) {
    match result {
        Some(Ok(answer)) if !answer.addresses.is_empty() => {
            stats.dns_query_success().inc();
            let addresses = answer.addresses.iter().map(|ip| SocketAddr::new(*ip, port));
            (Outcome::Addresses(addresses.collect()), Some(answer.ttl))
        }
        Some(Ok(answer)) => {
            stats.dns_query_success().inc();
            (Outcome::Nowhere(if answer.exists { NO_DATA } else { UNKNOWN }.into()), None)
        }
        Some(Err(error)) => {
            stats.dns_query_failure().inc();
            let reason = error.source.to_string().split_whitespace().collect::<Vec<_>>().join("_");
            (Outcome::Nowhere(reason.into()), None)
        }
        None => {
            stats.dns_query_timeout().inc();
            stats.dns_query_failure().inc();
            (Outcome::Nowhere("resolve_timeout".into()), None)
        }
    }
}

/// The addresses of a name; an address stands for itself, where it is of a family that is asked for.
async fn look_up(resolver: &dyn Resolve, name: &str, dns: &Dns) -> Result<Answer, ResolveError> {
    let (host, _) = split(name);
    let Ok(address) = host.parse::<IpAddr>() else { return resolver.resolve(host, dns).await };
    let is_wanted = match dns.family {
        DnsFamily::V4Only => address.is_ipv4(),
        DnsFamily::V6Only => address.is_ipv6(),
        DnsFamily::Auto | DnsFamily::V4Preferred | DnsFamily::All => true,
    };
    Ok(Answer {
        addresses: is_wanted.then_some(address).into_iter().collect(),
        ttl: Duration::ZERO,
        exists: true,
    })
}

impl DnsCache {
    /// The answer without the addresses that are passed over.
    fn allowed(&self, mut answer: Answer) -> Answer {
        if let Some(passed_over) = &self.config.passed_over {
            let before = answer.addresses.len();
            answer.addresses.retain(|address| !passed_over.matches(*address));
            self.stats.dns_address_filter_out().add((before - answer.addresses.len()) as u64);
        }
        answer
    }

    /// Changes what names there are.
    fn change<T>(&self, change: impl FnOnce(&mut Names) -> T) {
        let mut names = Names::clone(&self.names.load());
        change(&mut names);
        self.stats.num_hosts().set(names.len() as u64);
        self.names.store(Arc::new(names));
    }
}
