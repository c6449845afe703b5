//! Statistics of codecs: `http1.` and `http2.` for all downstream connections, and the same below each cluster.
//!
//! Envoy shows those of a protocol from its first connection on. Counters that tell of what this codec cannot do
//! (two HTTP/2 libraries) are there, as dashboards expect them, and stay zero.

use std::sync::{Arc, OnceLock};

use crate::stats;

use super::Registry;

stats! {
    /// The HTTP/1.1 codec: `http1.` for all downstream connections, `cluster.<name>.http1.` upstream.
    pub struct Http1Stats {
        counter dropped_headers_with_underscores;
        counter metadata_not_supported_error;
        counter requests_rejected_with_underscores_in_headers;
        counter response_flood;
    }
}

stats! {
    /// The HTTP/2 codec: `http2.` for all downstream connections, `cluster.<name>.http2.` upstream.
    pub struct Http2Stats {
        counter cookies_total_bytes_too_large;
        gauge deferred_stream_close;
        counter dropped_headers_with_underscores;
        counter goaway_sent;
        counter header_list_size_too_large;
        counter header_overflow;
        counter headers_cb_no_stream;
        counter inbound_empty_frames_flood;
        counter inbound_priority_frames_flood;
        counter inbound_window_update_frames_flood;
        counter keepalive_timeout;
        counter metadata_empty_frames;
        counter nghttp2_downstream_connections;
        counter nghttp2_upstream_connections;
        counter oghttp2_downstream_connections;
        counter oghttp2_upstream_connections;
        counter outbound_control_flood;
        gauge outbound_control_frames_active;
        counter outbound_flood;
        gauge outbound_frames_active;
        gauge pending_send_bytes;
        counter requests_rejected_with_underscores_in_headers;
        counter rx_messaging_error;
        counter rx_reset;
        counter stream_refused_errors;
        gauge streams_active;
        counter trailers;
        counter tx_flush_timeout;
        counter tx_reset;
        histogram cookie_count (Unspecified);
        histogram cookie_size (Unspecified);
        histogram header_count (Unspecified);
        histogram header_list_size (Unspecified);
    }
}

/// The codecs' statistics of one scope, each made when its protocol is first spoken. A clone is another handle.
#[derive(Clone, Debug)]
pub struct CodecStats {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    prefix: Box<str>,
    http1: OnceLock<Http1Stats>,
    http2: OnceLock<Http2Stats>,
}

impl CodecStats {
    /// Those below `prefix`: empty for downstream, `cluster.<name>.` for a cluster.
    pub fn new(registry: &Registry, prefix: &str) -> Self {
        CodecStats {
            inner: Arc::new(Inner {
                registry: registry.clone(),
                prefix: prefix.into(),
                http1: OnceLock::new(),
                http2: OnceLock::new(),
            }),
        }
    }

    /// HTTP/1.1, which is spoken from now on.
    pub fn http1(&self) -> &Http1Stats {
        let Inner { registry, prefix, http1, .. } = &*self.inner;
        http1.get_or_init(|| Http1Stats::new(registry, &format!("{prefix}http1.")))
    }

    /// HTTP/2, which is spoken from now on.
    pub fn http2(&self) -> &Http2Stats {
        let Inner { registry, prefix, http2, .. } = &*self.inner;
        http2.get_or_init(|| Http2Stats::new(registry, &format!("{prefix}http2.")))
    }
}
