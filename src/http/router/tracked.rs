//! Statistics of requests that a cluster keeps only where they are asked for: `track_cluster_stats`.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::observability::stream_info::ResponseFlags;
use crate::upstream::Cluster;

/// An attempt of a request to a cluster that keeps such statistics.
#[derive(Debug)]
pub(super) struct Tracked {
    begun: Instant,
}

impl Tracked {
    /// An attempt that begins now; `None` for most clusters, which keep none.
    #[inline]
    pub(super) fn new(cluster: &Cluster) -> Option<Self> {
        let wanted = cluster.timeout_budgets.is_some() || cluster.message_sizes.is_some();
        wanted.then(|| Tracked { begun: Instant::now() })
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// Records what the attempt used of its time, and what it sent and received; `goes_on` where another follows.
    pub(super) fn record_attempt(
        &self,
        cluster: &Cluster,
        attempt: &Tracked,
        answered: &Result<(), Failure>,
        goes_on: bool,
    ) {
        if let Some(stats) = &cluster.timeout_budgets {
            // As in Envoy not of the attempt that the request's own time ends.
            if !is_over(answered) {
                let used = percentage(attempt.begun.elapsed(), self.timeouts.per_try);
                stats.upstream_rq_timeout_budget_per_try_percent_used().record(used);
            }
            if let Some(read) = self.info.timing.downstream_rx_end
                && !goes_on
                && (answered.is_ok() || timed_out(answered))
            {
                let used = self.started.elapsed().saturating_sub(read);
                let used = percentage(used, self.timeouts.global);
                stats.upstream_rq_timeout_budget_percent_used().record(used);
            }
        }
        if let Some(stats) = &cluster.message_sizes {
            let (bytes, count) = size(&self.headers.request);
            stats.upstream_rq_headers_size().record(bytes);
            stats.upstream_rq_headers_count().record(count);
            stats.upstream_rq_body_size().record(self.request_pump.bytes);
            let has_response = match answered {
                Ok(()) | Err(Failure::Redirected | Failure::Discovered) => true,
                Err(Failure::Abort(..)) => self.info.response_code > 0,
                Err(Failure::Reply(_) | Failure::GaveWay) => false,
            };
            if has_response {
                // What is declined for another attempt is not read.
                let bytes = if goes_on { 0 } else { self.info.bytes_sent };
                stats.upstream_rs_body_size().record(bytes);
            }
        }
    }

    /// Records the size of the response's headers, as they came.
    #[inline]
    pub(super) fn record_response_headers(&self, cluster: &Cluster) {
        if let Some(stats) = &cluster.message_sizes {
            let (bytes, count) = size(&self.headers.response);
            stats.upstream_rs_headers_size().record(bytes);
            stats.upstream_rs_headers_count().record(count);
        }
    }
}

/// Bytes of names and values, and how many there are.
fn size(headers: &Headers) -> (u64, u64) {
    let bytes = headers.iter().map(|(name, value)| name.as_bytes().len() + value.len()).sum::<usize>();
    (bytes as u64, headers.iter().count() as u64)
}

/// How much of its time was used, in percent; nothing of what is no limit.
fn percentage(used: Duration, limit: Option<Duration>) -> u64 {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    match limit.map(millis) {
        None | Some(0) => 0,
        Some(limit) => millis(used).saturating_mul(100) / limit,
    }
}

/// Whether the time of the request as a whole is over.
fn is_over(answered: &Result<(), Failure>) -> bool {
    let by_attempt = match answered {
        Err(Failure::Reply(reply)) => reply.reset.is_some(),
        _ => false,
    };
    timed_out(answered) && !by_attempt
}

/// Whether a time is over, that of the request or of the attempt.
fn timed_out(answered: &Result<(), Failure>) -> bool {
    match answered {
        Ok(()) | Err(Failure::Redirected | Failure::GaveWay | Failure::Discovered) => false,
        Err(Failure::Reply(reply)) => reply.flags.intersects(ResponseFlags::UT),
        Err(Failure::Abort(flags, _)) => flags.intersects(ResponseFlags::UT),
    }
}
