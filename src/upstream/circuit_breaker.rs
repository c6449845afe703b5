//! Circuit breakers: limits on what a cluster may have in flight, counted over all workers
//! (`envoy.config.cluster.v3.CircuitBreakers`).
//!
//! What is in flight is held as a [`Guard`] that gives its place back when dropped, so no path can forget to.
//! As in Envoy a limit is checked before and counted after: two workers at the same moment may together exceed it
//! by one each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::config::cluster::{self as config, RetryBudget, Thresholds};
use crate::config::runtime::Values;
use crate::observability::stats::{ClusterStats, Gauge, Registry};

crate::stats! {
    /// Places left, under `cluster.<name>.circuit_breakers.<priority>.`; only where `track_remaining` is set.
    struct RemainingStats {
        gauge remaining_cx;
        gauge remaining_cx_pools;
        gauge remaining_pending;
        gauge remaining_retries;
        gauge remaining_rq;
    }
}

/// The limits and counts of one cluster.
#[derive(Debug)]
pub struct CircuitBreakers {
    /// For requests of default priority.
    pub default: Arc<Breaker>,
    /// For requests of high priority.
    pub high: Arc<Breaker>,
}

impl CircuitBreakers {
    /// Nothing in flight yet. `prefix` is that of the cluster's statistics.
    pub fn new(
        config: &config::CircuitBreakers,
        stats: &ClusterStats,
        registry: &Registry,
        prefix: &str,
    ) -> Self {
        let breaker = |limits: &Thresholds, high| {
            let priority = if high { "high" } else { "default" };
            let remaining = limits
                .track_remaining
                .then(|| RemainingStats::new(registry, &format!("{prefix}circuit_breakers.{priority}.")));
            Arc::new(Breaker::new(limits, high, stats.clone(), remaining))
        };
        CircuitBreakers { default: breaker(&config.default, false), high: breaker(&config.high, true) }
    }

    /// Takes over what the runtime says of the cluster of this name: `circuit_breakers.<cluster>.<priority>.<limit>`.
    pub(super) fn follow(&self, cluster: &str, runtime: &Values) {
        self.default.follow(&format!("circuit_breakers.{cluster}.default."), runtime);
        self.high.follow(&format!("circuit_breakers.{cluster}.high."), runtime);
    }

    /// The breaker of a routing priority.
    #[inline]
    pub fn of(&self, high_priority: bool) -> &Arc<Breaker> {
        if high_priority { &self.high } else { &self.default }
    }
}

/// What a [`Breaker`] limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Connections to all hosts.
    Connections,
    /// Requests that wait for a connection.
    Pending,
    /// Requests in flight.
    Requests,
    /// Retries in flight.
    Retries,
    /// Connection pools.
    Pools,
}

impl Resource {
    /// All of them, in the order of their numbers.
    const ALL: [Resource; 5] =
        [Resource::Connections, Resource::Pending, Resource::Requests, Resource::Retries, Resource::Pools];

    /// Its limit, as the API and the runtime call it.
    fn limit_name(self) -> &'static str {
        match self {
            Resource::Connections => "max_connections",
            Resource::Pending => "max_pending_requests",
            Resource::Requests => "max_requests",
            Resource::Retries => "max_retries",
            Resource::Pools => "max_connection_pools",
        }
    }
}

/// The limits and counts of one routing priority.
#[derive(Debug)]
pub struct Breaker {
    counts: [AtomicU32; 5],
    /// In force: the configuration's, or what the runtime says in their place.
    limits: [AtomicU32; 5],
    configured: [u32; 5],
    connections_per_host: u32,
    /// In place of the limit of retries.
    budget: Budget,
    /// What the gauges say.
    told_open: [AtomicBool; 5],
    high: bool,
    stats: ClusterStats,
    remaining: Option<RemainingStats>,
}

impl Breaker {
    fn new(limits: &Thresholds, high: bool, stats: ClusterStats, remaining: Option<RemainingStats>) -> Self {
        let configured = [
            limits.max_connections,
            limits.max_pending_requests,
            limits.max_requests,
            limits.max_retries,
            limits.max_connection_pools,
        ];
        let breaker = Breaker {
            counts: Default::default(),
            limits: configured.map(AtomicU32::new),
            configured,
            connections_per_host: limits.max_connections_per_host,
            budget: Budget::new(limits.retry_budget),
            told_open: Default::default(),
            high,
            stats,
            remaining,
        };
        for resource in Resource::ALL {
            if let Some(remaining) = breaker.remaining_gauge(resource) {
                remaining.set(breaker.limit(resource).into());
            }
        }
        breaker
    }

    /// Room for one more connection to a host that has so many, those of other priorities included; `None` when a
    /// limit is reached.
    #[inline]
    pub fn try_connection(self: &Arc<Self>, at_host: u32) -> Option<Guard> {
        if at_host < self.connections_per_host { self.try_take(Resource::Connections) } else { None }
    }

