//! What may wait for the peer of a connection, of listeners and of clusters.

use std::time::Duration;

use envoy_types::pb::google::protobuf as pb;

use super::field::Scope;

/// Bytes that may wait where nothing is said, and how long that may last is.
const DEFAULT_LIMIT: u32 = 1024 * 1024;

/// What may wait for the peer of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes buffered before whoever sends them is held back; 0 means no limit, `None` leaves it to the codecs.
    ///
    /// `per_connection_buffer_limit_bytes`; 1 MiB where there is none and a timeout is, which needs a limit.
    pub limit_bytes: Option<u32>,
    /// How long more may wait than that; `None` for ever, which 0 means, too.
    ///
    /// `per_connection_buffer_high_watermark_timeout`
    pub high_watermark_timeout: Option<Duration>,
}

/// The fields of a listener or a cluster as they came.
pub(super) struct Given {
    pub(super) per_connection_buffer_limit_bytes: Option<pb::UInt32Value>,
    pub(super) per_connection_buffer_high_watermark_timeout: Option<pb::Duration>,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> Buffer {
        let limit = self.per_connection_buffer_limit_bytes;
        let timeout = at.duration(
            "per_connection_buffer_high_watermark_timeout",
            self.per_connection_buffer_high_watermark_timeout,
        );
        let high_watermark_timeout = timeout.filter(|timeout| !timeout.is_zero());
        let usual = high_watermark_timeout.map(|_| DEFAULT_LIMIT);
        Buffer { limit_bytes: limit.map(|limit| limit.value).or(usual), high_watermark_timeout }
    }
}
