//! The two messages between the two streams: the request up, the response down, or bytes both ways.

use std::borrow::Cow;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, MessageStream, Pump, PumpError};
use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::{LocalReply, broken_response};
use crate::http::render::render;
use crate::http::upstream::Upstream;
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::Levels;
use crate::upstream::pool::HostPool;

use super::accounting::{count_response, note_fault};
use super::passive;
use super::retry::Attempts;

impl<D: Downstream> Exchange<'_, D> {
    /// Sends the request and passes the response on, unless that is declined for another attempt.
    pub(super) async fn converse(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Result<(), Failure> {
        let read = self.down.request_is_complete() && !self.asks_tunnel();
        let bodiless = read && self.request_is_bodiless() && !upstream.holds_request();
        upstream.carrier.send_headers(&self.headers.request, bodiless, self.upgrade);
        let now = Instant::now();
        self.info.timing.upstream_tx_start = Some(now - self.started);
        self.deadlines.stream_begun(now, pool.cluster.config.max_stream_duration);
        if bodiless {
            self.request_pump = Pump::ended();
            self.info.timing.upstream_tx_end = self.info.timing.upstream_tx_start;
        } else {
            self.request_pump = Pump::new(pool.cluster.config.per_connection_buffer_limit_bytes);
        }
        if read {
            self.deadlines.attempt_begun(now, self.timeouts);
        }
        let head = self.response_head(pool, upstream, levels, attempts).await?;
        if upstream.hosted.is_some() {
            // Boxed, so that requests that pass no such filters have no room for it.
            Box::pin(self.filter_from_host(upstream, levels, &head)).await?;
        }
        passive::hear(pool, &self.headers.response);
        passive::report(&self.connection.worker, pool, || {
            passive::answered(pool, head.status, &self.headers.request, &self.headers.response)
        });
        self.record_response_headers(&pool.cluster);
        self.note_upstream_head(&head);
        // Cloned where there is one: few hosts are those of aggregate clusters.
        let aggregate = self.aggregate.clone();
        let cluster = aggregate.as_ref().unwrap_or(&pool.cluster);
        if self.decline_response(attempts, cluster, action, &head) {
            return Ok(());
        }
        if self.follows_redirect(action, cluster, head.status) {
            return Err(Failure::Redirected);
        }
        self.end_attempts(attempts);
        if self.upgrade && head.status < 400 && head.status != 101 && self.asks_websocket() {
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
        self.pass_response(pool, upstream, head, action.flush_timeout, levels).await
    }

    /// Waits for the response. What the host says before it is counted once, and passed on where that is configured.
    async fn response_head(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Result<ResponseHead, Failure> {
        let mut interim = true;
        loop {
            match self.until(|this, cx| this.poll_response_head(pool, upstream, levels, interim, cx)).await {
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
                Err(interrupt) => {
                    self.count_timeout(interrupt, pool, levels);
                    self.report_timeout(interrupt, pool, true);
                    return Err(self.interrupted(interrupt));
                }
            }
        }
    }

    fn asks_websocket(&self) -> bool {
        self.headers.request.get(Known::Upgrade).is_some_and(|kind| kind.eq_ignore_ascii_case(b"websocket"))
    }

    /// The answer to a WebSocket handshake that the host neither accepted nor refused: its headers without a body.
    fn handshake_failed(&mut self, status: u16) -> LocalReply {
        let mut headers = std::mem::take(&mut self.headers.response);
        headers.remove(Known::Status);
        LocalReply {
            headers: Some(Box::new(headers)),
            ..LocalReply::new(status, "", "websocket_handshake_unsuccessful")
        }
    }

    /// The request was read to its end: from here on the response's time runs.
    pub(in crate::http) fn request_read(&mut self) {
        let now = Instant::now();
        self.deadlines.request_complete(now, self.timeouts);
        self.info.timing.downstream_rx_end.get_or_insert(now - self.started);
    }

    /// The request was sent to its end.
    fn request_sent(&mut self, read_before: bool) {
        if !read_before {
            self.request_read();
            self.deadlines.attempt_begun(Instant::now(), self.timeouts);
        }
        self.info.timing.upstream_tx_end = Some(self.started.elapsed());
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

    /// Whether a CONNECT is refused as its client sends what is to pass before the answer.
    pub(super) fn check_early(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let wanted = self.connect && self.router.reject_connect_request_early_data;
        if wanted && let Poll::Ready(bytes) = self.down.poll_early(cx) {
            self.request_pump.bytes += bytes as u64;
            return Err(LocalReply::new(400, "", "early_connect_data").into());
        }
        Ok(())
    }

    /// Moves the request. An upstream that does not take it any more may have answered already, so that is no
    /// failure here.
    fn poll_request(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.asks_tunnel() {
            self.check_early(cx)?;
            // Until the upgrade is answered, what the client sends waits: it may turn out to be a request.
            return match MessageStream::poll_flush(&mut upstream.carrier, cx) {
                Poll::Ready(_) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            };
        }
        let before = (self.request_pump.bytes, self.request_pump.is_ended());
        let read_before = self.info.timing.downstream_rx_end.is_some();
        let polled = self.pump_request(upstream, levels, cx);
        if before != (self.request_pump.bytes, self.request_pump.is_ended()) {
            self.deadlines.touch(Instant::now());
            self.note_excess(pool);
            if self.request_pump.is_ended() {
                self.request_sent(read_before);
            }
        }
        match polled {
            Poll::Ready(Err(PumpError::Source(error))) => Poll::Ready(Err(self.bad_request(error))),
            Poll::Ready(Err(PumpError::Sink(_)) | Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
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
        let since_start = now - self.started;
        self.info.timing.upstream_rx_start = Some(since_start);
        self.info.response_code = head.status;
        self.info.response_code_details = Cow::Borrowed("via_upstream");
        let waited = since_start.saturating_sub(self.info.timing.downstream_rx_end.unwrap_or(since_start));
        let response = &mut self.headers.response;
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
        let flush_timeout = flush_timeout.or(self.connection.manager.options.stream_flush_timeout);
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
}
