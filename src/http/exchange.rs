//! One request and its response, from the request's complete head to the access log.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::base::headers::{Headers, Known};
use crate::base::timer::Timer;
use crate::codec::{Pump, StreamError};
use crate::config::format::Format;
use crate::config::route::{Action, DirectResponse};
use crate::observability::format;
use crate::observability::stream_info::{Address, Protocol, ResponseFlags, StreamInfo};
use crate::route::mutation::Levels;
use crate::route::{Found, Matched, redirect};

use super::deadlines::{Deadlines, Interrupt};
use super::downstream::Downstream;
use super::egress;
use super::ingress;
use super::local_reply::LocalReply;
use super::manager::Connection;
use super::path::{self, Normalized};
use super::request_id;
use super::sanitize::sanitize;
use super::worker::HeaderPair;

/// A request in the making of its response.
pub(super) struct Exchange<'c, D> {
    pub(super) connection: &'c Connection,
    pub(super) down: &'c mut D,
    timer: &'c mut Timer,
    pub(super) headers: Box<HeaderPair>,
    pub(super) info: StreamInfo,
    pub(super) deadlines: Deadlines,
    pub(super) started: Instant,
    pub(super) response_timeout: Option<Duration>,
    pub(super) request_pump: Pump,
    pub(super) upgrade: bool,
    pub(super) internal: bool,
    response_started: bool,
    pub(super) close: bool,
}

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It serves on.
    KeepAlive,
    /// It is closed, its response complete.
    Close,
    /// It is closed, its response cut off.
    Abort,
}

/// How an exchange went wrong.
#[derive(Debug)]
pub(super) enum Failure {
    /// The response has not begun: this is it.
    Reply(LocalReply),
    /// The response has begun and cannot be ended well.
    Abort(ResponseFlags, &'static str),
}

impl From<LocalReply> for Failure {
    fn from(reply: LocalReply) -> Self {
        Failure::Reply(reply)
    }
}

impl<'c, D: Downstream> Exchange<'c, D> {
    pub(super) fn new(
        connection: &'c Connection,
        down: &'c mut D,
        timer: &'c mut Timer,
        headers: Box<HeaderPair>,
        protocol: Protocol,
    ) -> Self {
        let options = &connection.manager.options;
        let started = Instant::now();
        let deadlines = Deadlines::new(
            started,
            options.stream_idle_timeout,
            options.request_timeout,
            options.max_stream_duration,
        );
        let stats = &connection.manager.stats;
        stats.downstream_rq_total().inc();
        stats.downstream_rq_active().inc();
        match protocol {
            Protocol::Http2 => stats.downstream_rq_http2_total().inc(),
            Protocol::Http10 | Protocol::Http11 => stats.downstream_rq_http1_total().inc(),
        }
        Exchange {
            info: StreamInfo {
                protocol: Some(protocol),
                ..StreamInfo::new(started.into_std(), SystemTime::now(), Rc::clone(&connection.info))
            },
            connection,
            down,
            timer,
            headers,
            deadlines,
            started,
            response_timeout: None,
            request_pump: Pump::default(),
            upgrade: false,
            internal: false,
            response_started: false,
            close: false,
        }
    }

    /// Serves the request whose head has come.
    pub(super) async fn run(mut self, close: bool) -> After {
        self.close = close;
        let served = match self.check() {
            Ok(()) => self.route().await,
            Err(reply) => Err(Failure::Reply(reply)),
        };
        self.conclude(served, None).await
    }

    /// Answers a request that could not be read.
    pub(super) async fn refuse(mut self, reply: LocalReply) -> After {
        self.request_pump = Pump::ended();
        self.conclude(Err(Failure::Reply(reply)), None).await
    }

