//! How often a request is sent again: the decision after each attempt, and what it counts. Requests of clients and calls
//! of filters are judged alike.

use std::time::Duration;

use crate::base::headers::Headers;
use crate::config::route::RetryPolicy;
use crate::config::runtime::Values;
use crate::http::worker::Worker;
use crate::observability::stats::{ClusterStats, RouteStats};
use crate::route::retry::{Pause, Retries};
use crate::upstream::Cluster;
use crate::upstream::circuit_breaker::Guard;

/// The limit of the first pause where the policy says nothing, in milliseconds, and where the runtime changes it.
const BASE_BACK_OFF: (&str, u64) = ("upstream.base_retry_backoff_ms", 25);

/// The percentage of retries that is made, and where the runtime changes it.
const USE_RETRY: (&str, u64) = ("upstream.use_retry", 100);

/// The retries of one request.
#[derive(Debug)]
pub(super) struct Tries<'p> {
    pub(super) retries: Retries<'p>,
    /// The place among the cluster's retries, from the decision until the outcome.
    place: Option<Guard>,
    /// Whether an attempt that calls for no other was made possible by a retry.
    is_retry: bool,
}

/// What becomes of an attempt that did not go well.
pub(super) enum Decision {
    Again(Pause),
    No,
    /// The retries are used up.
    LimitExceeded,
    /// Too many retries are in flight.
    Overflow,
}

impl<'p> Tries<'p> {
    /// Those that the policy and the request's headers allow, which are taken out; `None` when it is never sent again.
    pub(super) fn new(
        policy: Option<&'p RetryPolicy>,
        request: &mut Headers,
        worker: &Worker,
    ) -> Option<Self> {
        let base =
            || Duration::from_millis(worker.snapshot().runtime.integer(BASE_BACK_OFF.0, BASE_BACK_OFF.1));
        let retries = Retries::new(policy, request, base)?;
        Some(Tries { retries, place: None, is_retry: false })
    }

    /// Decides on an attempt for which there could be another after `wanted`. `groups` is what else it is counted in.
    pub(super) fn decide(
        &mut self,
        wanted: Option<Pause>,
        cluster: &Cluster,
        high_priority: bool,
        worker: &Worker,
        groups: impl Iterator<Item = &'p RouteStats>,
    ) -> Decision {
        let stats = &cluster.stats;
        self.place = None;
        let Some(pause) = wanted else {
            if std::mem::take(&mut self.is_retry) {
                stats.upstream_rq_retry_success().inc();
                groups.for_each(|group| group.upstream_rq_retry_success().inc());
            }
            return Decision::No;
        };
        if !self.retries.take() {
            stats.upstream_rq_retry_limit_exceeded().inc();
            groups.for_each(|group| group.upstream_rq_retry_limit_exceeded().inc());
            return Decision::LimitExceeded;
        }
        let Some(place) = cluster.circuit_breakers.of(high_priority).try_retry() else {
            stats.upstream_rq_retry_overflow().inc();
            groups.for_each(|group| group.upstream_rq_retry_overflow().inc());
            return Decision::Overflow;
        };
        if !is_used(&worker.snapshot().runtime, worker.random()) {
            return Decision::No;
        }
        self.place = Some(place);
        self.is_retry = true;
        Decision::Again(pause)
    }
}

/// Whether retries are made at all.
fn is_used(runtime: &Values, random: u64) -> bool {
    random % 100 < runtime.integer(USE_RETRY.0, USE_RETRY.1)
}

/// Counts an attempt that follows another after this.
pub(super) fn count_retry(stats: &ClusterStats, pause: Pause) {
    stats.upstream_rq_retry().inc();
    match pause {
        Pause::None => {}
        Pause::BackOff => stats.upstream_rq_retry_backoff_exponential().inc(),
        Pause::AtLeast(_) => stats.upstream_rq_retry_backoff_ratelimited().inc(),
    }
}
