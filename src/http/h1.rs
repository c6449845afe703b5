//! Downstream HTTP/1.1 connections.

mod preface;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::time::Instant;

use crate::base::headers::{Headers, Known};
use crate::base::io::Io;
use crate::base::timer::Timer;
use crate::codec::h1::ParseError;
use crate::codec::h1::head::Version;
use crate::codec::h1::server::RequestHead;
use crate::codec::{StreamError, h1};
use crate::config::http_connection_manager::CodecType;
use crate::observability::stats::HttpStats;
use crate::observability::stream_info::Protocol;

use super::active::Active;
use super::deadlines::HeadTimeout;
use super::drain::Stage;
use super::exchange::{After, Exchange, Failure, client_gone};
use super::ingress;
use super::local_reply::LocalReply;
use super::manager::{Connection, ConnectionManager};
use super::sanitize;
use super::snapshots::Snapshots;
use super::target;

use preface::Found;

/// Who closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosedBy {
    /// The other end.
    Peer,
    /// This end.
    Proxy,
}

/// Serves a connection to its end. Unless the codec is HTTP/1.1's, one that begins with HTTP/2's preface is handed over.
pub(super) async fn serve(connection: Rc<Connection>, io: Io, codec: CodecType) -> ClosedBy {
    let options = &connection.manager.options;
    let mut server = h1::Server::new(
        io,
        connection.manager.limits(),
        options.http1.enable_trailers,
        options.http1.allow_chunked_length,
    )
    .with_options(&options.http1);
    let mut timer = Timer::default();
    let mut requests = 0;
    let mut active = None;
    let mut life = Life { end: connection.ends(), over: false };
    let closed = loop {
        server.release();
        if let Some(closed) = wait_for_request(&connection, &mut server, &mut timer, &mut life).await {
            break closed;
        }
        if requests == 0 && codec != CodecType::Http1 {
            match preface::find(&connection, &mut server, codec, &mut timer).await {
                Found::Http1 => {}
                Found::Http2 => {
                    let (io, begun) = server.into_parts();
                    return Box::pin(super::h2::serve(Rc::clone(&connection), io, begun)).await;
                }
                Found::Neither(closed) => {
                    // Once it is known which version is spoken the connection counts.
                    if codec == CodecType::Http2 || preface::is_begun(&server) {
                        connection.manager.stats.downstream_cx_http2_total().inc();
                    }
                    break closed;
                }
            }
        }
        if requests == 0 {
            let stats = &connection.manager.stats;
            stats.downstream_cx_http1_total().inc();
            active = Some(Active::new(stats, HttpStats::downstream_cx_http1_active));
        }
        requests += 1;
        let used_up = options.common.max_requests_per_connection.is_some_and(|limit| requests >= limit);
        if used_up {
            connection.manager.stats.downstream_cx_max_requests_reached().inc();
        }
        let last = used_up || life.is_over();
        // Boxed, so that an idle connection does not keep the room that a request takes.
        let after = Box::pin(serve_request(&connection, &mut server, &mut timer, last)).await;
        match after {
            Some(After::KeepAlive) => {}
            Some(After::Close) => {
                linger(&connection, &mut server, &mut timer).await;
                break ClosedBy::Proxy;
            }
            Some(After::Abort | After::GivenUp) => break ClosedBy::Proxy,
            Some(After::Left) => {
                connection.count_cut_off(ClosedBy::Peer);
                break if server.is_overfull() { ClosedBy::Proxy } else { ClosedBy::Peer };
            }
            Some(After::Broken) => {
                connection.count_cut_off(ClosedBy::Proxy);
                break ClosedBy::Proxy;
            }
            None => break ClosedBy::Peer,
        }
    };
    drop(active);
    count_bytes(&connection, &server);
    closed
}

/// How long a connection may live.
struct Life {
    end: Option<Instant>,
    /// It is over, and its next response says that it is the last.
    over: bool,
}

impl Life {
    fn is_over(&self) -> bool {
        self.over || self.has_passed()
    }

