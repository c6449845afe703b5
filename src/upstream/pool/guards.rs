//! What is counted of a pool for as long as something lasts.

use crate::upstream::host_stats::PendingRequest;

use super::host::HostPool;

/// Counts a request as waiting for as long as it does, and as cancelled if it is dropped before its wait is over.
pub(super) struct PendingGauge<'a> {
    pool: &'a HostPool,
    settled: bool,
    _at_host: PendingRequest<'a>,
}

impl<'a> PendingGauge<'a> {
    pub(super) fn new(pool: &'a HostPool) -> Self {
        pool.cluster.stats.upstream_rq_pending_active().inc();
        pool.one_pending();
        PendingGauge { pool, settled: false, _at_host: PendingRequest::new(&pool.host.stats) }
    }
}

impl PendingGauge<'_> {
    /// Waits for what ends the wait.
    pub(super) async fn over<T>(mut self, ends: impl Future<Output = T>) -> T {
        let end = ends.await;
        self.settled = true;
        end
    }
}

impl Drop for PendingGauge<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.pool.cluster.stats.upstream_rq_cancelled().inc();
        }
        self.pool.cluster.stats.upstream_rq_pending_active().dec();
        self.pool.one_less_pending();
    }
}

/// Counts a connection as open while it is being opened, so that no second one passes the limit as a first.
pub(super) struct Opening<'a>(Option<&'a HostPool>);

impl<'a> Opening<'a> {
    pub(super) fn new(pool: &'a HostPool) -> Self {
        pool.one_more();
        Opening(Some(pool))
    }

    /// The same of one that counts already.
    pub(super) fn begun(pool: &'a HostPool) -> Self {
        Opening(Some(pool))
    }

    /// The connection is open, and counts on.
    pub(super) fn opened(mut self) {
        if let Some(pool) = self.0.take() {
            pool.cluster.stats.upstream_cx_active().inc();
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.0 {
            pool.one_less();
            pool.let_another_open();
        }
    }
}
