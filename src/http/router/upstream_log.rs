//! Logs of requests to hosts (`Router.upstream_log`): a line for each attempt at its end, and before that as
//! `upstream_log_options` say.
//!
//! Copies of requests have lines as well (`copy_log`). A line tells of one attempt as seen from the proxy: what was received came from the host, what was sent went there.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::fate::Fate;
use crate::base::headers::Headers;
use crate::codec::h1::client::ResponseHead;
use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::LocalReply;
use crate::http::tracing::Span;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{ResponseFlags, StreamInfo, Timing, WireBytes};
use crate::route::retry::Reset;

/// What the lines of an attempt tell, beside what is known of its exchange.
#[derive(Debug)]
pub(in crate::http) struct UpstreamEntry {
    begun: Instant,
    begun_at: SystemTime,
    /// The response as it came; 0 and nothing before it did.
    status: u16,
    response: Headers,
    flags: ResponseFlags,
    /// When the next line in between is due, of this log and of the exchange's own.
    due: Option<Instant>,
    exchange_due: Option<Instant>,
    /// Bytes of the attempts before, which as in Envoy are counted along.
    wire_before: Option<Box<WireBytes>>,
    /// Whether anybody is told of the attempt. A span that is not sampled is for its host alone.
    is_told: bool,
    /// Whether all of the response was there with its head.
    is_whole: bool,
    fate: Fate,
    /// Of the attempt; `None` where it has none.
    pub(in crate::http) span: Option<Box<dyn Span>>,
}

impl UpstreamEntry {
    /// The response has begun.
    pub(super) fn answered(&mut self, head: &ResponseHead, response: &Headers) {
        self.status = head.status;
        self.is_whole = head.end;
        if self.is_told {
            self.response.clone_from(response);
        }
    }

    /// The response goes to nobody.
    pub(super) fn passed_over(&mut self) {
        self.fate = Fate::of_passed_over(self.is_whole);
    }

