//! The headers of a request and of its response on their way through the filters, and what filters hold of them.

use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;

use crate::codec::Frame;
use crate::http::downstream::Downstream;
use crate::http::filter::{HttpFilter, Step, Stream, WHOLE_BUFFER, unfold};
use crate::http::local_reply::LocalReply;
use crate::http::sanitize;
use crate::route::mutation::Levels;

use super::passing::{Way, poll_fresh, through};
use super::{Exchange, Failure, Interrupt, Watch};

impl<'c, D: Downstream> Exchange<'c, D> {
    /// Takes the request's headers through the filters that its route leaves in the chain.
    pub(super) async fn filter_request(&mut self, levels: Option<Levels<'c>>) -> Result<(), Failure> {
        self.start_span();
        self.begin_filtering(levels);
        for number in self.passed.. {
            let bodiless = self.request_is_bodiless();
            let Exchange { connection, down, timer, deadlines, headers, info, filters, passed, .. } = self;
            let mut stream = Stream::new(headers, info, &connection.worker, levels).without_body(bodiless);
            unfold(filters, number, &mut stream, levels);
            let Some(filter) = filters.get_mut(number) else { break };
            *passed = number + 1;
            let watch = Watch { down: *down, timer, deadlines };
            let step = filter.request_headers(&mut stream);
            let waits = matches!(step, Step::Wait(_));
            let taken = watch.take(step).await;
            if waits && taken.is_ok() {
                self.read_meanwhile(number, levels)?;
            }
            match self.settle(taken)? {
                Taken::Passed => self.catch_up(Way::Request, number, levels),
                Taken::Undiscovered => {
                    let discovered = self.discover().await;
                    self.read_meanwhile(number, levels)?;
                    if let Err(failure) = discovered {
                        // It is asked again with the route that is found.
                        self.passed = number;
                        return Err(failure);
                    }
                }
                Taken::Held(limit) => self.hold_request(number, limit, levels).await?,
            }
        }
        Ok(())
    }

    /// Whether nothing follows the request's headers.
    pub(in crate::http) fn request_is_bodiless(&self) -> bool {
        let is_kept = self.replay.as_ref().is_some_and(|replay| !replay.is_empty());
        self.down.request_is_complete() && self.request_body.is_empty() && !is_kept
    }

    /// Takes the response's headers through the filters, the last first. `more` gives what follows them. Those of an
    /// answer that takes a response's place have passed.
    pub(in crate::http) async fn filter_response(
        &mut self,
        levels: Option<Levels<'_>>,
        bodiless: bool,
        mut more: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<Option<Frame>, Failure>>,
    ) -> Result<(), Failure> {
        if std::mem::replace(&mut self.response_filtered, true) {
            return Ok(());
        }
        self.begin_filtering(None);
        for number in (0..self.filters.len()).rev() {
            let Exchange { connection, down, timer, deadlines, headers, info, filters, .. } = self;
            let mut stream = Stream::new(headers, info, &connection.worker, levels).without_body(bodiless);
            let watch = Watch { down: *down, timer, deadlines };
            let taken = watch.take(filters[number].response_headers(&mut stream)).await;
            match self.settle(taken)? {
                Taken::Passed | Taken::Undiscovered => self.catch_up(Way::Response, number, levels),
                Taken::Held(limit) => self.hold_response(number, limit, levels, &mut more).await?,
            }
        }
        Ok(())
    }

