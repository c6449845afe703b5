//! The end of an exchange: its last answer, its counts and its access log.

use std::borrow::Cow;
use std::time::Duration;

use crate::codec::{CONNECT_ERROR, INTERNAL_ERROR};
use crate::config::runtime::Draw;
use crate::http::downstream::Downstream;
use crate::observability::access_log::AccessLog;
use crate::observability::format::{self, LogType};
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::Levels;

use super::{After, Exchange, Failure};

/// The details of a response that was made well, and that its client did not take in time.
pub(super) const FLUSHED: &str = "via_upstream";

/// The details of a stream whose connection this end closes, for its client was waited for too long.
const OVERFULL: &str = "downstream_local_disconnect(buffer_high_watermark_timeout_reached)";

/// As what the end of a stream is counted.
#[derive(Clone, Copy, Debug)]
enum Resets {
    None,
    /// `downstream_rq_rx_reset`
    One,
    /// `downstream_rq_tx_reset` as well
    Both,
}

impl<D: Downstream> Exchange<'_, D> {
    /// Ends the exchange as `served` says.
    pub(super) async fn conclude(mut self, served: Result<(), Failure>, levels: Option<Levels<'_>>) -> After {
        let (mut aborted, mut resets) = (None, None);
        match served {
            // Another exchange follows a redirect; after a discovery this one goes on.
            Ok(()) | Err(Failure::Redirected | Failure::GaveWay | Failure::Discovered) => {}
            Err(Failure::Reply(reply)) => self.send_reply(*reply, levels).await,
            Err(Failure::Abort(flags, details)) => {
                let (flags, details) = match self.down.flood() {
                    Some(flood) => (ResponseFlags::DPE, flood.details()),
                    None if self.down.is_overfull() => (ResponseFlags::DC, OVERFULL),
                    None => (flags, details),
                };
                self.info.response_flags.insert(flags);
                self.info.response_code_details = Cow::Borrowed(details);
                aborted = Some(flags);
                resets = Some(self.resets_of(flags, details));
                self.down.abort(self.reset_code(flags));
            }
        }
        let after = match aborted {
            Some(flags) if flags.intersects(ResponseFlags::DC) => After::Left,
            Some(_) if !self.response_started => After::GivenUp,
            Some(flags) if flags.intersects(ResponseFlags::DPE) => After::Broken,
            Some(_) => After::Abort,
            None if self.close || !self.down.request_is_complete() => After::Close,
            None => After::KeepAlive,
        };
        let logs = &self.connection.manager.access_log;
        if D::MULTIPLEXED && self.response_started && logs.iter().any(AccessLog::tells_wire_bytes) {
            // What is queued is framed by the connection's task. A client that is gone has been told what it got.
            self.until(|this, cx| this.down.poll_sent(cx)).await.unwrap_or_default();
        }
        let unread = || if self.request_is_over() { Resets::None } else { Resets::One };
        self.count_resets(resets.unwrap_or_else(unread));
        self.finish();
        after
    }

    /// What an exchange that ends before its time counts: a response that is complete but for its client ends in it.
    fn resets_of(&self, flags: ResponseFlags, details: &str) -> Resets {
        let of_client = ResponseFlags::DC | ResponseFlags::DR | ResponseFlags::DPE;
        if details == FLUSHED {
            Resets::None
        } else if self.response_started && !flags.intersects(of_client) {
            Resets::Both
        } else {
            Resets::One
        }
    }

    /// Whether all of the request has come. Of one that asks for a tunnel that is the end of what the client sends into it;
    /// one that cannot be read has not come, as in Envoy.
    pub(super) fn request_is_over(&self) -> bool {
        let complete =
            if self.asks_tunnel() { self.request_pump.is_ended() } else { self.down.request_is_complete() };
        self.admitted && complete
    }

    /// Counts that the stream was reset, as Envoy does: every stream that ends before both messages have is one that the
    /// client is said to have reset, and those whose response is cut off here are counted once more.
    fn count_resets(&self, resets: Resets) {
        let stats = &self.connection.manager.stats;
        match resets {
            Resets::None => {}
            Resets::One => stats.downstream_rq_rx_reset().inc(),
            Resets::Both => {
                stats.downstream_rq_rx_reset().inc();
                stats.downstream_rq_tx_reset().inc();
            }
        }
    }

    /// What a client of HTTP/2 is told when its stream breaks for this (RFC 9113 §8.5 of a CONNECT).
    fn reset_code(&self, flags: ResponseFlags) -> u32 {
        let of_host = ResponseFlags::UC | ResponseFlags::UF;
        if self.asks_tunnel() && flags.intersects(of_host) { CONNECT_ERROR } else { INTERNAL_ERROR }
    }

    /// Counts and logs the exchange.
    fn finish(mut self) {
        let elapsed = self.note_end();
        let manager = &self.connection.manager;
        let stats = &manager.stats;
        if self.response_started {
            self.info.timing.downstream_tx_end.get_or_insert(elapsed);
        }
        if self.response_started && !self.info.health_check {
            stats.count_response(self.info.response_code);
            manager.listener_stats.count_response(self.info.response_code);
        }
        if self.info.health_check {
            manager.tracing_stats.tracing_health_check().inc();
        }
        if !manager.access_log.is_empty() {
            self.info.downstream_wire = self.down.wire();
            self.log(LogType::DownstreamEnd);
        }
        self.end_trace();
        self.close_upstream_log();
        self.connection.worker.return_headers(self.headers);
    }

    /// Notes what is known at the end; gives how long it took.
    pub(super) fn note_end(&mut self) -> Duration {
        // What is sent again was received once.
        let passed = self.replay.as_ref().map_or(self.request_pump.bytes, |replay| replay.received());
        let before = self.redirects.as_ref().map_or(0, |redirects| redirects.received);
        self.info.bytes_received = before + passed + self.request_body.bytes();
        let elapsed = self.started.elapsed();
        self.info.timing.complete = Some(elapsed);
        self.connection.manager.stats.downstream_rq_time().record(elapsed.as_millis() as u64);
        if let Some(stats) = &self.connection.manager.route_resolution {
            let took = self.info.route_resolution_time.unwrap_or_default().as_micros() as u64;
            stats.downstream_rq_route_resolution_time_us().record(took);
            stats.downstream_rq_route_resolutions().record(self.info.route_resolutions.into());
        }
        elapsed
    }

    /// Writes a line in each access log.
    pub(in crate::http) fn log(&self, log_type: LogType) {
        let context = format::Context {
            log_type,
            ..format::Context::new(&self.info, &self.headers.request, &self.headers.response)
        };
        self.write_lines(&self.connection.manager.access_log, context);
    }

    /// Writes a line in each of these logs.
    pub(in crate::http) fn write_lines(&self, logs: &[AccessLog], context: format::Context<'_>) {
        let context = match &self.response_trailers {
            Some(trailers) => format::Context { response_trailers: trailers, ..context },
            None => context,
        };
        let worker = &self.connection.worker;
        let snapshot = worker.snapshot();
        let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
        for log in logs {
            log.write(&context, draw);
        }
    }
}