    /// Room for one more request that waits for a connection; `None` when the limit is reached.
    #[inline]
    pub fn try_pending(self: &Arc<Self>) -> Option<Guard> {
        self.try_take(Resource::Pending)
    }

    /// Room for one more request; `None` when the limit is reached.
    #[inline]
    pub fn try_request(self: &Arc<Self>) -> Option<Guard> {
        self.try_take(Resource::Requests)
    }

    /// Room for one more retry; `None` when the limit is reached.
    #[inline]
    pub fn try_retry(self: &Arc<Self>) -> Option<Guard> {
        self.try_take(Resource::Retries)
    }

    /// Room for one more connection pool; `None` when the limit is reached.
    #[inline]
    pub fn try_pool(self: &Arc<Self>) -> Option<Guard> {
        self.try_take(Resource::Pools)
    }

    /// Takes a place if there is one.
    #[inline]
    pub fn try_take(self: &Arc<Self>, resource: Resource) -> Option<Guard> {
        (!self.is_open(resource)).then(|| self.take(resource))
    }

    /// Takes a place whether there is one or not: a pool without a connection may always open its first.
    #[inline]
    pub fn take(self: &Arc<Self>, resource: Resource) -> Guard {
        let before = self.counts[resource as usize].fetch_add(1, Ordering::Relaxed);
        let limit = self.own_limit(resource);
        self.tell_open(resource, before.saturating_add(1) >= limit);
        if let Some(remaining) = self.remaining_gauge(resource).filter(|_| before < limit) {
            remaining.dec();
        }
        Guard { breaker: Arc::clone(self), resource }
    }

    /// Whether the limit is reached (`cx_open`, `rq_pending_open`, `rq_open`, `rq_retry_open`, `cx_pool_open`).
    #[inline]
    pub fn is_open(&self, resource: Resource) -> bool {
        self.in_flight(resource) >= self.limit(resource)
    }

    /// How many there are now.
    #[inline]
    pub fn in_flight(&self, resource: Resource) -> u32 {
        self.counts[resource as usize].load(Ordering::Relaxed)
    }

    /// The limit; of retries with a budget that of the moment.
    #[inline]
    pub fn limit(&self, resource: Resource) -> u32 {
        if self.has_budget(resource) { self.budgeted() } else { self.own_limit(resource) }
    }

    fn has_budget(&self, resource: Resource) -> bool {
        resource == Resource::Retries && self.budget.is_there.load(Ordering::Relaxed)
    }

    /// The retries that a budget allows now.
    fn budgeted(&self) -> u32 {
        let active =
            f64::from(self.in_flight(Resource::Requests)) + f64::from(self.in_flight(Resource::Pending));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast that saturates")]
        let share = (self.budget.percent() / 100.0 * active) as u32;
        share.max(self.budget.least.load(Ordering::Relaxed))
    }

    /// The limit of the configuration or of the runtime, whatever budget there is.
    #[inline]
    fn own_limit(&self, resource: Resource) -> u32 {
        self.limits[resource as usize].load(Ordering::Relaxed)
    }

    /// Tells in the gauge whether there are as many as may be; as in Envoy of retries that is `max_retries` with a
    /// budget as well.
    #[inline]
    fn tell_open(&self, resource: Resource, open: bool) {
        let told = &self.told_open[resource as usize];
        // Nearly always it is as it was, and nothing is written.
        if told.load(Ordering::Relaxed) == open {
            return;
        }
        match (told.swap(open, Ordering::Relaxed), open) {
            (false, true) => self.open_gauge(resource).inc(),
            (true, false) => self.open_gauge(resource).dec(),
            _ => {}
        }
    }

    /// Takes over what the runtime says under keys that begin so.
    fn follow(&self, prefix: &str, runtime: &Values) {
        self.budget.follow(&format!("{prefix}retry_budget."), runtime);
        for resource in Resource::ALL {
            let configured = self.configured[resource as usize];
            let limit = runtime.integer(&format!("{prefix}{}", resource.limit_name()), configured.into());
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let before = self.limits[resource as usize].swap(limit, Ordering::Relaxed);
            if let Some(remaining) = self.remaining_gauge(resource).filter(|_| before != limit) {
                let left = |limit: u32| u64::from(limit.saturating_sub(self.in_flight(resource)));
                remaining.add(left(limit).wrapping_sub(left(before)));
            }
        }
    }

    fn give_back(&self, resource: Resource) {
        let before = self.counts[resource as usize].fetch_sub(1, Ordering::Relaxed);
        let limit = self.own_limit(resource);
        self.tell_open(resource, before.saturating_sub(1) >= limit);
        if let Some(remaining) = self.remaining_gauge(resource).filter(|_| before <= limit) {
            remaining.inc();
        }
    }