    /// Reads what has come of the request's body while a filter waited, as far as the connection's buffer holds it: a request
    /// that is answered then may have come as a whole.
    fn read_meanwhile(&mut self, number: usize, levels: Option<Levels<'_>>) -> Result<(), Failure> {
        if self.down.request_is_complete() || self.asks_tunnel() {
            return Ok(());
        }
        let limit = self.connection_buffer();
        let Exchange { connection, down, deadlines, headers, info, filters, request_body, .. } = self;
        let action = connection.manager.options.common.headers_with_underscores_action;
        let mut stream = Stream::new(headers, info, &connection.worker, levels);
        let before = &mut filters[..number];
        let mut cx = Context::from_waker(Waker::noop());
        while request_body.bytes() < limit {
            let next = poll_fresh(
                request_body,
                |cx| sanitize::poll_request(*down, action, cx),
                |frame, end| through(before.iter_mut(), Way::Request, &mut stream, frame, end),
                &mut cx,
            );
            match next {
                Poll::Ready(Ok(Some(frame))) => request_body.push(frame),
                Poll::Ready(Ok(None)) => {
                    deadlines.request_received();
                    self.info.timing.downstream_rx_end.get_or_insert(self.started.elapsed());
                    break;
                }
                Poll::Ready(Err(error)) => return Err(self.bad_request(error)),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Reads the rest of the request, and shows the whole of it to the filter that asked for it.
    async fn hold_request(
        &mut self,
        number: usize,
        limit: u64,
        levels: Option<Levels<'_>>,
    ) -> Result<(), Failure> {
        let limit = self.held_at_most(limit);
        let read = self.until(|this, cx| this.poll_hold_request(number, limit, levels, cx)).await;
        read.map_err(|interrupt| self.interrupted(interrupt))??;
        let Exchange { connection, down, timer, deadlines, headers, info, filters, request_body, .. } = self;
        let mut stream = Stream::new(headers, info, &connection.worker, levels);
        let watch = Watch { down: *down, timer, deadlines };
        let taken = watch.take(filters[number].request_body(&mut stream, request_body)).await;
        self.settle(taken).map(drop)
    }

    /// How many bytes a filter holds that asks for so many.
    fn held_at_most(&self, limit: u64) -> u64 {
        match limit {
            WHOLE_BUFFER => self.connection.manager.buffer_limit(),
            limit => limit,
        }
    }

    fn poll_hold_request(
        &mut self,
        number: usize,
        limit: u64,
        levels: Option<Levels<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let Exchange { connection, down, deadlines, headers, info, filters, request_body, .. } = self;
        let action = connection.manager.options.common.headers_with_underscores_action;
        let mut stream = Stream::new(headers, info, &connection.worker, levels);
        let before = &mut filters[..number];
        let mut is_fresh = false;
        let read = loop {
            if request_body.bytes() > limit {
                connection.manager.stats.downstream_rq_too_large().inc();
                // In HTTP/1.1 a request ends after its body, which was not waited for.
                let close = !request_body.is_ended() || (is_fresh && !D::MULTIPLEXED);
                let reply = LocalReply { close, ..LocalReply::request_too_large() };
                return Poll::Ready(Err(reply.into()));
            }
            is_fresh = true;
            let next = poll_fresh(
                request_body,
                |cx| sanitize::poll_request(*down, action, cx),
                |frame, end| through(before.iter_mut(), Way::Request, &mut stream, frame, end),
                cx,
            );
            match ready!(next) {
                Ok(Some(frame)) => {
                    deadlines.touch(Instant::now());
                    request_body.push(frame);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if read.is_ok() {
            deadlines.request_received();
            self.info.timing.downstream_rx_end.get_or_insert(self.started.elapsed());
        }
        Poll::Ready(read.map_err(|error| self.bad_request(error)))
    }

    /// Reads the rest of the response, likewise.
    async fn hold_response(
        &mut self,
        number: usize,
        limit: u64,
        levels: Option<Levels<'_>>,
        more: &mut impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<Option<Frame>, Failure>>,
    ) -> Result<(), Failure> {
        let limit = self.held_at_most(limit);
        let read = self.until(|this, cx| this.poll_hold_response(number, limit, levels, more, cx)).await;
        read.map_err(|interrupt| self.interrupted(interrupt))??;
        let Exchange { connection, down, timer, deadlines, headers, info, filters, response_body, .. } = self;
        let mut stream = Stream::new(headers, info, &connection.worker, levels);
        let watch = Watch { down: *down, timer, deadlines };
        let taken = watch.take(filters[number].response_body(&mut stream, response_body)).await;
        self.settle(taken).map(drop)
    }

    fn poll_hold_response(
        &mut self,
        number: usize,
        limit: u64,
        levels: Option<Levels<'_>>,
        more: &mut impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<Option<Frame>, Failure>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            if self.response_body.bytes() > limit {
                self.connection.manager.stats.rs_too_large().inc();
                return Poll::Ready(Err(LocalReply::response_too_large().into()));
            }
            if self.response_body.is_ended() {
                return Poll::Ready(Ok(()));
            }
            let frame = ready!(more(self, cx))?;
            let now = Instant::now();
            self.deadlines.touch(now);
            let Exchange { connection, headers, info, filters, response_body, .. } = self;
            let mut stream = Stream::new(headers, info, &connection.worker, levels);
            let behind = &mut filters[number + 1..];
            let passed = response_body.pass_one(frame, |frame, end| {
                through(behind.iter_mut().rev(), Way::Response, &mut stream, frame, end);
            });
            passed.into_iter().for_each(|frame| response_body.push(frame));
        }
    }

    /// Shows a filter that has let the headers pass what is held of the body.
    fn catch_up(&mut self, way: Way, number: usize, levels: Option<Levels<'_>>) {
        let Exchange { connection, headers, info, filters, request_body, response_body, .. } = self;
        let body = match way {
            Way::Request => request_body,
            Way::Response => response_body,
        };
        if !body.is_empty() {
            let mut stream = Stream::new(headers, info, &connection.worker, levels);
            let mut filter = filters.get_mut(number);
            body.pass(|frame, end| through(filter.as_deref_mut().into_iter(), way, &mut stream, frame, end));
        }
    }

    /// Tells the filters that the exchange is over.
    pub(super) fn complete_filters(&mut self, levels: Option<Levels<'_>>) {
        let Exchange { connection, headers, info, filters, .. } = self;
        let mut stream = Stream::new(headers, info, &connection.worker, levels);
        filters.iter_mut().for_each(|filter| filter.complete(&mut stream));
    }

    /// What becomes of the message after a filter has taken its step.
    pub(super) fn settle(
        &self,
        taken: Result<Result<Taken, LocalReply>, Interrupt>,
    ) -> Result<Taken, Failure> {
        match taken {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(reply)) => Err(reply.into()),
            Err(interrupt) => Err(self.interrupted(interrupt)),
        }
    }

    /// Makes the filters, unless they are there: answers to what is no good request pass them as well.
    fn begin_filtering(&mut self, levels: Option<Levels<'c>>) {
        if !self.filtering {
            self.filtering = true;
            let chain = self.chains.of(self.upgrade_kind());
            self.router = chain.router();
            self.upstream_logs = chain.upstream_logs();
            self.hosted = chain.upstream();
            self.filters = chain.begin_routed(levels);
        }
    }

    /// Makes the filters that all others pass: for the answer to an upgrade that is not served.
    pub(super) fn begin_usual_filtering(&mut self, levels: Levels<'c>) {
        self.filtering = true;
        self.filters = self.chains.usual().begin_routed(Some(levels));
    }
}

/// What a message comes to at a filter that does not answer it.
pub(super) enum Taken {
    Passed,
    /// It waits for what its route table discovers.
    Undiscovered,
    /// It waits for so many bytes of its body at the most.
    Held(u64),
}

impl<D: Downstream> Watch<'_, D> {
    /// Takes a filter's step to its end.
    pub(super) async fn take(self, step: Step<'_>) -> Result<Result<Taken, LocalReply>, Interrupt> {
        Ok(match step {
            Step::Continue => Ok(Taken::Passed),
            Step::Hold(limit) => Ok(Taken::Held(limit)),
            Step::Discover => Ok(Taken::Undiscovered),
            Step::Reply(reply) => Err(reply),
            Step::Wait(waiting) => self.until_done(waiting).await?.map_or(Ok(Taken::Passed), Err),
        })
    }
}
