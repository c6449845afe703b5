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

stats! {
    /// What the TLS inspectors of all listeners found: `tls_inspector.`
    pub struct TlsInspectorStats {
        counter alpn_found;
        counter alpn_not_found;
        counter client_hello_too_large;
        counter sni_found;
        counter sni_not_found;
        counter tls_found;
        counter tls_not_found;
        histogram bytes_processed (Bytes);
    }
}

stats! {
    /// What the HTTP inspectors of all listeners found: `http_inspector.`
    pub struct HttpInspectorStats {
        counter http10_found;
        counter http11_found;
        counter http2_found;
        counter http_not_found;
        counter read_error;
    }
}

stats! {
    /// Connections that came too fast: `listener_local_ratelimit.<stat_prefix>.`
    pub struct ListenerRateLimitStats {
        counter rate_limited;
    }
}

stats! {
    /// Connections without a header of the PROXY protocol: `proxy_proto.`, and the filter's own prefix.
    pub struct ProxyProtocolStats {
        counter not_found_allowed;
        counter not_found_disallowed;
    }
}

stats! {
    /// Connections that ended for want of a header that can be read, under all filters of the process. Envoy keeps it for
    /// those who look for its older name.
    pub struct ProxyProtocolErrorStats {
        counter downstream_cx_proxy_proto_error;
    }
}

stats! {
    /// Headers of one version of the PROXY protocol: `proxy_proto.versions.v1.`
    pub struct ProxyProtocolVersionStats {
        counter disallowed;
        counter error;
        counter found;
    }
}
