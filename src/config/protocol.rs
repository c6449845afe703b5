//! Protocol options: `envoy.config.core.v3.Http1ProtocolOptions` and `Http2ProtocolOptions`.

/// `envoy.config.core.v3.Http1ProtocolOptions`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http1Options {
    /// Accept requests whose target is an absolute URL; true when absent.
    pub allow_absolute_url: Option<bool>,
    /// Serve HTTP/1.0.
    pub accept_http_10: bool,
    /// `Host` of HTTP/1.0 requests without one.
    pub default_host_for_http_10: String,
    /// Forward trailers.
    pub enable_trailers: bool,
    /// Accept `Transfer-Encoding` with `Content-Length` by removing the latter.
    pub allow_chunked_length: bool,
}

/// `envoy.config.core.v3.Http2ProtocolOptions`, with Envoy's defaults put in.
#[derive(Clone, Debug, PartialEq)]
pub struct Http2Options {
    /// 4,096 by default; 0 switches HPACK's dynamic table off.
    pub hpack_table_size: u32,
    /// Streams at once, 1 to 2^31-1; 1,024 by default.
    pub max_concurrent_streams: u32,
    /// Bytes, 65,535 to 2^31-1; 16 MiB by default.
    pub initial_stream_window_size: u32,
    /// Bytes, 65,535 to 2^31-1; 24 MiB by default.
    pub initial_connection_window_size: u32,
    /// Accept extended CONNECT (RFC 8441).
    pub allow_connect: bool,
    /// Frames without payload accepted in a row.
    pub max_consecutive_inbound_frames_with_empty_payload: u32,
    /// Answer a message that breaks HTTP's rules by resetting its stream, not the connection.
    pub override_stream_error_on_invalid_http_message: Option<bool>,
    /// Pings to find dead connections.
    pub connection_keepalive: Option<KeepaliveSettings>,
}

/// `envoy.config.core.v3.KeepaliveSettings`
#[derive(Clone, Debug, PartialEq)]
pub struct KeepaliveSettings {
    /// Time between pings; `None` leaves them off.
    pub interval: Option<std::time::Duration>,
    /// Time for the answer.
    pub timeout: std::time::Duration,
}

impl Default for Http2Options {
    fn default() -> Self {
        Http2Options {
            hpack_table_size: 4096,
            max_concurrent_streams: 1024,
            initial_stream_window_size: 16 * 1024 * 1024,
            initial_connection_window_size: 24 * 1024 * 1024,
            allow_connect: false,
            max_consecutive_inbound_frames_with_empty_payload: 1,
            override_stream_error_on_invalid_http_message: None,
            connection_keepalive: None,
        }
    }
}
