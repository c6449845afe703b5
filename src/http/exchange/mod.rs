//! One request and its response, from the request's complete head to the access log.
//!
//! - `request`: what every request must keep to, whatever its route; `dispatch`: what its route makes of it;
//! - `discovery`: what a request without a route may wait for;
//! - `interim`: what comes before a response;
//! - `response`: the head of a response; `reply`: an answer of the proxy's own; `mapping`: what the configuration
//!   makes of that;
//! - `filtering`: the heads of both on their way through the filters; `passing`: their bodies; `held`: what waits;
//! - `to_host`: the filters between the router and a host;
//! - `replay`: what of a request is kept, so that it can be sent again;
//! - `again`: the exchange after one whose redirect is followed here;
//! - `outcome`: what a fault or a deadline comes to; `end`: counting and logging.

mod again;
mod discovery;
mod dispatch;
mod end;
mod filtering;
mod held;
mod interim;
mod mapping;
mod outcome;
mod passing;
mod replay;
mod reply;
mod request;
mod response;
mod to_host;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use tokio::time::Instant;

use crate::base::headers::Headers;
use crate::base::timer::Timer;
use crate::codec::Pump;
use crate::config::router::Router;
use crate::observability::access_log::AccessLog;
use crate::observability::stats::HttpStats;
use crate::observability::stream_info::{Protocol, StreamInfo};
use crate::route::internal_redirect::Redirects;
use crate::route::timeouts::Timeouts;
use crate::upstream::pool::HostPool;
use crate::upstream::{Cluster, TransportOptions};

use super::active::Active;
use super::deadlines::{Deadlines, Interrupt};
use super::downstream::Downstream;
use super::filter::{Chain, Chains, Passing};
use super::manager::Connection;
use super::router::{Mirror, UpstreamEntry};
use super::snapshots::Snapshots;
use super::tracing::Trace;
use super::worker::HeaderPair;

pub(super) use held::Held;
pub(super) use outcome::{After, Failure, client_gone};
pub(super) use passing::{Way, poll_next, through};
pub(super) use replay::Replay;
pub(super) use reply::grpc_status;
pub(super) use to_host::Stopped;

/// A request in the making of its response.
pub(super) struct Exchange<'c, D> {
    pub(super) connection: &'c Connection,
    pub(super) down: &'c mut D,
    timer: &'c mut Timer,
    pub(super) headers: Box<HeaderPair>,
    pub(super) info: StreamInfo,
    pub(super) deadlines: Deadlines,
    pub(super) started: Instant,
    pub(super) timeouts: Timeouts,
    pub(super) request_pump: Pump,
    /// What was read of the request ahead of the pump, and of the response.
    pub(super) request_body: Held,
    pub(super) response_body: Held,
    /// The number by which its cluster was chosen, where another attempt may choose again.
    pub(super) cluster_number: u64,
    /// Of a request that may have to be sent again: its body.
    pub(super) replay: Option<Box<Replay>>,
    /// Its copies that are not complete.
    pub(super) mirrors: Vec<Mirror>,
    /// The redirects that were followed before it, or on its way.
    pub(super) redirects: Option<Box<Redirects>>,
    /// Of the attempt in progress, where that is logged.
    pub(super) upstream_log: Option<Box<UpstreamEntry>>,
    /// Its span, where requests are traced.
    pub(super) trace: Option<Box<Trace>>,
    /// For the access log.
    pub(super) response_trailers: Option<Box<Headers>>,
    pub(super) upgrade: bool,
    /// Counts it where it is an upgrade, or a CONNECT, that is served.
    active_upgrade: Option<Active<'c>>,
    /// The cluster that the attempt was for, where its host is that of another: an aggregate one.
    pub(super) aggregate: Option<Arc<Cluster>>,
    /// What it says of its connections; `None` where that is nothing.
    pub(super) transport_options: Option<Rc<TransportOptions>>,
    /// Its host, where responses of that are counted beside others.
    pub(super) beside: Option<Rc<HostPool>>,
    /// Under which its response is counted a second time.
    pub(super) alternate: Option<Box<[u8]>>,
    /// By which its host was chosen.
    pub(super) hash: Option<u64>,
    /// `Set-Cookie`s that go with the response.
    pub(super) cookies_given: Vec<String>,
    /// Its method is CONNECT.
    pub(super) connect: bool,
    pub(super) internal: bool,
    /// Whether attempts whose time is over go on beside others.
    pub(super) hedges: bool,
    /// The status of a response that takes too long: what the client asks for, or 504.
    pub(super) late_status: u16,
    /// The filters that it passes; none before `filtering`.
    filters: Passing<'c>,
    chains: &'c Chains,
    /// What it has taken.
    snapshots: &'c Snapshots,
    /// What the router at their end was told.
    pub(super) router: &'c Router,
    /// Where its requests to hosts are logged.
    pub(super) upstream_logs: &'c Arc<[AccessLog]>,
    /// The filters between the router and hosts of clusters that have none of their own.
    pub(super) hosted: Option<&'c Arc<Chain>>,
    filtering: bool,
    /// How many of the filters have let the request's headers pass, or hold them.
    passed: usize,
    /// Whether a response has come to the filters; they see no other.
    response_filtered: bool,
    response_started: bool,
    pub(super) close: bool,
    /// Whether it could be read, and is of a version that is served.
    admitted: bool,
    _active: Active<'c>,
}

