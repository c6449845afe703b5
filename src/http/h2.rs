//! Downstream HTTP/2 connections.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::base::io::Io;
use crate::base::timer::Timer;
use crate::codec::h2::{Flood, Server, ServerStream, Settings};
use crate::codec::{INTERNAL_ERROR, StreamError};
use crate::observability::stats::HttpStats;
use crate::observability::stream_info::Protocol;

use super::active::Active;
use super::downstream::Downstream;
use super::drain::Stage;
use super::exchange::{After, Exchange};
use super::h1::ClosedBy;
use super::manager::Connection;
use super::refused;
use super::resets::Resets;
use super::sanitize;
use super::snapshots::Snapshots;
use super::vigil::Vigil;
use super::worker::HeaderPair;

/// The streams of a connection that are being served.
#[derive(Debug, Default)]
struct Streams {
    count: Cell<usize>,
    /// All that have begun.
    begun: Cell<u32>,
    /// When the last of them ended.
    idle_since: Cell<Option<Instant>>,
    changed: Notify,
    resets: Resets,
    /// What a stream's task panicked with.
    panic: RefCell<Option<Box<dyn Any + Send>>>,
}

/// Serves a connection to its end. `begun` is what was read to find out the protocol.
pub(super) async fn serve(connection: Rc<Connection>, io: Io, begun: BytesMut) -> ClosedBy {
    let options = &connection.manager.options;
    let settings = Settings::new(
        &options.http2,
        options.max_request_headers_kb * 1024,
        connection.manager.buffer_limit_bytes,
    );
    let stats = &connection.manager.stats;
    let accepting = Server::accept(io, begun, &settings, connection.manager.codec_stats.http2());
    let mut server = match within(options.common.idle_timeout, accepting).await {
        None => {
            stats.downstream_cx_idle_timeout().inc();
            return ClosedBy::Proxy;
        }
        Some(Ok(server)) => server,
        Some(Err(error)) => {
            if matches!(error, StreamError::Protocol(_) | StreamError::Reset(_)) {
                stats.downstream_cx_protocol_error().inc();
            }
            return ClosedBy::Proxy;
        }
    };
    stats.downstream_cx_http2_total().inc();
    let _active = Active::new(stats, HttpStats::downstream_cx_http2_active);
    let streams = Rc::new(Streams { idle_since: Cell::new(Some(Instant::now())), ..Streams::default() });
    let mut times = Times {
        timer: Timer::default(),
        vigil: Vigil::new(options),
        end: connection.ends(),
        told: false,
        goodbye: None,
        ended: false,
    };
    let closed = loop {
        let mut headers = connection.worker.take_headers();
        match next(&connection, &mut server, &streams, &mut times, &mut headers).await {
            Some(Ok(stream)) => start(&connection, &streams, stream, headers),
            Some(Err(error)) => {
                // As in Envoy a flood that has a counter is counted by its kind alone.
                let counted = server.watch().flood().is_some_and(|flood| flood != Flood::Metadata);
                if matches!(error, StreamError::Protocol(_)) && !counted {
                    stats.downstream_cx_protocol_error().inc();
                }
                if streams.count.get() > 0 {
                    let fault = matches!(error, StreamError::Protocol(_));
                    connection.count_cut_off(if fault { ClosedBy::Proxy } else { ClosedBy::Peer });
                }
                break ClosedBy::Proxy;
            }
            None => {
                if streams.count.get() > 0 {
                    connection.count_cut_off(ClosedBy::Peer);
                }
                break ClosedBy::Peer;
            }
        }
    };
    let (read, written) = server.watch().bytes();
    connection.count_carried(Protocol::Http2, read, written);
    closed
}

/// Waits for a future no longer than this; `None` when the time is over.
async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        None => Some(future.await),
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
    }
}

/// What ends a connection.
struct Times {
    timer: Timer,
    vigil: Vigil,
    /// The end of the longest time that it may have.
    end: Option<Instant>,
    /// Whether the peer was told.
    told: bool,
    /// When no further streams are taken; `None` before the peer was told, and once it is so.
    goodbye: Option<Instant>,
    /// Whether no further streams are taken.
    ended: bool,
}

impl Times {
    /// Tells the peer that the connection ends, and takes what it begins meanwhile.
    fn announce(&mut self, connection: &Connection, server: &Server) {
        self.told = true;
        server.announce_end();
        let time = connection.manager.options.timeouts.drain_timeout.drawn(|| connection.worker.random());
        self.goodbye = Some(Instant::now() + time);
    }

    /// Takes no further streams once it is time for that.
    fn say_goodbye(&mut self, server: &mut Server) {
        if self.goodbye.take_if(|due| *due <= Instant::now()).is_some() {
            self.ended = true;
            server.shut_down();
        }
    }
}