    fn has_passed(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// Waits for the first byte of a request; or tells who closes, when none comes any more.
async fn wait_for_request(
    connection: &Rc<Connection>,
    server: &mut h1::Server,
    timer: &mut Timer,
    life: &mut Life,
) -> Option<ClosedBy> {
    let stats = &connection.manager.stats;
    let since = Instant::now();
    let idle = connection.manager.options.common.idle_timeout.map(|timeout| since + timeout);
    let mut change = pin!(connection.drain.changed());
    poll_fn(|cx| {
        if let Poll::Ready(there) = server.poll_input(cx) {
            return Poll::Ready((!there).then_some(ClosedBy::Peer));
        }
        while change.as_mut().poll(cx).is_ready() {
            change.set(connection.drain.changed());
        }
        let stage = connection.drain.stage();
        if stage == Stage::Closing {
            return Poll::Ready(Some(ClosedBy::Proxy));
        }
        loop {
            let end = life.end.filter(|_| !life.over);
            let first = [idle, end, connection.drain.idle_end(since)].into_iter().flatten().min();
            if timer.poll(first, cx).is_pending() {
                return Poll::Pending;
            }
            if !life.over && life.has_passed() {
                stats.downstream_cx_max_duration_reached().inc();
                life.over = true;
                if connection.manager.options.http1_safe_max_connection_duration {
                    continue;
                }
            } else if stage == Stage::Serving {
                stats.downstream_cx_idle_timeout().inc();
            }
            return Poll::Ready(Some(ClosedBy::Proxy));
        }
    })
    .await
}

/// Serves one request. `None` when the peer went away before it began one.
async fn serve_request(
    connection: &Connection,
    server: &mut h1::Server,
    timer: &mut Timer,
    last: bool,
) -> Option<After> {
    let options = &connection.manager.options;
    let mut headers = connection.worker.take_headers();
    let timeout = HeadTimeout::new(Instant::now(), options);
    let deadline = timeout.as_ref().map(|timeout| timeout.at);
    let head = poll_fn(|cx| {
        if let Poll::Ready(head) = server.poll_head(cx, &mut headers.request) {
            return Poll::Ready(Ok(head));
        }
        timer.poll(deadline, cx).map(|()| Err(()))
    })
    .await;
    let stats = &connection.manager.stats;
    let failure: Failure = match head {
        Ok(Ok(Some(head))) => match settle(head, &mut headers.request, &connection.manager) {
            Err(reply) => {
                if !options.http1.accept_http_10 {
                    // Answered in a version that is served.
                    server.answer_as(Version::Http11);
                }
                stats.downstream_cx_protocol_error().inc();
                reply.into()
            }
            Ok(()) => {
                let close = last || !keeps_alive(head, &headers.request);
                let (filters, snapshots) = (connection.filters(), Snapshots::default());
                let lent = (&*filters, &snapshots);
                let exchange =
                    Exchange::new(connection, lent, server, timer, headers, protocol(head.version));
                return Some(exchange.run(close).await);
            }
        },
        Ok(Ok(None)) => return None,
        Ok(Err(StreamError::Protocol(ParseError::Incomplete))) => client_gone(),
        Ok(Err(StreamError::Protocol(error))) => {
            stats.downstream_cx_protocol_error().inc();
            LocalReply::bad_request(error).into()
        }
        Ok(Err(_)) => return None,
        Err(()) if timeout.is_some_and(|timeout| timeout.is_idle) => {
            stats.downstream_rq_idle_timeout().inc();
            // What was read of the head is no request that another could follow.
            LocalReply { close: true, ..LocalReply::stream_idle(false) }.into()
        }
        Err(()) => {
            stats.downstream_rq_header_timeout().inc();
            LocalReply::request_timeout("request_header_timeout").into()
        }
    };
    // What was read of the request is not to be believed, nor to be logged.
    headers.request.clear();
    let (filters, snapshots) = (connection.filters(), Snapshots::default());
    let lent = (&*filters, &snapshots);
    let exchange = Exchange::new(connection, lent, server, timer, headers, Protocol::Http11);
    Some(exchange.refuse(failure).await)
}

/// Brings what only HTTP/1 says in its own way into the form that all requests have.
///
/// # Errors
/// The answer to a request that is malformed.
fn settle(head: RequestHead, request: &mut Headers, manager: &ConnectionManager) -> Result<(), LocalReply> {
    let options = &manager.options;
    let default_host = &options.http1.default_host_for_http_10;
    if head.version == Version::Http10 && !default_host.is_empty() && !request.contains(Known::Authority) {
        request.append(Known::Authority, default_host.as_bytes());
    }
    settle_underscores(request, manager)?;
    ingress::forget_upgrades(request, &options.http1.ignore_http_11_upgrade);
    if !ingress::nominates_fairly(request) {
        return Err(LocalReply::malformed("http1.connection_header_rejected"));
    }
    if ingress::nominates(request, b"host") {
        request.remove(Known::Authority);
    }
    target::settle(request, options.http1.allow_absolute_url.unwrap_or(true))?;
    let is_refused = head.version == Version::Http10 && !options.http1.accept_http_10;
    if is_refused { Err(LocalReply::low_version()) } else { Ok(()) }
}

/// Does with names that have underscores what is configured, and counts it.
fn settle_underscores(request: &mut Headers, manager: &ConnectionManager) -> Result<(), LocalReply> {
    let settled =
        sanitize::settle_underscores(request, manager.options.common.headers_with_underscores_action);
    let stats = manager.codec_stats.http1();
    match &settled {
        Ok(0) => {}
        Ok(dropped) => stats.dropped_headers_with_underscores().add(*dropped as u64),
        Err(_) => stats.requests_rejected_with_underscores_in_headers().inc(),
    }
    settled.map(|_| ())
}

fn protocol(version: Version) -> Protocol {
    match version {
        Version::Http10 => Protocol::Http10,
        Version::Http11 => Protocol::Http11,
    }
}

fn keeps_alive(head: RequestHead, request: &Headers) -> bool {
    match head.version {
        Version::Http11 => {
            // No standard has it, but clients of proxies say it, and Envoy heeds it.
            !ingress::nominates(request, b"close")
                && !ingress::lists(request, Known::ProxyConnection, b"close")
        }
        Version::Http10 => ingress::nominates(request, b"keep-alive"),
    }
}

/// Closes so that the peer gets the last response, though it may still be sending: a connection torn down with
/// unread bytes would be reset, and the reset may overtake the response.
async fn linger(connection: &Connection, server: &mut h1::Server, timer: &mut Timer) {
    server.io().shutdown_write();
    let Some(timeout) = connection.manager.options.timeouts.delayed_close_timeout else {
        return;
    };
    let deadline = Some(Instant::now() + timeout);
    poll_fn(|cx| {
        if server.poll_drain(cx).is_ready() {
            return Poll::Ready(());
        }
        let expired = timer.poll(deadline, cx);
        if expired.is_ready() {
            connection.manager.stats.downstream_cx_delayed_close_timeout().inc();
        }
        expired
    })
    .await;
}

fn count_bytes(connection: &Connection, server: &h1::Server) {
    let (read, written) = server.bytes();
    connection.count_carried(Protocol::Http11, read, written);
}
