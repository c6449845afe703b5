//! Responses that are counted a second time, under a name that the request brings: `x-envoy-upstream-alt-stat-name`.

use std::time::Duration;

use crate::base::headers::Known;
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::observability::stats::AlternateStats;
use crate::upstream::Cluster;

/// What is counted of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// Its status.
    pub(super) status: u16,
    /// Whether the status is left out of all responses.
    pub(super) without_status: bool,
    /// How long it took, if it ended well.
    pub(super) elapsed: Option<Duration>,
    /// Whether it is a canary's.
    pub(super) canary: bool,
}

impl<D: Downstream> Exchange<'_, D> {
    /// Takes the name that the request brings, if it does, before anything is counted.
    #[inline]
    pub(super) fn note_alternate(&mut self) {
        let request = &mut self.headers.request;
        self.alternate = request.get(Known::XEnvoyUpstreamAltStatName).map(Box::from);
        if self.alternate.is_some() {
            request.remove(Known::XEnvoyUpstreamAltStatName);
        }
    }

    /// Counts a response, or its failure, under the name, and under that of its host's zone there.
    pub(super) fn count_alternate(&self, cluster: &Cluster, counted: Counted) {
        let Some(alternate) = &self.alternate else { return };
        if let Some(stats) = cluster.alternate_stats(alternate, None) {
            counted.count(&stats, self.internal);
        }
        let host = self.beside.as_deref().map(|pool| &pool.host).filter(|host| host.zone_stats.is_some());
        let zone = host.and_then(|host| cluster.alternate_stats(alternate, Some(&host.locality.zone)));
        let Some(stats) = zone else { return };
        stats.upstream_rq().inc(counted.status);
        if let Some(elapsed) = counted.elapsed {
            stats.upstream_rq_time().record(elapsed.as_millis() as u64);
        }
    }
}

impl Counted {
    fn count(self, stats: &AlternateStats, internal: bool) {
        let (by_origin, time_by_origin) = match internal {
            true => (stats.internal_upstream_rq(), stats.internal_upstream_rq_time()),
            false => (stats.external_upstream_rq(), stats.external_upstream_rq_time()),
        };
        match self.without_status {
            true => stats.upstream_rq().inc_completed(),
            false => stats.upstream_rq().inc(self.status),
        }
        by_origin.inc(self.status);
        if self.canary {
            stats.canary_upstream_rq().inc(self.status);
        }
        let Some(elapsed) = self.elapsed else { return };
        let millis = elapsed.as_millis() as u64;
        stats.upstream_rq_time().record(millis);
        time_by_origin.record(millis);
        if self.canary {
            stats.canary_upstream_rq_time().record(millis);
        }
    }
}
