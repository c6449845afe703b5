//! Statistics that requests have beside those of their cluster.

use crate::stats;

stats! {
    /// The requests of a virtual cluster, `vhost.<name>.vcluster.<name>.`, or of a route that has a prefix for its
    /// statistics, `vhost.<name>.route.<stat_prefix>.`
    pub struct RouteStats {
        lazy_codes upstream_rq;
        counter upstream_rq_retry;
        counter upstream_rq_retry_limit_exceeded;
        counter upstream_rq_retry_overflow;
        counter upstream_rq_retry_success;
        lazy_histogram upstream_rq_time (Milliseconds);
        counter upstream_rq_timeout;
        counter upstream_rq_total;
    }
}
