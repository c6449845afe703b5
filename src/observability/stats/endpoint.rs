//! Statistics of one host: `cluster.<name>.endpoint.<address>.`, where the cluster asks for them.

use crate::stats;

stats! {
    /// A host.
    ///
    /// The address is written with `_` for `:`, as in `cluster.app.endpoint.127.0.0.1_80.`.
    pub struct EndpointStats {
        gauge cx_active;
        counter cx_connect_fail;
        counter cx_total;
        gauge healthy;
        gauge rq_active;
        counter rq_error;
        gauge rq_pending_active;
        counter rq_success;
        counter rq_timeout;
        counter rq_total;
    }
}
