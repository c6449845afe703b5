//! Bytes of a request and its response.

use crate::config::format::{Bytes, Side, WireCount};
use crate::observability::stream_info::StreamInfo;

/// How many there are of what is asked for.
pub(super) fn count(bytes: Bytes, info: &StreamInfo) -> u64 {
    match bytes {
        Bytes::Received => info.bytes_received,
        Bytes::Sent => info.bytes_sent,
        Bytes::Wire { side, sent, of } => {
            let wire = match side {
                Side::Downstream => info.downstream_wire,
                Side::Upstream => info.all_upstream_wire(),
            };
            match (of, sent) {
                (WireCount::All, false) => wire.received,
                (WireCount::All, true) => wire.sent,
                (WireCount::Headers, false) => wire.header_received,
                (WireCount::Headers, true) => wire.header_sent,
                (WireCount::DecompressedHeaders, false) => wire.decompressed_header_received,
                (WireCount::DecompressedHeaders, true) => wire.decompressed_header_sent,
            }
        }
    }
}
