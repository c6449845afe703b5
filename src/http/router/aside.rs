//! One attempt that was set aside: what is kept of it, and what becomes of it.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::codec::Pump;
use crate::codec::h1::client::ResponseHead;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::LocalReply;
use crate::http::upstream::Upstream;
use crate::observability::stream_info::{Timing, UpstreamInfo, WireBytes};
use crate::route::mutation::Levels;
use crate::upstream::Cluster;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::pool::HostPool;

use super::accounting::{InProgress, note_fault};
use super::passive;
use super::retry::Attempts;
use super::tracked::Tracked;
use super::upstream_log::UpstreamEntry;

/// An attempt that was set aside.
#[derive(Debug)]
pub(super) struct Aside<'f> {
    pub(super) pool: Rc<HostPool>,
    /// The cluster that it is for.
    pub(super) cluster: Arc<Cluster>,
    pub(super) upstream: Upstream<'f>,
    /// Its place among the requests of its cluster, and what counts it as active.
    pub(super) counted: (Guard, InProgress),
    pub(super) known: Known,
    /// The head of its response, as far as it has come.
    pub(super) response: Headers,
    /// Pieces of the request's body that it was given.
    place: usize,
    /// What its cluster records of it, where that does.
    pub(super) tracked: Option<Tracked>,
    /// Attempts when it was the last.
    pub(super) number: u32,
    /// The end of the longest time of its stream.
    pub(super) end: Option<Instant>,
}

/// What an exchange knows of the attempt in progress alone.
#[derive(Debug)]
pub(super) struct Known {
    upstream: Option<UpstreamInfo>,
    timing: Timing,
    pub(super) wire: WireBytes,
    pump: Pump,
    log: Option<Box<UpstreamEntry>>,
    aggregate: Option<Arc<Cluster>>,
}

/// An attempt that was set aside and has answered.
pub(super) type Answered<'f> = (Aside<'f>, ResponseHead);

impl<D: Downstream> Exchange<'_, D> {
    /// Sets the attempt in progress aside.
    pub(super) fn set_aside<'f>(
        &mut self,
        attempts: &mut Attempts<'f>,
        pool: &Rc<HostPool>,
        upstream: Upstream<'f>,
        counted: (Guard, InProgress),
    ) {
        let mut place = 0;
        if let Some(replay) = &mut self.replay {
            replay.lift_limit();
            replay.swap_place(&mut place);
        }
        let known = Known {
            upstream: self.info.upstream.clone(),
            timing: self.info.timing,
            wire: WireBytes::default(),
            pump: std::mem::replace(&mut self.request_pump, Pump::ended()),
            log: self.put_upstream_log_away(),
            aggregate: self.aggregate.clone(),
        };
        self.info.upstream_wire = upstream.carrier.wire();
        let number = self.info.upstream_attempts;
        let (pool, response) = (Rc::clone(pool), Headers::new());
        let cluster = Arc::clone(self.charged(&pool));
        attempts.asides.push(Aside {
            pool,
            cluster,
            upstream,
            counted,
            known,
            response,
            place,
            tracked: None,
            number,
            end: self.deadlines.stream_end(),
        });
        self.watch_asides(attempts);
    }

    /// Sees to it that the stream of no attempt that was set aside lasts too long.
    pub(super) fn watch_asides(&mut self, attempts: &Attempts<'_>) {
        self.deadlines.watch_asides(attempts.asides.iter().filter_map(|aside| aside.end).min());
    }

    /// Moves the request of an attempt that was set aside until the head of its response is there, and has passed the
    /// filters before its host.
    pub(super) fn poll_aside(
        &mut self,
        aside: &mut Aside<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, Failure>> {
        self.swap(aside);
        // What is wrong with the client is found elsewhere; what is wrong with the host is found in reading.
        let was_ended = self.request_pump.is_ended();
        let sent = self.pump_request(&mut aside.upstream, levels, cx);
        if !was_ended && sent.is_ready() {
            self.info.timing.upstream_tx_end = Some(self.started.elapsed());
        }
        self.swap(aside);
        let head =
            ready!(aside.upstream.carrier.poll_head(cx, &mut aside.response, true)).map_err(|error| {
                note_fault(&self.connection.worker, error, &mut aside.upstream.carrier, &aside.pool);
                LocalReply::broken_upstream(error)
            })?;
        if !head.is_interim() && aside.upstream.hosted.is_some() {
            self.filter_aside(aside, levels, &head)?;
        }
        Poll::Ready(Ok(head))
    }

    /// Shows the response's headers to the filters before its host, while it stands for the one in progress.
    fn filter_aside(
        &mut self,
        aside: &mut Aside<'_>,
        levels: Levels<'_>,
        head: &ResponseHead,
    ) -> Result<(), Failure> {
        self.swap(aside);
        std::mem::swap(&mut self.headers.response, &mut aside.response);
        let passed = self.filter_from_host(&mut aside.upstream, levels, head);
        std::mem::swap(&mut self.headers.response, &mut aside.response);
        self.swap(aside);
        passed
    }

    /// Passes a response over, as there may be a better one.
    pub(super) fn pass_over(&mut self, mut aside: Aside<'_>, head: ResponseHead) {
        passive::hear(&aside.pool, &aside.response);
        passive::report(&self.connection.worker, &aside.pool, || {
            passive::answered(&aside.pool, head.status, &self.headers.request, &aside.response)
        });
        aside.pool.host.stats.count_response(false);
        if let Some(entry) = &mut aside.known.log {
            entry.answered(&head, &aside.response);
            entry.passed_over();
        }
        self.close_aside(aside, &Ok(()));
    }

    /// Exchanges what is known of the attempt in progress with what is known of one that was set aside.
    pub(super) fn swap(&mut self, aside: &mut Aside<'_>) {
        let known = &mut aside.known;
        std::mem::swap(&mut self.info.upstream, &mut known.upstream);
        std::mem::swap(&mut self.info.timing, &mut known.timing);
        std::mem::swap(&mut self.info.upstream_wire, &mut known.wire);
        std::mem::swap(&mut self.request_pump, &mut known.pump);
        std::mem::swap(&mut self.upstream_log, &mut known.log);
        std::mem::swap(&mut self.aggregate, &mut known.aggregate);
        if let Some(replay) = &mut self.replay {
            replay.swap_place(&mut aside.place);
        }
    }

    /// Ends an attempt that was set aside.
    pub(super) fn close_aside(&mut self, mut aside: Aside<'_>, answered: &Result<(), Failure>) {
        aside.known.wire = aside.upstream.carrier.wire();
        self.swap(&mut aside);
        self.end_put_away_log(answered);
        if let Some(tracked) = &aside.tracked {
            self.record_attempt(&aside.cluster, tracked, answered, true);
        }
        self.swap(&mut aside);
    }
}