/// The next stream; `None` when the connection has ended.
async fn next(
    connection: &Connection,
    server: &mut Server,
    streams: &Streams,
    times: &mut Times,
    headers: &mut HeaderPair,
) -> Option<Result<ServerStream, StreamError>> {
    let idle_timeout = connection.manager.options.common.idle_timeout;
    let mut drained = pin!(connection.drain.changed());
    let mut changed = pin!(streams.changed.notified());
    poll_fn(|cx| {
        while drained.as_mut().poll(cx).is_ready() {
            drained.set(connection.drain.changed());
        }
        if let Some(panic) = streams.panic.take() {
            // The connection's own task ends by it, and so the other streams.
            resume_unwind(panic);
        }
        if streams.resets.are_too_many() {
            connection.manager.stats.downstream_rq_too_many_premature_resets().inc();
            return Poll::Ready(Some(Err(StreamError::Closed)));
        }
        while changed.as_mut().poll(cx).is_ready() {
            changed.set(streams.changed.notified());
        }
        match connection.drain.stage() {
            Stage::Serving | Stage::Draining if times.told => {}
            Stage::Serving if !connection.ending.get() => {}
            Stage::Draining if connection.drain.is_gradual() && !connection.ending.get() => {}
            Stage::Serving | Stage::Draining => times.announce(connection, server),
            Stage::Closing => server.abort(),
        }
        times.say_goodbye(server);
        let stream = server.poll_stream(cx, &mut headers.request);
        if matches!(stream, Poll::Ready(Some(Ok(_)))) {
            return stream;
        }
        while let Some(refused) = server.take_refused() {
            refused::log(connection, refused);
        }
        if stream.is_ready() {
            return stream;
        }
        times.vigil.observe(server.watch(), times.ended && streams.count.get() == 0);
        let idle = streams.idle_since.get().zip(idle_timeout).map(|(since, timeout)| since + timeout);
        let ends = idle.into_iter().chain(times.end).filter(|_| !times.told);
        let ends = ends.chain(times.goodbye).chain(times.vigil.next());
        if times.timer.poll(ends.min(), cx).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        if times.vigil.is_goodbye_over(now) {
            connection.manager.stats.downstream_cx_delayed_close_timeout().inc();
        }
        if times.vigil.is_over(now) {
            return Poll::Ready(Some(Err(StreamError::Closed)));
        }
        if !times.told {
            let stats = &connection.manager.stats;
            match times.end.is_some_and(|end| now >= end) {
                true => stats.downstream_cx_max_duration_reached().inc(),
                false => stats.downstream_cx_idle_timeout().inc(),
            }
            times.announce(connection, server);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

fn start(
    connection: &Rc<Connection>,
    streams: &Rc<Streams>,
    mut stream: ServerStream,
    mut headers: Box<HeaderPair>,
) {
    let options = &connection.manager.options;
    streams.begun.set(streams.begun.get() + 1);
    if options.common.max_requests_per_connection.is_some_and(|limit| streams.begun.get() >= limit) {
        connection.manager.stats.downstream_cx_max_requests_reached().inc();
        connection.ending.set(true);
    }
    if stream.fields() > options.common.max_headers_count as usize {
        connection.manager.codec_stats.http2().header_overflow().inc();
        return refuse(connection, stream, headers, "http2.too_many_headers");
    }
    let action = options.common.headers_with_underscores_action;
    let codec = connection.manager.codec_stats.http2();
    match sanitize::settle_underscores(&mut headers.request, action) {
        Ok(dropped) => codec.dropped_headers_with_underscores().add(dropped as u64),
        Err(_) => {
            codec.requests_rejected_with_underscores_in_headers().inc();
            return refuse(connection, stream, headers, "http2.unexpected_underscore");
        }
    }
    let connection = Rc::clone(connection);
    let serving = Serving::new(Rc::clone(streams), Rc::clone(&connection));
    let begun = Instant::now();
    spawn_local(async move {
        let exchange = async {
            let mut timer = Timer::default();
            let (filters, snapshots) = (connection.filters(), Snapshots::default());
            let lent = (&*filters, &snapshots);
            let exchange =
                Exchange::new(&connection, lent, &mut stream, &mut timer, headers, Protocol::Http2);
            exchange.run(false).await
        };
        match AssertUnwindSafe(exchange).catch_unwind().await {
            Ok(after) => {
                let given_up = matches!(after, After::GivenUp | After::Left);
                if serving.streams.resets.count(begun.elapsed(), given_up) {
                    serving.streams.changed.notify_waiters();
                }
            }
            Err(panic) => {
                serving.streams.panic.replace(Some(panic));
                serving.streams.changed.notify_waiters();
            }
        }
    });
}

/// Resets a stream whose request is not to be served, for this reason.
fn refuse(
    connection: &Connection,
    mut stream: ServerStream,
    headers: Box<HeaderPair>,
    details: &'static str,
) {
    let wire = stream.wire();
    Downstream::abort(&mut stream, INTERNAL_ERROR);
    connection.worker.return_headers(headers);
    refused::log_reset(connection, wire, details);
}

/// Counts a stream as being served until it is dropped.
struct Serving {
    streams: Rc<Streams>,
    connection: Rc<Connection>,
}

impl Serving {
    fn new(streams: Rc<Streams>, connection: Rc<Connection>) -> Self {
        streams.count.set(streams.count.get() + 1);
        streams.idle_since.set(None);
        Serving { streams, connection }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let streams = &self.streams;
        let left = streams.count.get() - 1;
        streams.count.set(left);
        if left == 0 {
            streams.idle_since.set(Some(Instant::now()));
        }
        if left == 0 || self.connection.ending.get() {
            streams.changed.notify_waiters();
        }
    }
}
