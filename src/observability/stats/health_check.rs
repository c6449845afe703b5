//! Statistics of active health checks: `cluster.<name>.health_check.`

use crate::stats;

stats! {
    /// What health checks of a cluster came to; written by the control thread.
    pub struct HealthCheckStats {
        counter attempt;
        gauge degraded;
        counter failure;
        gauge healthy;
        counter network_failure;
        counter passive_failure;
        counter success;
        counter verify_cluster;
    }
}

stats! {
    /// What several checks of each host come to together; written by the control thread.
    pub struct AllChecksStats {
        gauge degraded;
        gauge healthy;
    }
}

stats! {
    /// How long Redis servers take to answer: `cluster.<name>.upstream_commands.`; written by the control thread.
    pub struct RedisCommandStats {
        histogram upstream_rq_time (Microseconds);
    }
}

stats! {
    /// What Redis servers answered to health checks; written by the control thread.
    pub struct RedisCheckStats {
        counter exists_failure;
    }
}
