//! Circuit breakers: limits on what a cluster may have in flight, counted over all workers
//! (`envoy.config.cluster.v3.CircuitBreakers`).
//!
//! What is in flight is held as a [`Guard`] that gives its place back when dropped, so no path can forget to.
//! As in Envoy a limit is checked before and counted after: two workers at the same moment may together exceed it
//! by one each.

mod budget;
mod resource;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use budget::Budget;
pub use resource::Resource;

use crate::config::cluster::{self as config, Thresholds};
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
    /// What the gauge says of retries though there is a budget: as in Envoy `max_retries`, until the first is asked for.
    told_retries: AtomicU32,
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
            told_retries: AtomicU32::new(limits.retry_budget.map_or(0, |_| limits.max_retries)),
        };
        for resource in Resource::ALL {
            if let Some(remaining) = breaker.any_remaining_gauge(resource) {
                remaining.set(match breaker.own_limit(resource) {
                    // Without a limit of pools Envoy's has 64 bits.
                    u32::MAX if resource == Resource::Pools => u64::MAX,
                    limit => limit.into(),
                });
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
        self.forget_told_retries();
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
        if resource == Resource::Requests {
            self.budget.count_request();
        }
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

    /// Has the gauge say no more of retries than a budget lets it: nothing.
    fn forget_told_retries(&self) {
        let told = self.told_retries.swap(0, Ordering::Relaxed);
        if let Some(remaining) = self.any_remaining_gauge(Resource::Retries).filter(|_| told > 0) {
            remaining.sub(told.into());
        }
    }

    fn has_budget(&self, resource: Resource) -> bool {
        resource == Resource::Retries && self.budget.is_there()
    }

    /// The retries that a budget allows now.
    fn budgeted(&self) -> u32 {
        let active = self.in_flight(Resource::Requests).saturating_add(self.in_flight(Resource::Pending));
        self.budget.retries(active)
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
        let before = Resource::ALL.map(|resource| self.left(resource));
        self.budget.follow(&format!("{prefix}retry_budget."), runtime);
        for resource in Resource::ALL {
            let configured = self.configured[resource as usize];
            let limit = runtime.integer(&format!("{prefix}{}", resource.limit_name()), configured.into());
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            self.limits[resource as usize].store(limit, Ordering::Relaxed);
            let change = self.left(resource).wrapping_sub(before[resource as usize]);
            if let Some(remaining) = self.any_remaining_gauge(resource).filter(|_| change != 0) {
                remaining.add(change);
            }
        }
    }

    /// How many places are left as the gauges have it: none of retries where there is a budget.
    fn left(&self, resource: Resource) -> u64 {
        if self.has_budget(resource) {
            return 0;
        }
        self.own_limit(resource).saturating_sub(self.in_flight(resource)).into()
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

    /// The gauge of places left, where places given and taken are counted in one.
    fn remaining_gauge(&self, resource: Resource) -> Option<Gauge<'_>> {
        self.any_remaining_gauge(resource).filter(|_| !self.has_budget(resource))
    }

    fn any_remaining_gauge(&self, resource: Resource) -> Option<Gauge<'_>> {
        let remaining = self.remaining.as_ref()?;
        Some(match resource {
            Resource::Connections => remaining.remaining_cx(),
            Resource::Pending => remaining.remaining_pending(),
            Resource::Requests => remaining.remaining_rq(),
            Resource::Retries => remaining.remaining_retries(),
            Resource::Pools => remaining.remaining_cx_pools(),
        })
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
mod tests;
