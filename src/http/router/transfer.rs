//! The response on its way back, and what is left of the request meanwhile.

use std::borrow::Cow;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, Pump, PumpError};
use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::{LocalReply, broken_response};
use crate::http::render::render;
use crate::http::upstream::{Carrier, Upstream};
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::Levels;
use crate::upstream::pool::HostPool;

use super::accounting::{count_response, note_fault};
use super::passive;
use super::retry::Attempts;

impl<D: Downstream> Exchange<'_, D> {
    /// Sends the request and passes the response on, unless that is declined for another attempt. With `answered`, the
    /// request was sent, and that is the response's head.
    pub(super) async fn converse(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
        answered: Option<ResponseHead>,
    ) -> Result<(), Failure> {
        if answered.is_none() {
            self.send_request(pool, upstream);
            self.tell_client(action, &mut upstream.carrier);
        }
        let head = self.response_head(pool, upstream, action, levels, attempts, answered).await?;
        if upstream.hosted.is_some() {
            self.filter_from_host(upstream, levels, &head)?;
        }
        let reported = passive::hear(pool, &self.headers.response);
        passive::report(&self.connection.worker, pool, || {
            passive::answered(pool, head.status, &self.headers.request, &self.headers.response)
        });
        self.record_response_headers(&pool.cluster);
        self.note_upstream_head(&head);
        // Cloned where there is one: few hosts are those of aggregate clusters.
        let aggregate = self.aggregate.clone();
        let cluster = aggregate.as_ref().unwrap_or(&pool.cluster);
        if answered.is_none() && self.decline_response(attempts, cluster, action, &head) {
            return Ok(());
        }
        if self.follows_redirect(action, cluster, head.status) {
            return Err(Failure::Redirected);
        }
        if answered.is_none() && attempts.as_ref().is_some_and(|attempts| attempts.gives_way()) {
            pool.host.stats.count_response(false);
            return Err(Failure::GaveWay);
        }
        self.end_attempts(attempts);
        // As in Envoy it is a host over HTTP/1.1 that this is asked of.
        let is_http1 = matches!(upstream.carrier, Carrier::Http1(_));
        if self.upgrade && is_http1 && head.status < 400 && head.status != 101 && self.asks_websocket() {
            return Err(self.handshake_failed(head.status).into());
        }
        (self.info.downstream_wire, self.info.upstream_wire) = (self.down.wire(), upstream.carrier.wire());
        self.prepare_head(head, levels);
        let read = |this: &mut Self, cx: &mut Context<'_>| this.poll_ahead(pool, upstream, levels, cx);
        self.filter_response(Some(levels), head.end, read).await?;
        let agreed = (200..300).contains(&head.status);
        let tunnels = if self.connect { agreed } else { self.upgrade && head.status == 101 };
        self.start_response(head.status, head.end, tunnels);
        if tunnels {
            return self.tunnel(pool, upstream).await;
        }
        self.pass_response(pool, upstream, head, action.flush_timeout, levels).await?;
        if let Some(trailers) = self.response_trailers.as_deref().filter(|_| !reported) {
            passive::note_report(pool, trailers);
        }
        Ok(())
    }

    /// Waits for the response. What the host says before it is counted once, and passed on where that is configured.
    async fn response_head(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
        mut answered: Option<ResponseHead>,
    ) -> Result<ResponseHead, Failure> {
        let (mut interim, mut is_late) = (true, false);
        loop {
            let poll = |this: &mut Self, cx: &mut Context<'_>| match answered.take() {
                Some(head) => Poll::Ready(Ok(head)),
                None => match this.poll_response_head(pool, upstream, levels, interim, cx) {
                    Poll::Pending => this.poll_overtaken(attempts, cx).map(Err),
                    ready => ready,
                },
            };
            match self.until(poll).await {
                Ok(Ok(head)) if head.is_interim() => {
                    // As in Envoy, which looks at the first alone.
                    interim = false;
                    // The client heard of this host; another would be a second story.
                    self.end_attempts(attempts);
                    count_response(self.charged(pool), head.status, self.internal);
                    levels.groups().for_each(|group| group.upstream_rq().inc(head.status));
                    if self.connection.manager.options.proxy_100_continue {
                        self.pass_interim(head.status).await?;
                    }
                }
                Ok(Err(Failure::Reply(reply))) if !interim => {
                    return Err(reply.after_interim().into());
                }
                Ok(head) => return head,
                Err(interrupt) if self.goes_on(interrupt) => {
                    if self.hedge(interrupt, pool, action, attempts) {
                        return Err(Failure::GaveWay);
                    }
                    is_late = true;
                }
                Err(interrupt) => {
                    if let Some(attempts) = attempts {
                        self.interrupt_asides(attempts, interrupt);
                    }
                    self.count_timeout(interrupt, pool, levels);
                    self.report_timeout(interrupt, pool, !is_late);
                    return Err(self.interrupted(interrupt));
                }
            }
        }
    }

    /// Moves the request until the head of the response is there.
    fn poll_response_head(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        interim: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_request(pool, upstream, levels, cx) {
            return Poll::Ready(Err(failure));
        }
        upstream.carrier.poll_head(cx, &mut self.headers.response, interim).map_err(|error| {
            note_fault(&self.connection.worker, error, &mut upstream.carrier, pool);
            LocalReply::broken_upstream(error).into()
        })
    }

    /// Reads a piece of the response for a filter that holds it, while the request goes on.
    fn poll_ahead(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, Failure>> {
        if !self.request_pump.is_ended()
            && let Poll::Ready(Err(failure)) = self.poll_request(pool, upstream, levels, cx)
        {
            return Poll::Ready(Err(failure));
        }
        self.poll_from_host(upstream, levels, cx)
            .map_err(|error| self.response_failure(PumpError::Source(error), pool, upstream))
    }

    fn prepare_head(&mut self, head: ResponseHead, levels: Levels<'_>) {
        let now = Instant::now();
        self.deadlines.touch(now);
        self.deadlines.response_begun();
        if self.hedges {
            // As in Envoy a response of which nothing comes goes on.
            self.deadlines.forget_per_try();
        }
        let since_start = now - self.started;
        self.info.timing.upstream_rx_start = Some(since_start);
        self.info.response_code = head.status;
        self.info.response_code_details = Cow::Borrowed("via_upstream");
        let waited = since_start.saturating_sub(self.info.timing.downstream_rx_end.unwrap_or(since_start));
        let response = &mut self.headers.response;
        // What the host says of its connection; as in Envoy one that a route or a filter adds goes on.
        response.remove(Known::KeepAlive);
        let mut buffer = itoa::Buffer::new();
        // Envoy does not tell it of a response that overtakes its request.
        let overtakes = self.info.timing.downstream_rx_end.is_none();
        if !self.router.suppress_envoy_headers && !overtakes {
            let millis = buffer.format(waited.as_millis() as u64).as_bytes();
            response.set(Known::XEnvoyUpstreamServiceTime, millis);
        }
        self.give_cookies();
        let (request, response) = (&self.headers.request, &mut self.headers.response);
        let info = &self.info;
        levels.mutate_response(response, &mut |format, response, out| {
            render(info, request, response, format, out);
        });
        levels.tell_attempts(response, info.upstream_attempts);
    }

    /// Passes the response's body on, and what is left of the request's.
    async fn pass_response(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        head: ResponseHead,
        flush_timeout: Option<Option<Duration>>,
        levels: Levels<'_>,
    ) -> Result<(), Failure> {
        let flush_timeout = flush_timeout.or(self.connection.manager.options.timeouts.stream_flush_timeout);
        let mut pump =
            if head.end { Pump::ended() } else { Pump::new(self.connection.manager.buffer_limit_bytes) };
        let passed = self
            .until(|this, cx| {
                if !this.request_pump.is_ended()
                    && let Poll::Ready(Err(failure)) = this.poll_request(pool, upstream, levels, cx)
                {
                    return Poll::Ready(Err(failure));
                }
                let before = pump.bytes;
                let polled = this.pump_response(&mut pump, upstream, levels, cx);
                if pump.bytes != before {
                    let now = Instant::now();
                    this.deadlines.touch(now);
                    this.info.timing.upstream_rx_body_start.get_or_insert(now - this.started);
                }
                if D::MULTIPLEXED && polled.is_pending() && pump.is_ended() {
                    this.deadlines.flush_begun(Instant::now(), flush_timeout);
                }
                polled.map_err(|error| this.response_failure(error, pool, upstream))
            })
            .await;
        self.info.bytes_sent = pump.bytes;
        self.count_pauses(pool, &pump);
        self.response_trailers = pump.trailers;
        self.info.timing.upstream_rx_end = Some(self.started.elapsed());
        match passed {
            Ok(result) => result,
            Err(interrupt) => {
                self.count_timeout(interrupt, pool, levels);
                self.report_timeout(interrupt, pool, false);
                Err(self.interrupted(interrupt))
            }
        }
    }

    pub(super) fn response_failure(
        &self,
        error: PumpError,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
    ) -> Failure {
        match error {
            PumpError::Source(error) => {
                note_fault(&self.connection.worker, error, &mut upstream.carrier, pool);
                let (flags, details) = broken_response(error);
                Failure::Abort(flags, details)
            }
            PumpError::Sink(_) => Failure::Abort(ResponseFlags::DC, "downstream_remote_disconnect"),
        }
    }

    /// The stream to the host is over.
    pub(super) fn note_end_of_stream(&mut self, upstream: &mut Upstream<'_>, answered: &Result<(), Failure>) {
        self.info.upstream_wire = upstream.carrier.wire();
        if let Err(Failure::Abort(flags, _)) = answered
            && flags.intersects(ResponseFlags::UC)
        {
            upstream.carrier.closed_by_host();
        }
    }
}
