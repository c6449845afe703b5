//! Circuit breakers: limits on what a cluster may have in flight, counted over all workers
//! (`envoy.config.cluster.v3.CircuitBreakers`).
//!
//! What is in flight is held as a [`Guard`] that gives its place back when dropped, so no path can forget to.
//! As in Envoy a limit is checked before and counted after: two workers at the same moment may together exceed it
//! by one each. The gauges (`cx_open`, `remaining_rq`, …) are read from these counts when statistics are
//! scraped; nothing else has to be kept in step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::cluster::{self as config, Thresholds};

/// The limits and counts of one cluster.
#[derive(Debug)]
pub struct CircuitBreakers {
    /// For requests of default priority.
    pub default: Arc<Breaker>,
    /// For requests of high priority.
    pub high: Arc<Breaker>,
    /// Connections to one host, over all priorities and workers; `None` means no limit.
    pub per_host_max_connections: Option<u32>,
}

impl CircuitBreakers {
    /// Nothing in flight yet.
    pub fn new(config: &config::CircuitBreakers) -> Self {
        CircuitBreakers {
            default: Arc::new(Breaker::new(&config.default)),
            high: Arc::new(Breaker::new(&config.high)),
            per_host_max_connections: config.per_host_max_connections,
        }
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

/// The limits and counts of one routing priority.
#[derive(Debug)]
pub struct Breaker {
    counts: [AtomicU32; 5],
    limits: [u32; 5],
    track_remaining: bool,
}

impl Breaker {
    fn new(limits: &Thresholds) -> Self {
        Breaker {
            counts: Default::default(),
            limits: [
                limits.max_connections,
                limits.max_pending_requests,
                limits.max_requests,
                limits.max_retries,
                limits.max_connection_pools,
            ],
            track_remaining: limits.track_remaining,
        }
    }

    /// Room for one more connection; `None` when the limit is reached.
    #[inline]
    pub fn try_connection(self: &Arc<Self>) -> Option<Guard> {
        self.try_take(Resource::Connections)
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
        self.counts[resource as usize].fetch_add(1, Ordering::Relaxed);
        Guard { breaker: Arc::clone(self), resource }
    }

    /// Whether the limit is reached (`cx_open`, `rq_pending_open`, `rq_open`, `rq_retry_open`, `cx_pool_open`).
    #[inline]
    pub fn is_open(&self, resource: Resource) -> bool {
        self.in_flight(resource) >= self.limits[resource as usize]
    }

    /// How many there are now.
    #[inline]
    pub fn in_flight(&self, resource: Resource) -> u32 {
        self.counts[resource as usize].load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn limit(&self, resource: Resource) -> u32 {
        self.limits[resource as usize]
    }

    /// Places left (`remaining_cx`, `remaining_rq`, …); `None` unless the configuration asks to track them.
    pub fn remaining(&self, resource: Resource) -> Option<u32> {
        self.track_remaining.then(|| self.limit(resource).saturating_sub(self.in_flight(resource)))
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
        self.breaker.counts[self.resource as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers(limits: Thresholds) -> CircuitBreakers {
        CircuitBreakers::new(&config::CircuitBreakers { default: limits, ..Default::default() })
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
        assert!(breakers.default.try_connection().is_none());
        let connection = breakers.default.take(Resource::Connections);
        assert_eq!(breakers.default.in_flight(Resource::Connections), 1);
        drop(connection);
        assert_eq!(breakers.default.in_flight(Resource::Connections), 0);
    }

    #[test]
    fn remaining_places_are_told_only_when_tracked() {
        let tracked =
            breakers(Thresholds { max_pending_requests: 3, track_remaining: true, ..Default::default() });
        let _waiting = tracked.default.try_pending();
        assert_eq!(tracked.default.remaining(Resource::Pending), Some(2));
        assert_eq!(tracked.high.remaining(Resource::Pending), None);
    }
}
