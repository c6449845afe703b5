//! Shares of requests that their cluster does not take.

use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::http::local_reply::LocalReply;
use crate::upstream::{Cluster, drops};

impl<D: Downstream> Exchange<'_, D> {
    /// Refuses the share of requests that the runtime wants refused.
    pub(super) fn maintenance(&self, cluster: &Cluster) -> Result<(), LocalReply> {
        let refused = u64::from(cluster.steering.maintenance());
        if refused > 0 && self.connection.worker.random() % 100 < refused {
            cluster.stats.upstream_rq_maintenance_mode().inc();
            return Err(LocalReply::maintenance());
        }
        Ok(())
    }

    /// Drops the share of requests that the management server wants dropped.
    pub(super) fn drop_overload(&self, cluster: &Cluster) -> Result<(), LocalReply> {
        let dropped = cluster.drop_overload();
        if drops::hits(dropped, || self.connection.worker.rng.borrow_mut()) {
            cluster.drops.drop_by_policy();
            return Err(LocalReply::drop_overload(dropped == drops::MILLION));
        }
        Ok(())
    }
}
