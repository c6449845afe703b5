//! Attempts that go on beside another of their request (`HedgePolicy.hedge_on_per_try_timeout`): one whose time is over is
//! set aside when another follows, and the first of them all that answers well is the one whose response is passed on.
//!
//! The attempt in progress is polled by its exchange. Those that were set aside have nothing left to do but to send what
//! is left of the request and to wait for their heads, and are polled wherever that exchange waits; one that
//! answers takes the place of the attempt in progress. A response that calls for another attempt counts only when no
//! other can come any more.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use crate::base::headers::Headers;
use crate::codec::h1::client::ResponseHead;
use crate::config::route::RouteAction;
use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::route::mutation::Levels;
use crate::route::retry::Pause;
use crate::upstream::Cluster;
use crate::upstream::pool::HostPool;

use super::aside::{Answered, Aside};
use super::retry::Attempts;

impl<D: Downstream> Exchange<'_, D> {
    /// Whether an attempt goes on though a time is over.
    pub(super) fn goes_on(&self, interrupt: Interrupt) -> bool {
        self.hedges && matches!(interrupt, Interrupt::PerTryTimeout | Interrupt::PerTryIdle)
    }

    /// Sees to another attempt beside one whose time is over; whether there is one.
    pub(super) fn hedge(
        &mut self,
        interrupt: Interrupt,
        pool: &HostPool,
        action: &RouteAction,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> bool {
        self.note_upstream_timeout(interrupt);
        self.report_timeout(interrupt, pool, true);
        self.deadlines.soften(interrupt);
        let Some(attempts) = attempts else { return false };
        attempts.note_late();
        // Whatever the policy says, as in Envoy: nothing has failed yet.
        let aggregate = self.aggregate.clone();
        let cluster = aggregate.as_ref().unwrap_or(&pool.cluster);
        attempts.sets_aside = self.decide(attempts, Some(Pause::BackOff), cluster, action);
        attempts.sets_aside
    }

    /// Ready when an attempt that was set aside has answered, in place of the one in progress.
    pub(super) fn poll_overtaken(
        &mut self,
        attempts: &mut Option<Box<Attempts<'_>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Failure> {
        match attempts {
            Some(attempts) if attempts.has_asides() => self.poll_asides(attempts, true, cx),
            _ => Poll::Pending,
        }
    }

    /// Ready when an attempt that was set aside has answered, or else when all have failed and no other is `awaited`: then
    /// with the last one's failure.
    pub(super) fn poll_asides(
        &mut self,
        attempts: &mut Attempts<'_>,
        awaited: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Failure> {
        let mut at = 0;
        while let Some(aside) = attempts.asides.get_mut(at) {
            let Poll::Ready(answer) = self.poll_aside(aside, attempts.levels, cx) else {
                at += 1;
                continue;
            };
            let aside = attempts.asides.remove(at);
            self.watch_asides(attempts);
            let is_last = !awaited && attempts.asides.is_empty();
            match answer {
                Ok(head) if !is_last && attempts.wants_another(&head, &aside.response) => {
                    self.pass_over(aside, head);
                }
                Ok(head) => {
                    attempts.answered = Some(Box::new((aside, head)));
                    return Poll::Ready(Failure::GaveWay);
                }
                Err(failure) => {
                    let failed = Err(failure);
                    self.count_for_host(&aside.pool.host, &failed);
                    if is_last {
                        self.close_aside(aside, &failed);
                        return failed.map_or_else(Poll::Ready, |()| Poll::Pending);
                    }
                    self.note_beside(Some(&aside.pool));
                    self.count_for_cluster(&aside.cluster, attempts.levels, &failed);
                    self.close_aside(aside, &failed);
                }
            }
        }
        Poll::Pending
    }

    /// Ends all attempts that were set aside.
    pub(super) fn close_asides(&mut self, attempts: &mut Attempts<'_>) {
        for aside in std::mem::take(&mut attempts.asides) {
            self.close_aside(aside, &Err(Failure::GaveWay));
        }
        self.watch_asides(attempts);
    }

    /// Ends all attempts that were set aside because of `interrupt`; of a response that took too long each is counted, of a
    /// stream that lasted too long that one.
    pub(super) fn interrupt_asides(&mut self, attempts: &mut Attempts<'_>, interrupt: Interrupt) {
        if interrupt == Interrupt::AsideDuration {
            let first =
                attempts.asides.iter().filter(|aside| aside.end.is_some()).min_by_key(|aside| aside.end);
            first.into_iter().for_each(|aside| aside.cluster.stats.upstream_rq_max_duration_reached().inc());
        }
        if interrupt != Interrupt::ResponseTimeout {
            return self.close_asides(attempts);
        }
        for aside in std::mem::take(&mut attempts.asides) {
            self.count_timeout(interrupt, &aside.pool, attempts.levels);
            let late = Err(self.late_reply().into());
            self.count_for_host(&aside.pool.host, &late);
            self.note_beside(Some(&aside.pool));
            self.count_for_cluster(&aside.cluster, attempts.levels, &late);
            self.close_aside(aside, &Err(Failure::GaveWay));
        }
    }

    /// Whether an attempt without a response leaves the answer to others of its request. It is counted then.
    pub(super) fn leaves_to_others(
        &mut self,
        attempts: &Option<Box<Attempts<'_>>>,
        cluster: &Cluster,
        answered: &Result<(), Failure>,
    ) -> bool {
        let (Some(attempts), Err(Failure::Reply(reply))) = (attempts, answered) else { return false };
        let leaves = attempts.has_asides() && !attempts.has_next() && reply.reset.is_some();
        if leaves {
            self.count_for_cluster(cluster, attempts.levels, answered);
        }
        leaves
    }

    /// What comes of a request of which attempts were set aside when no other begins any more, and of which cluster.
    pub(super) async fn settle_asides<'p>(
        &mut self,
        attempts: &mut Option<Box<Attempts<'p>>>,
        answered: Result<(), Failure>,
        action: &RouteAction,
        levels: Levels<'_>,
    ) -> (Option<Arc<Cluster>>, Result<(), Failure>) {
        let Some(this) = attempts else { return (None, answered) };
        if !matches!(answered, Err(Failure::GaveWay)) {
            self.close_asides(this);
            return (None, answered);
        }
        if this.answered.is_none() {
            let last = this.asides.last().map(|aside| Arc::clone(&aside.cluster));
            match self.until(|exchange, cx| exchange.poll_asides(this, false, cx)).await {
                Ok(Failure::GaveWay) => {}
                Ok(failure) => return (last, Err(failure)),
                Err(interrupt) => {
                    self.interrupt_asides(this, interrupt);
                    return (None, Err(self.interrupted_between(interrupt)));
                }
            }
        }
        match this.answered.take() {
            Some(answered) => self.take_over(*answered, attempts, action, levels).await,
            None => (None, answered),
        }
    }

    /// Passes on the response of an attempt that was set aside.
    async fn take_over<'p>(
        &mut self,
        (mut aside, head): Answered<'p>,
        attempts: &mut Option<Box<Attempts<'p>>>,
        action: &RouteAction,
        levels: Levels<'_>,
    ) -> (Option<Arc<Cluster>>, Result<(), Failure>) {
        self.swap(&mut aside);
        std::mem::swap(&mut self.headers.response, &mut aside.response);
        self.take_upstream_log_back();
        self.deadlines.attempt_over();
        let begun = self.started + self.info.timing.upstream_tx_start.unwrap_or_default();
        self.deadlines.stream_begun(begun, aside.pool.cluster.config.http.max_stream_duration);
        let Aside { pool, cluster, mut upstream, counted: _counted, known, tracked, number, .. } = aside;
        let result = self.converse(&pool, &mut upstream, action, levels, attempts, Some(head)).await;
        self.note_end_of_stream(&mut upstream, &result);
        self.end_upstream_log(&result);
        if let Some(tracked) = tracked {
            self.record_attempt(&cluster, &tracked, &result, false);
        }
        self.count_for_host(&pool.host, &result);
        if number != self.info.upstream_attempts {
            // As in Envoy the bytes are counted that were sent before the last attempt, and those of that.
            self.info.upstream_wire = known.wire;
        }
        if let Some(attempts) = attempts {
            self.close_asides(attempts);
        }
        (Some(cluster), result)
    }
}

impl Attempts<'_> {
    /// Whether attempts were set aside.
    pub(super) fn has_asides(&self) -> bool {
        !self.asides.is_empty() || self.answered.is_some()
    }

    /// Whether a response calls for another attempt, if there were one.
    fn wants_another(&self, head: &ResponseHead, response: &Headers) -> bool {
        !head.is_interim()
            && self.tries.retries.of_response(head.status, response, SystemTime::now()).is_some()
    }
}