    fn open_gauge(&self, resource: Resource) -> Gauge<'_> {
        match (resource, self.high) {
            (Resource::Connections, false) => self.stats.circuit_breakers_default_cx_open(),
            (Resource::Connections, true) => self.stats.circuit_breakers_high_cx_open(),
            (Resource::Pending, false) => self.stats.circuit_breakers_default_rq_pending_open(),
            (Resource::Pending, true) => self.stats.circuit_breakers_high_rq_pending_open(),
            (Resource::Requests, false) => self.stats.circuit_breakers_default_rq_open(),
            (Resource::Requests, true) => self.stats.circuit_breakers_high_rq_open(),
            (Resource::Retries, false) => self.stats.circuit_breakers_default_rq_retry_open(),
            (Resource::Retries, true) => self.stats.circuit_breakers_high_rq_retry_open(),
            (Resource::Pools, false) => self.stats.circuit_breakers_default_cx_pool_open(),
            (Resource::Pools, true) => self.stats.circuit_breakers_high_cx_pool_open(),
        }
    }

    fn remaining_gauge(&self, resource: Resource) -> Option<Gauge<'_>> {
        let remaining = self.remaining.as_ref().filter(|_| !self.has_budget(resource))?;
        Some(match resource {
            Resource::Connections => remaining.remaining_cx(),
            Resource::Pending => remaining.remaining_pending(),
            Resource::Requests => remaining.remaining_rq(),
            Resource::Retries => remaining.remaining_retries(),
            Resource::Pools => remaining.remaining_cx_pools(),
        })
    }
}

/// A budget of retries as it is in force: that of the configuration, or what the runtime says in its place.
#[derive(Debug)]
struct Budget {
    configured: Option<RetryBudget>,
    is_there: AtomicBool,
    /// The bits of a number.
    percent: AtomicU64,
    least: AtomicU32,
}

impl Budget {
    fn new(configured: Option<RetryBudget>) -> Self {
        let budget = configured.unwrap_or_default();
        Budget {
            configured,
            is_there: AtomicBool::new(configured.is_some()),
            percent: AtomicU64::new(budget.budget_percent.to_bits()),
            least: AtomicU32::new(budget.min_retry_concurrency),
        }
    }

    fn percent(&self) -> f64 {
        f64::from_bits(self.percent.load(Ordering::Relaxed))
    }

