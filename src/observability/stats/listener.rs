//! Statistics of a listener: `listener.<address>.`, or `listener.<stat_prefix>.` where one is configured.

use crate::stats;

stats! {
    /// A listener.
    ///
    /// The address is written with `_` for `:`, as in `listener.127.0.0.1_80.`.
    pub struct ListenerStats {
        gauge downstream_cx_active;
        counter downstream_cx_destroy;
        counter downstream_cx_overflow;
        counter downstream_cx_overload_reject;
        counter downstream_cx_total;
        counter downstream_cx_transport_socket_connect_timeout;
        counter downstream_global_cx_overflow;
        counter downstream_listener_filter_error;
        counter downstream_listener_filter_remote_close;
        gauge downstream_pre_cx_active;
        counter downstream_pre_cx_timeout;
        counter no_filter_chain_match;
        histogram connections_accepted_per_socket_event (Unspecified);
        histogram downstream_cx_length_ms (Milliseconds);
    }
}

stats! {
    /// Extension configurations that a connection needed and that had not come: under the prefix of the listener.
    pub struct ListenerExtensionStats {
        counter extension_config_missing;
        counter network_extension_config_missing;
    }
}

stats! {
    /// A listener's connections on one worker: `listener.<address>.worker_<N>.`; on the admin interface
    /// `listener.admin.main_thread.`
    pub struct ListenerWorkerStats {
        gauge downstream_cx_active;
        counter downstream_cx_total;
    }
}
