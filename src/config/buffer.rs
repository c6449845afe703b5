//! What may wait for the peer of a connection, of listeners and of clusters.

use std::time::Duration;

use envoy_types::pb::google::protobuf as pb;

use super::field::Scope;

/// Bytes that may wait where nothing is said, and how long that may last is.
const DEFAULT_LIMIT: u32 = 1024 * 1024;

/// What may wait for the peer of a connection.
pub(super) struct Buffer {
    /// `per_connection_buffer_limit_bytes`; 1 MiB where there is none and a timeout is, which needs a limit.
    pub(super) limit_bytes: Option<u32>,
    /// `per_connection_buffer_high_watermark_timeout`; none where it is 0.
    pub(super) high_watermark_timeout: Option<Duration>,
}

impl Buffer {
    /// From the fields of a listener or a cluster.
    pub(super) fn from_fields(
        limit: Option<pb::UInt32Value>,
        timeout: Option<pb::Duration>,
        at: &mut Scope<'_>,
    ) -> Self {
        let timeout = at.duration("per_connection_buffer_high_watermark_timeout", timeout);
        let high_watermark_timeout = timeout.filter(|timeout| !timeout.is_zero());
        let usual = high_watermark_timeout.map(|_| DEFAULT_LIMIT);
        Buffer { limit_bytes: limit.map(|limit| limit.value).or(usual), high_watermark_timeout }
    }
}