    /// Takes over what the runtime says, which may also make a budget where none is configured.
    fn follow(&self, prefix: &str, runtime: &Values) {
        let configured = self.configured.unwrap_or_default();
        let (percent, least) = (format!("{prefix}budget_percent"), format!("{prefix}min_retry_concurrency"));
        let is_there = self.configured.is_some() || runtime.has(&percent) || runtime.has(&least);
        let percent = runtime.double(&percent, configured.budget_percent);
        let least = runtime.integer(&least, configured.min_retry_concurrency.into());
        self.percent.store(percent.to_bits(), Ordering::Relaxed);
        self.least.store(u32::try_from(least).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.is_there.store(is_there, Ordering::Relaxed);
    }
}

/// One place taken; given back when dropped.
#[derive(Debug)]
#[must_use = "the place is given back as soon as the guard is dropped"]
pub struct Guard {
    breaker: Arc<Breaker>,
    resource: Resource,
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        self.breaker.give_back(self.resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers(limits: Thresholds) -> CircuitBreakers {
        let registry = Registry::new(0);
        let stats = ClusterStats::new(&registry, "cluster.c.");
        let config = config::CircuitBreakers { default: limits, ..Default::default() };
        CircuitBreakers::new(&config, &stats, &registry, "cluster.c.")
    }

    #[test]
    fn a_place_is_refused_at_the_limit_and_given_back_on_drop() {
        let breakers = breakers(Thresholds { max_requests: 2, ..Thresholds::default() });
        let first = breakers.default.try_request();
        let second = breakers.default.try_request();
        assert!(first.is_some() && second.is_some());
        assert!(breakers.default.is_open(Resource::Requests));
        assert!(breakers.default.try_request().is_none());
        drop(first);
        assert!(breakers.default.try_request().is_some());
    }

    #[test]
    fn priorities_and_resources_are_counted_apart() {
        let breakers = breakers(Thresholds { max_retries: 0, ..Thresholds::default() });
        assert!(breakers.of(false).try_retry().is_none());
        assert!(breakers.of(true).try_retry().is_some());
        assert!(breakers.of(false).try_pending().is_some());
    }

    #[test]
    fn a_first_connection_is_taken_above_the_limit() {
        let breakers = breakers(Thresholds { max_connections: 0, ..Thresholds::default() });
        assert!(breakers.default.try_connection(0).is_none());
        let connection = breakers.default.take(Resource::Connections);
        assert_eq!(breakers.default.in_flight(Resource::Connections), 1);
        drop(connection);
        assert_eq!(breakers.default.in_flight(Resource::Connections), 0);
    }

    #[test]
    fn a_host_may_have_fewer_connections_than_its_cluster() {
        let breakers = breakers(Thresholds { max_connections_per_host: 2, ..Thresholds::default() });
        assert!(breakers.default.try_connection(1).is_some());
        assert!(breakers.default.try_connection(2).is_none());
        assert!(breakers.high.try_connection(2).is_some(), "the other priority has a limit of its own");
    }

    #[test]
    fn the_gauge_is_one_while_the_limit_is_reached() {
        let breakers = breakers(Thresholds { max_requests: 1, ..Thresholds::default() });
        let gauge = || breakers.default.stats.circuit_breakers_default_rq_open().value();
        assert_eq!(gauge(), 0);
        let first = breakers.default.try_request();
        assert_eq!(gauge(), 1);
        let above = breakers.default.take(Resource::Requests);
        assert_eq!(gauge(), 1);
        drop(above);
        assert_eq!(gauge(), 1);
        drop(first);
        assert_eq!(gauge(), 0);
    }

    #[test]
    fn a_budget_limits_retries_to_a_share_of_what_is_in_flight() {
        let retry_budget = Some(RetryBudget { budget_percent: 50.0, min_retry_concurrency: 1 });
        let breakers = breakers(Thresholds { retry_budget, max_retries: 1, ..Thresholds::default() });
        let breaker = &breakers.default;
        let gauge = || breaker.stats.circuit_breakers_default_rq_retry_open().value();
        let first = breaker.try_retry();
        assert!(first.is_some() && breaker.try_retry().is_none());
        assert_eq!(gauge(), 1);
        let requests = [(); 3].map(|()| breaker.take(Resource::Requests));
        let waiting = breaker.take(Resource::Pending);
        let second = breaker.try_retry();
        assert!(second.is_some() && breaker.try_retry().is_none());
        drop((requests, waiting, first, second));
        assert_eq!((gauge(), breaker.in_flight(Resource::Retries)), (0, 0));
    }

    #[test]
    fn the_runtime_takes_the_place_of_limits_while_it_says_something() {
        let limits = Thresholds { max_requests: 2, track_remaining: true, ..Thresholds::default() };
        let breakers = breakers(limits);
        let runtime = |values: serde_json::Value| -> Values {
            let values = values.as_object().cloned().unwrap_or_default();
            values.iter().map(|(key, value)| (key.as_str(), value)).collect()
        };
        let gauge = || breakers.default.stats.circuit_breakers_default_rq_open().value();
        let remaining = || breakers.default.remaining_gauge(Resource::Requests).map(|gauge| gauge.value());
        let first = breakers.default.try_request();
        breakers.follow("c", &runtime(serde_json::json!({ "circuit_breakers.c.default.max_requests": 1 })));
        assert!(breakers.default.try_request().is_none() && breakers.high.try_request().is_some());
        assert_eq!(remaining(), Some(0));
        drop(first);
        assert_eq!((gauge(), remaining()), (0, Some(1)));
        breakers.follow("c", &Values::default());
        let both = [breakers.default.try_request(), breakers.default.try_request()];
        assert!(both.iter().all(Option::is_some));
        assert_eq!((gauge(), remaining()), (1, Some(0)));
        drop(both);
        assert_eq!((gauge(), remaining()), (0, Some(2)));
    }

    #[test]
    fn the_runtime_can_make_a_budget() {
        let breakers = breakers(Thresholds { max_retries: 0, ..Thresholds::default() });
        let least = serde_json::json!(1);
        let key = "circuit_breakers.c.default.retry_budget.min_retry_concurrency";
        breakers.follow("c", &[(key, &least)].into_iter().collect());
        let first = breakers.default.try_retry();
        assert!(first.is_some() && breakers.default.try_retry().is_none());
        breakers.follow("c", &Values::default());
        drop(first);
        assert!(breakers.default.try_retry().is_none());
    }

    #[test]
    fn remaining_places_are_told_only_when_tracked() {
        let limits = Thresholds { max_pending_requests: 2, track_remaining: true, ..Thresholds::default() };
        let breakers = breakers(limits);
        let remaining = || breakers.default.remaining_gauge(Resource::Pending).map(|gauge| gauge.value());
        assert_eq!(remaining(), Some(2));
        let waiting = [(); 3].map(|()| breakers.default.take(Resource::Pending));
        assert_eq!(remaining(), Some(0));
        drop(waiting);
        assert_eq!(remaining(), Some(2));
        assert!(breakers.high.remaining_gauge(Resource::Pending).is_none());
    }
}