impl<'c, D: Downstream> Exchange<'c, D> {
    pub(super) fn new(
        connection: &'c Connection,
        (chains, snapshots): (&'c Chains, &'c Snapshots),
        down: &'c mut D,
        timer: &'c mut Timer,
        headers: Box<HeaderPair>,
        protocol: Protocol,
    ) -> Self {
        let options = &connection.manager.options;
        let started = Instant::now();
        let mut deadlines = Deadlines::new(
            started,
            options.timeouts.stream_idle_timeout,
            options.timeouts.request_timeout,
            options.common.max_stream_duration,
        );
        if !connection.manager.access_log.is_empty() {
            deadlines.set_log(options.access_log_moments.flush_interval.map(|interval| started + interval));
        }
        let stats = &connection.manager.stats;
        stats.downstream_rq_total().inc();
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
            timeouts: Timeouts::default(),
            request_pump: Pump::new(None),
            request_body: Held::default(),
            response_body: Held::default(),
            cluster_number: 0,
            replay: None,
            mirrors: Vec::new(),
            redirects: None,
            upstream_log: None,
            trace: None,
            response_trailers: None,
            upgrade: false,
            active_upgrade: None,
            transport_options: None,
            aggregate: None,
            hash: None,
            cookies_given: Vec::new(),
            connect: false,
            internal: false,
            hedges: false,
            late_status: 504,
            beside: None,
            alternate: None,
            filters: Passing::new(),
            chains,
            snapshots,
            router: chains.usual().router(),
            upstream_logs: chains.usual().upstream_logs(),
            hosted: chains.usual().upstream(),
            filtering: false,
            passed: 0,
            response_filtered: false,
            response_started: false,
            close: false,
            admitted: false,
            _active: Active::new(stats, HttpStats::downstream_rq_active),
        }
    }

    /// Serves the request whose head has come.
    pub(super) async fn run(mut self, close: bool) -> After {
        self.close = close;
        self.info.downstream_wire = self.down.wire();
        loop {
            match self.serve().await {
                Err(Failure::Redirected) => self = self.again(),
                served => return self.conclude(served, None).await,
            }
        }
    }

    async fn serve(&mut self) -> Result<(), Failure> {
        let checked = self.check();
        // As in Envoy one of a version that is not served has not come, however it ends.
        self.admitted = !matches!(&checked, Err(reply) if reply.status == 426);
        // As in Envoy before anybody looks whether the request is a good one; not anew for where it is redirected.
        if self.redirects.is_none() && self.admitted {
            self.answer_expectation().await?;
        }
        checked?;
        self.route().await
    }

    /// Answers a request that could not be read, or ends one whose client has left before it was there.
    pub(super) async fn refuse(mut self, failure: Failure) -> After {
        self.request_pump = Pump::ended();
        self.conclude(Err(failure), None).await
    }

    /// Whether the request asks for bytes to pass as they are, both ways: an upgrade or a CONNECT.
    pub(super) fn asks_tunnel(&self) -> bool {
        self.upgrade || self.connect
    }

    /// Waits for `poll`, within the stream's deadlines and as long as the client is there.
    pub(super) async fn until<T>(
        &mut self,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Interrupt> {
        poll_fn(|cx| match poll(self, cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll_interrupt(cx).map(Err),
        })
        .await
    }

    /// Writes the lines in between that are due, and waits for what ends the wait.
    fn poll_interrupt(&mut self, cx: &mut Context<'_>) -> Poll<Interrupt> {
        loop {
            if let Some(interrupt) = ready!(self.watch().poll_interrupt(cx)) {
                return Poll::Ready(interrupt);
            }
            self.log_in_between();
        }
    }

    fn watch(&mut self) -> Watch<'_, D> {
        Watch { down: self.down, timer: self.timer, deadlines: &mut self.deadlines }
    }
}

/// What ends the wait of an exchange: the times that it must keep, and its client.
struct Watch<'w, D> {
    down: &'w mut D,
    timer: &'w mut Timer,
    deadlines: &'w mut Deadlines,
}

impl<D: Downstream> Watch<'_, D> {
    /// Waits for a future, within the stream's deadlines and as long as the client is there. Lines in between wait, too.
    async fn until_done<F: Future>(mut self, future: F) -> Result<F::Output, Interrupt> {
        let log = self.deadlines.set_log(None);
        let mut future = pin!(future);
        let done = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => match ready!(self.poll_interrupt(cx)) {
                Some(interrupt) => Poll::Ready(Err(interrupt)),
                // None is due as long as none is to be written.
                None => Poll::Pending,
            },
        })
        .await;
        self.deadlines.set_log(log);
        done
    }

    /// What ends the wait; `None` when a line in between is due.
    fn poll_interrupt(&mut self, cx: &mut Context<'_>) -> Poll<Option<Interrupt>> {
        // Only a stream can be seen to be reset while its request still comes.
        if (D::MULTIPLEXED || self.down.request_is_complete())
            && let Poll::Ready(closed) = self.down.poll_closed(cx)
        {
            return Poll::Ready(Some(closed));
        }
        while self.timer.poll(self.deadlines.next(), cx).is_ready() {
            let now = Instant::now();
            if let Some(interrupt) = self.deadlines.passed(now) {
                return Poll::Ready(Some(interrupt));
            }
            if self.deadlines.log_is_due(now) {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    }
}