    fn ended(&mut self, answered: &Result<(), Failure>) {
        self.flags.insert(flags_of(answered));
        if self.is_told && answered.is_err() {
            self.fate = Fate::of(answered, self.is_whole);
        }
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// An attempt begins.
    pub(super) fn begin_upstream_log(&mut self) {
        let span = self.begin_upstream_span();
        if self.upstream_logs.is_empty() && span.is_none() {
            return;
        }
        let is_told = !self.upstream_logs.is_empty() || span.as_ref().is_some_and(|span| span.is_sampled());
        let begun = Instant::now();
        let due = self.router.upstream_log_moments.flush_interval.map(|interval| begun + interval);
        let exchange_due = self.deadlines.set_log(None);
        self.deadlines.set_log(due.into_iter().chain(exchange_due).min());
        self.upstream_log = Some(Box::new(UpstreamEntry {
            begun,
            begun_at: SystemTime::now(),
            status: 0,
            response: Headers::new(),
            flags: ResponseFlags::default(),
            due,
            exchange_due,
            wire_before: self.info.upstream_wire_before.clone(),
            is_told,
            is_whole: false,
            fate: Fate::default(),
            span,
        }));
    }

    /// There is a connection for the attempt.
    pub(super) fn log_pool_ready(&self) {
        if self.router.upstream_log_moments.on_upstream_stream {
            self.log_upstream(LogType::UpstreamPoolReady);
        }
    }

    /// The response begins; nothing has changed its headers yet.
    pub(super) fn note_upstream_head(&mut self, head: &ResponseHead) {
        if let Some(entry) = &mut self.upstream_log {
            entry.answered(head, &self.headers.response);
        }
    }

    /// The attempt took too long.
    pub(super) fn note_upstream_timeout(&mut self, interrupt: Interrupt) {
        if let Some(entry) = &mut self.upstream_log {
            match interrupt {
                Interrupt::PerTryTimeout => entry.flags.insert(ResponseFlags::UT),
                Interrupt::PerTryIdle => entry.flags.insert(ResponseFlags::SI),
                _ => {}
            }
        }
    }

    /// The attempt is over. As in Envoy the line stands before that of the exchange, unless that is what ended it.
    pub(super) fn end_upstream_log(&mut self, answered: &Result<(), Failure>) {
        let Some(entry) = &mut self.upstream_log else { return };
        entry.ended(answered);
        let of_client = ResponseFlags::DC | ResponseFlags::DR | ResponseFlags::DPE;
        let waits = match answered {
            Err(Failure::Redirected) => true,
            Err(Failure::Abort(flags, _)) => flags.intersects(of_client),
            _ => false,
        };
        if !waits {
            self.close_upstream_log();
        }
    }

    /// The attempt is set aside: no line tells of it before its end, or before it is taken back.
    pub(super) fn put_upstream_log_away(&mut self) -> Option<Box<UpstreamEntry>> {
        let entry = self.upstream_log.take()?;
        self.deadlines.set_log(entry.exchange_due);
        Some(entry)
    }

    /// The attempt takes the place of the one in progress.
    pub(super) fn take_upstream_log_back(&mut self) {
        if let Some(entry) = &mut self.upstream_log {
            entry.exchange_due = self.deadlines.set_log(None);
            self.deadlines.set_log(entry.due.into_iter().chain(entry.exchange_due).min());
        }
    }

    /// Writes the last line of an attempt that was set aside, while it stands for the one in progress.
    pub(super) fn end_put_away_log(&mut self, answered: &Result<(), Failure>) {
        if let Some(entry) = &mut self.upstream_log {
            entry.ended(answered);
            self.log_upstream(LogType::UpstreamEnd);
            if let Some(mut entry) = self.upstream_log.take() {
                self.end_upstream_span(&mut entry);
            }
        }
    }

    /// Writes the last line of an attempt that has none yet.
    pub(in crate::http) fn close_upstream_log(&mut self) {
        self.log_upstream(LogType::UpstreamEnd);
        if let Some(mut entry) = self.upstream_log.take() {
            self.end_upstream_span(&mut entry);
            self.deadlines.set_log(entry.exchange_due);
        }
    }

    /// Writes the lines in between that are due, those of the exchange's own log among them.
    pub(in crate::http) fn log_in_between(&mut self) {
        let now = Instant::now();
        let manager = &self.connection.manager;
        let interval = manager.options.access_log_moments.flush_interval;
        let Some(entry) = &mut self.upstream_log else {
            self.log(LogType::DownstreamPeriodic);
            self.deadlines.set_log(interval.map(|interval| now + interval));
            return;
        };
        let upstream_interval = self.router.upstream_log_moments.flush_interval;
        let of_exchange = renew(&mut entry.exchange_due, now, interval);
        let of_attempt = renew(&mut entry.due, now, upstream_interval);
        self.deadlines.set_log(entry.due.into_iter().chain(entry.exchange_due).min());
        if of_exchange {
            self.log(LogType::DownstreamPeriodic);
        }
        if of_attempt {
            self.log_upstream(LogType::UpstreamPeriodic);
        }
    }

    fn log_upstream(&self, log_type: LogType) {
        let Some(entry) = self.upstream_log.as_ref().filter(|_| !self.upstream_logs.is_empty()) else {
            return;
        };
        // As in Envoy the numbers of spans are for logs of requests alone.
        let info = StreamInfo { trace_ids: None, ..self.upstream_line(entry) };
        let context = Context { log_type, ..Context::new(&info, &self.headers.request, &entry.response) };
        self.write_lines(self.upstream_logs, context);
    }

    /// Ends the span of an attempt.
    fn end_upstream_span(&self, entry: &mut UpstreamEntry) {
        if let Some(mut span) = entry.span.take().filter(|_| entry.is_told) {
            entry.fate.tell(&mut *span);
            let info = self.upstream_line(entry);
            self.finish_upstream_span(span, &info, &entry.response);
        }
    }

    /// What is known of the attempt.
    fn upstream_line(&self, entry: &UpstreamEntry) -> StreamInfo {
        let (info, before) = (&self.info, entry.begun - self.started);
        let since = |moment: Option<Duration>| moment.map(|moment| moment.saturating_sub(before));
        let timing = info.timing;
        StreamInfo {
            start: entry.begun.into_std(),
            start_time: entry.begun_at,
            protocol: info.upstream.as_ref().and_then(|upstream| upstream.protocol),
            response_code: entry.status,
            response_flags: entry.flags,
            response_code_details: Cow::Borrowed(""),
            bytes_received: info.bytes_sent,
            bytes_sent: timing.upstream_tx_start.map_or(0, |_| self.request_pump.bytes),
            timing: Timing {
                upstream_connect_start: since(timing.upstream_connect_start),
                upstream_connect: timing.upstream_connect,
                upstream_handshake_end: since(timing.upstream_handshake_end),
                upstream_tx_start: since(timing.upstream_tx_start),
                upstream_tx_end: since(timing.upstream_tx_end),
                upstream_rx_start: since(timing.upstream_rx_start),
                upstream_rx_body_start: since(timing.upstream_rx_body_start),
                upstream_rx_end: since(timing.upstream_rx_end),
                complete: Some(entry.begun.elapsed()),
                ..Timing::default()
            },
            upstream_wire_before: entry.wire_before.clone(),
            upstream_attempts: 0,
            ..info.clone()
        }
    }
}

/// Whether a line is due; the next one is after the interval then.
fn renew(due: &mut Option<Instant>, now: Instant, interval: Option<Duration>) -> bool {
    let is_due = due.is_some_and(|due| due <= now);
    if is_due {
        *due = interval.map(|interval| now + interval);
    }
    is_due
}

/// What went wrong with the host.
fn flags_of(answered: &Result<(), Failure>) -> ResponseFlags {
    match answered {
        Err(Failure::Reply(reply)) => flags_of_reply(reply),
        Err(Failure::Abort(flags, _)) => of_host(*flags),
        _ => ResponseFlags::default(),
    }
}

/// What went wrong with the host, if this stands in place of its response.
pub(super) fn flags_of_reply(reply: &LocalReply) -> ResponseFlags {
    match reply.reset {
        Some(reset) if reset != Reset::TimedOut => of_host(reply.flags),
        Some(_) | None => ResponseFlags::default(),
    }
}

/// Those of the flags that say what a host did.
fn of_host(told: ResponseFlags) -> ResponseFlags {
    let of_host = [
        ResponseFlags::UF,
        ResponseFlags::UC,
        ResponseFlags::UR,
        ResponseFlags::UPE,
        ResponseFlags::UO,
        ResponseFlags::LR,
    ];
    let mut flags = ResponseFlags::default();
    of_host.into_iter().filter(|flag| told.intersects(*flag)).for_each(|flag| flags.insert(flag));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_blamed_for_what_it_did() {
        for (answered, expected) in [
            (Ok(()), "-"),
            (Err(Failure::Redirected), "-"),
            (Err(LocalReply::upstream_timeout().into()), "-"),
            (Err(Failure::Abort(ResponseFlags::DC, "")), "-"),
            (Err(Failure::Abort(ResponseFlags::UC, "")), "UC"),
        ] {
            assert_eq!(flags_of(&answered).to_string(), expected);
        }
    }

    #[test]
    fn a_line_that_was_due_is_due_again_after_the_interval() {
        let (now, interval) = (Instant::now(), Duration::from_secs(2));
        let mut due = Some(now + interval);
        assert!(!renew(&mut due, now, Some(interval)));
        assert!(renew(&mut due, now + interval, Some(interval)));
        assert_eq!(due, Some(now + 2 * interval));
        assert!(!renew(&mut None, now, Some(interval)));
    }
}
