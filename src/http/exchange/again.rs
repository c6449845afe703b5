//! The exchange after one that ended in a redirect which is followed here: the same client, another request.

use crate::http::downstream::Downstream;
use crate::observability::format::LogType;
use crate::observability::stream_info::{StreamInfo, Timing};

use super::{Exchange, Held};

impl<D: Downstream> Exchange<'_, D> {
    /// Ends this exchange without an answer to the client, and begins one for its request as it is now. What is known
    /// of the client and of when the request came stays.
    pub(super) fn again(mut self) -> Self {
        self.log_redirect();
        let Exchange {
            connection,
            chains,
            snapshots,
            down,
            timer,
            mut headers,
            info,
            started,
            replay,
            mut redirects,
            ..
        } = self;
        headers.response.clear();
        let protocol = info.protocol.unwrap_or_default();
        let mut next = Exchange::new(connection, (chains, snapshots), down, timer, headers, protocol);
        let received = info.timing.downstream_rx_end;
        next.info = StreamInfo {
            protocol: info.protocol,
            remote: info.remote,
            timing: Timing { downstream_rx_end: received, ..Timing::default() },
            stream_id: info.stream_id,
            ..StreamInfo::new(info.start, info.start_time, info.connection)
        };
        next.started = started;
        next.deadlines.request_received();
        next.request_body = replay.map_or_else(Held::default, |replay| (*replay).into_held());
        if let Some(redirects) = &mut redirects {
            // As in Envoy what goes on is counted once more.
            redirects.received = info.bytes_received;
        }
        next.redirects = redirects;
        next.internal = self.internal;
        next.close = self.close;
        next
    }

    /// Logs an exchange whose response nobody gets, and nobody counts.
    fn log_redirect(&mut self) {
        self.note_end();
        if !self.connection.manager.access_log.is_empty() {
            self.info.downstream_wire = self.down.wire();
            self.log(LogType::DownstreamEnd);
        }
        self.end_trace();
        self.close_upstream_log();
    }
}