    /// What every request must keep to, whatever its route.
    fn check(&mut self) -> Result<(), LocalReply> {
        let options = &self.connection.manager.options;
        let request = &mut self.headers.request;
        if !request.contains(Known::Authority) {
            return Err(LocalReply { close: true, ..LocalReply::new(400, "", "missing_host_header") });
        }
        sanitize(request, options, self.connection.peer.local.map(|local| local.port()))?;
        let target = request.get(Known::Path).unwrap_or_default();
        let is_connect = request.get(Known::Method) == Some(b"CONNECT");
        // What follows a CONNECT is no request.
        self.close |= is_connect && !D::MULTIPLEXED;
        if !is_connect && target.first() != Some(&b'/') {
            return Err(LocalReply::new(404, "", "absolute_path_rejected"));
        }
        let refused = || LocalReply { close: true, ..LocalReply::new(400, "", "path_normalization_failed") };
        if target.contains(&b'#') {
            return Err(refused());
        }
        match path::normalize(target, options) {
            Normalized::Unchanged => {}
            Normalized::Changed(path) => request.set(Known::Path, &path),
            Normalized::Redirect(path) => {
                request.set(Known::Path, &path);
                return Err(LocalReply::new(307, "", "path_normalization_failed"));
            }
            Normalized::Refused => return Err(refused()),
        }
        if request.get(Known::Expect).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
            && !options.proxy_100_continue
        {
            request.remove(Known::Expect);
            self.down.send_continue();
            self.connection.manager.stats.count_response(100);
            self.connection.manager.listener_stats.count_response(100);
        }
        self.upgrade = ingress::asks_upgrade(request);
        let worker = &self.connection.worker;
        let origin = ingress::prepare(request, options, self.connection.peer, self.upgrade, || {
            request_id::uuid(worker.random(), worker.random())
        });
        if let (true, Some(remote)) = (origin.from_header, origin.remote) {
            self.info.remote = Some(Address::Ip(SocketAddr::new(remote, 0)));
        }
        self.internal = origin.internal;
        Ok(())
    }

    /// Whether an upgrade that the request asks for is served: what the route says of it counts before what the
    /// connection manager says.
    pub(super) fn check_upgrade(&self, of_route: &[(String, bool)]) -> Result<(), LocalReply> {
        if !self.upgrade {
            return Ok(());
        }
        let wanted = self.headers.request.get(Known::Upgrade).unwrap_or_default();
        let of_manager = &self.connection.manager.options.upgrade_configs;
        let mut configs = of_route.iter().chain(of_manager);
        let config = configs.find(|(kind, _)| kind.as_bytes().eq_ignore_ascii_case(wanted));
        if config.is_some_and(|(_, enabled)| *enabled) { Ok(()) } else { Err(LocalReply::upgrade_failed()) }
    }

    async fn route(&mut self) -> Result<(), Failure> {
        self.info.route_resolutions += 1;
        let worker = &self.connection.worker;
        let snapshot = worker.snapshot();
        let random = worker.random();
        let manager = Arc::clone(&self.connection.manager);
        manager.stats.rq_total().inc();
        let Some(found) =
            manager.table(&snapshot).and_then(|table| table.find(&self.headers.request, random))
        else {
            manager.stats.no_route().inc();
            return Err(LocalReply::route_not_found().into());
        };
        let matched = match found {
            Found::Route(matched) => matched,
            Found::TlsRedirect(_) => {
                let location = redirect::tls_location(&self.headers.request);
                return self.redirect(301, &location, None).await;
            }
        };
        self.info.route_name =
            (!matched.route.name.is_empty()).then(|| Arc::from(matched.route.name.as_str()));
        match &matched.route.action {
            Action::Route(action) => {
                let answered = self.forward(&snapshot, &matched, action, random).await;
                match answered {
                    // The route's changes apply to the proxy's own answers as well.
                    Err(Failure::Reply(reply)) => {
                        self.send_reply(reply, Some(Levels::new(&matched, None)), None).await;
                        Ok(())
                    }
                    other => other,
                }
            }
            Action::Redirect(action) => {
                // As in Envoy, which counts redirects among them.
                manager.stats.rq_direct_response().inc();
                let keep_original = !manager.router.suppress_envoy_headers;
                let matcher = &matched.route.matcher.path;
                redirect::rewrite_path(action, matcher, &mut self.headers.request, keep_original);
                let location = redirect::location(action, &self.headers.request);
                self.redirect(action.response_code, &location, Some(&matched)).await
            }
            Action::DirectResponse(response) => self.direct_response(response, &matched).await,
            Action::NonForwarding => Err(LocalReply::route_not_found().into()),
        }
    }

