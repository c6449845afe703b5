//! `DURATION` and its like, `COMMON_DURATION`.

use std::time::Duration;

use crate::config::format::{Precision, TimePoint};
use crate::observability::stream_info::StreamInfo;

use super::Given;
use super::command::number;

/// What lies between two moments; nothing if the second comes before the first, as in Envoy.
pub(super) fn write(
    from: TimePoint,
    to: TimePoint,
    precision: Precision,
    info: &StreamInfo,
    out: &mut Vec<u8>,
) -> Given {
    let length = match (from, to) {
        // What a connection took is known also when it was made for an earlier request.
        (TimePoint::UpstreamConnectStart, TimePoint::UpstreamConnectEnd) => info.timing.upstream_connect,
        // A connection was accepted before its streams began, where all else is counted from.
        (TimePoint::DownstreamConnectStart, TimePoint::DownstreamConnectStart) => Some(Duration::ZERO),
        (TimePoint::DownstreamConnectStart, to) => {
            moment(to, info).map(|to| to + info.start.saturating_duration_since(info.connection.start))
        }
        _ => moment(from, info).and_then(|from| moment(to, info)?.checked_sub(from)),
    };
    let Some(length) = length else { return Given::Nothing };
    let length = match precision {
        Precision::Milliseconds => length.as_millis(),
        Precision::Microseconds => length.as_micros(),
        Precision::Nanoseconds => length.as_nanos(),
    };
    number(length as u64, out)
}

/// How long after the stream's start it was.
fn moment(point: TimePoint, info: &StreamInfo) -> Option<Duration> {
    let timing = &info.timing;
    match point {
        TimePoint::DownstreamConnectStart => (info.start <= info.connection.start).then_some(Duration::ZERO),
        TimePoint::DownstreamConnectEnd if info.protocol.is_none() => timing.complete,
        TimePoint::DownstreamConnectEnd => None,
        TimePoint::DownstreamRxStart => Some(Duration::ZERO),
        TimePoint::DownstreamRxEnd => timing.downstream_rx_end,
        TimePoint::UpstreamConnectStart => timing.upstream_connect_start,
        TimePoint::UpstreamConnectEnd => Some(timing.upstream_connect_start? + timing.upstream_connect?),
        TimePoint::UpstreamHandshakeEnd => timing.upstream_handshake_end,
        TimePoint::UpstreamTxStart => timing.upstream_tx_start,
        TimePoint::UpstreamTxEnd => timing.upstream_tx_end,
        TimePoint::UpstreamRxStart => timing.upstream_rx_start,
        TimePoint::UpstreamRxBodyStart => timing.upstream_rx_body_start,
        TimePoint::UpstreamRxEnd => timing.upstream_rx_end,
        TimePoint::DownstreamTxStart => timing.downstream_tx_start,
        TimePoint::DownstreamTxEnd => timing.downstream_tx_end,
        // A stream that goes on has lasted until now.
        TimePoint::Complete => Some(timing.complete.unwrap_or_else(|| info.start.elapsed())),
        TimePoint::Custom => None,
    }
}
