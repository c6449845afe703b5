//! How a connection ended, for statistics.

use tokio::time::Instant;

use crate::observability::stats::ClusterStats;

/// Who ended a connection, and whether a request was on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// This proxy did, while it was idle.
    Local,
    /// The host did, while it was idle.
    Remote,
    /// This proxy did, with a request on it.
    LocalWithRequest,
    /// The host did, with a request on it.
    RemoteWithRequest,
}

impl Ended {
    /// Counts a connection out that was there since `opened`.
    pub(super) fn count(self, stats: &ClusterStats, opened: Instant) {
        stats.upstream_cx_active().dec();
        stats.upstream_cx_destroy().inc();
        stats.upstream_cx_length_ms().record(opened.elapsed().as_millis() as u64);
        if matches!(self, Ended::Local | Ended::LocalWithRequest) {
            stats.upstream_cx_destroy_local().inc();
        } else {
            stats.upstream_cx_destroy_remote().inc();
        }
        match self {
            Ended::Local | Ended::Remote => return,
            Ended::LocalWithRequest => stats.upstream_cx_destroy_local_with_active_rq().inc(),
            Ended::RemoteWithRequest => stats.upstream_cx_destroy_remote_with_active_rq().inc(),
        }
        stats.upstream_cx_destroy_with_active_rq().inc();
    }
}