    async fn redirect(
        &mut self,
        status: u16,
        location: &[u8],
        matched: Option<&Matched<'_>>,
    ) -> Result<(), Failure> {
        let reply = LocalReply::new(status, "", "direct_response");
        let levels = matched.map(|matched| Levels::new(matched, None));
        self.send_reply(reply, levels, Some(location)).await;
        Ok(())
    }

    async fn direct_response(
        &mut self,
        response: &DirectResponse,
        matched: &Matched<'_>,
    ) -> Result<(), Failure> {
        self.connection.manager.stats.rq_direct_response().inc();
        let reply = LocalReply {
            body: response.body.clone(),
            ..LocalReply::new(response.status, "", "direct_response")
        };
        self.send_reply(reply, Some(Levels::new(matched, None)), None).await;
        Ok(())
    }

    /// Waits for `poll`, within the stream's deadlines and as long as the client is there.
    pub(super) async fn until<T>(
        &mut self,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Interrupt> {
        poll_fn(|cx| {
            if let Poll::Ready(value) = poll(self, cx) {
                return Poll::Ready(Ok(value));
            }
            if self.down.request_is_complete()
                && let Poll::Ready(closed) = self.down.poll_closed(cx)
            {
                return Poll::Ready(Err(closed));
            }
            while self.timer.poll(self.deadlines.next(), cx).is_ready() {
                if let Some(interrupt) = self.deadlines.passed(Instant::now()) {
                    return Poll::Ready(Err(interrupt));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for a future, likewise.
    pub(super) async fn until_done<F: Future>(&mut self, future: F) -> Result<F::Output, Interrupt> {
        let mut future = pin!(future);
        self.until(|_, cx| future.as_mut().poll(cx)).await
    }

    fn context<'a>(info: &'a StreamInfo, request: &'a Headers, response: &'a Headers) -> format::Context<'a> {
        format::Context {
            info,
            request,
            response,
            response_trailers: no_headers(),
            local_reply_body: &[],
            log_type: format::LogType::NotSet,
        }
    }

    /// Renders a format with what is known of this exchange.
    pub(super) fn render(
        info: &StreamInfo,
        request: &Headers,
        response: &Headers,
        format: &Format,
        out: &mut Vec<u8>,
    ) {
        let context = Self::context(info, request, response);
        format::render(format, &context, format::Absent::Omit, out);
    }

    /// Sends the head of a response and whatever was queued before it.
    pub(super) fn start_response(&mut self, status: u16, end: bool, upgraded: bool) {
        let options = &self.connection.manager.options;
        let HeaderPair { request, response } = &mut *self.headers;
        egress::finish(response, request, options, &self.connection.worker.date, upgraded);
        let draining = self.connection.drain.stage() != super::drain::Stage::Serving;
        if !D::MULTIPLEXED && !upgraded {
            if draining && !self.close {
                self.connection.manager.stats.downstream_cx_drain_close().inc();
            }
            // A client that is not done, or waits for another protocol, cannot send the next request.
            self.close |= draining || self.upgrade || !self.down.request_is_complete();
            let old = self.info.protocol == Some(Protocol::Http10);
            self.close |= old && !end && !response.contains(Known::ContentLength);
            if self.close {
                response.set(Known::Connection, b"close");
            } else if old {
                response.set(Known::Connection, b"keep-alive");
            }
        }
        self.response_started = true;
        self.info.response_code = status;
        self.info.timing.downstream_tx_start = Some(self.started.elapsed());
        if upgraded {
            self.down.send_upgrade(response, status);
        } else {
            self.down.send_headers(response, status, end);
        }
    }

    async fn conclude(mut self, served: Result<(), Failure>, levels: Option<Levels<'_>>) -> After {
        let mut aborted = false;
        match served {
            Ok(()) => {}
            Err(Failure::Reply(reply)) => self.send_reply(reply, levels, None).await,
            Err(Failure::Abort(flags, details)) => {
                self.info.response_flags.insert(flags);
                self.info.response_code_details = Cow::Borrowed(details);
                aborted = true;
                self.down.abort();
            }
        }
        let after = match aborted {
            true => After::Abort,
            false if self.close || !self.down.request_is_complete() => After::Close,
            false => After::KeepAlive,
        };
        self.finish();
        after
    }

    /// Counts and logs the exchange.
    fn finish(mut self) {
        let manager = &self.connection.manager;
        let stats = &manager.stats;
        self.info.bytes_received = self.request_pump.bytes;
        let elapsed = self.started.elapsed();
        self.info.timing.complete = Some(elapsed);
        if self.response_started {
            self.info.timing.downstream_tx_end.get_or_insert(elapsed);
        }
        stats.downstream_rq_active().dec();
        stats.downstream_rq_time().record(elapsed.as_millis() as u64);
        if self.response_started {
            stats.count_response(self.info.response_code);
            manager.listener_stats.count_response(self.info.response_code);
        } else {
            stats.downstream_rq_rx_reset().inc();
        }
        let context = format::Context {
            log_type: format::LogType::DownstreamEnd,
            ..Self::context(&self.info, &self.headers.request, &self.headers.response)
        };
        for log in &manager.access_log {
            log.write(&context);
        }
        self.connection.worker.return_headers(self.headers);
    }

    /// What an interrupt comes to.
    pub(super) fn interrupted(&self, interrupt: Interrupt) -> Failure {
        let stats = &self.connection.manager.stats;
        let complete = self.request_pump.is_ended();
        let reply = match interrupt {
            Interrupt::ResponseTimeout => LocalReply::upstream_timeout(),
            Interrupt::StreamIdle => {
                stats.downstream_rq_idle_timeout().inc();
                LocalReply::stream_idle(complete)
            }
            Interrupt::RequestTimeout => {
                stats.downstream_rq_timeout().inc();
                LocalReply::request_timeout("request_overall_timeout")
            }
            Interrupt::MaxDuration => {
                stats.downstream_rq_max_duration_reached().inc();
                LocalReply::max_duration(complete)
            }
            Interrupt::DownstreamClosed => return client_gone(),
            Interrupt::DownstreamReset => return client_reset(),
        };
        if self.response_started {
            let details = match interrupt {
                Interrupt::ResponseTimeout => "response_timeout",
                Interrupt::StreamIdle => "stream_idle_timeout",
                Interrupt::RequestTimeout => "request_overall_timeout",
                Interrupt::MaxDuration => "max_duration_timeout",
                Interrupt::DownstreamClosed | Interrupt::DownstreamReset => "downstream_remote_disconnect",
            };
            return Failure::Abort(reply.flags, details);
        }
        Failure::Reply(reply)
    }

    /// What a fault in the request comes to.
    pub(super) fn bad_request(&self, error: StreamError) -> Failure {
        match error {
            StreamError::Protocol(error) if !self.response_started => {
                self.connection.manager.stats.downstream_cx_protocol_error().inc();
                Failure::Reply(LocalReply::bad_request(error))
            }
            StreamError::Protocol(_) => Failure::Abort(ResponseFlags::DPE, "http1.codec_error"),
            StreamError::Closed | StreamError::Reset(_) | StreamError::Refused => client_gone(),
        }
    }
}

/// The headers of what is not there.
fn no_headers() -> &'static Headers {
    static NONE: std::sync::OnceLock<Headers> = std::sync::OnceLock::new();
    NONE.get_or_init(Headers::new)
}

/// The client reset its stream.
fn client_reset() -> Failure {
    Failure::Abort(ResponseFlags::DR, "http2.remote_reset")
}

pub(super) fn client_gone() -> Failure {
    Failure::Abort(ResponseFlags::DC, "downstream_remote_disconnect")
}
