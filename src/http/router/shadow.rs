//! A copy of a request on its way to a host, and what is counted of its response, which is for nobody.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::base::headers::Headers;
use crate::codec::{Frame, MessageStream, Pump, PumpError};
use crate::config::cluster::UpstreamProtocol;
use crate::http::filter::Chain;
use crate::http::local_reply::LocalReply;
use crate::http::upstream::Carrier;
use crate::http::worker::{HeaderPair, Worker};
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, Carries, HostPool};

use super::accounting::{InProgress, count_response, count_time, note_fault};
use super::balance::balance_copy;
use super::beside::Beside;
use super::connect::{acquire, idle};
use super::connecting::Connecting;
use super::copy_log::{Line, Logs};
use super::filtered_copy::Filters;
use super::mirror::Copied;
use super::passive;
use super::upstream_log::flags_of_reply as flags_of;

/// A copy of a request.
pub(super) struct Shadow {
    pub(super) worker: Rc<Worker>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) headers: Headers,
    /// `None` when nothing follows the headers.
    pub(super) body: Option<Copied>,
    /// From the end of the request to the end of the response; `None` means no limit.
    pub(super) timeout: Option<Duration>,
    /// The filters of its router.
    pub(super) hosted: Option<Arc<Chain>>,
    /// Where its router logs requests to hosts.
    pub(super) logs: Logs,
}

/// Why a copy has no whole response.
pub(super) enum Ended {
    /// It stands in place of one.
    Instead(LocalReply),
    /// The response had begun, the request was given up, or a filter answered.
    Early,
    /// There is no connection to the host.
    NoConnection(AcquireError),
}

impl Shadow {
    /// Sends the copy, reads its response and counts both.
    pub(super) async fn run(self) {
        let started = Instant::now();
        let cluster = Arc::clone(&self.cluster);
        let Some(pool) = balance_copy(&self.worker, &cluster, &self.headers, None) else {
            cluster.stats.upstream_cx_none_healthy().inc();
            return count_response(&cluster, LocalReply::no_healthy_upstream().status, true);
        };
        let ended = match self.converse(&pool).await {
            Ok(()) => return count_time(&cluster, started.elapsed(), true),
            Err(ended) => ended,
        };
        if let Ended::Instead(reply) = ended {
            count_response(&cluster, reply.status, true);
            pool.host.stats.count_response(false);
        }
    }

    async fn converse(self, pool: &Rc<HostPool>) -> Result<(), Ended> {
        let request = self.headers;
        let cluster = Arc::clone(&self.cluster);
        let kept = Kept::new();
        let mut passage = Passage {
            worker: self.worker,
            cluster: self.cluster,
            headers: HeaderPair { request, response: Headers::new() },
            body: self.body,
            filters: Filters::begin(&cluster, self.hosted.as_deref(), &kept, pool),
            timeout: self.timeout,
            sleep: None,
            line: Line::begin(&self.logs),
        };
        let mut pump = match passage.body {
            None => Pump::ended(),
            Some(_) => Pump::new(pool.cluster.config.buffer.limit_bytes),
        };
        let outcome = passage.go(pool, &mut pump).await;
        passage.log_end(pool, &pump, &outcome);
        outcome
    }
}

/// What carries a request of the proxy's own, by the protocol that its cluster speaks.
fn carries(pool: &HostPool) -> Carries {
    match pool.cluster.config.http.protocol {
        UpstreamProtocol::Http2(_) => Carries::Http2,
        UpstreamProtocol::Auto(..) => Carries::Either,
        UpstreamProtocol::Http1(_) | UpstreamProtocol::UseDownstream(..) => Carries::Http1,
    }
}

/// A stream to the host for a request of the proxy's own.
pub(super) async fn connect(worker: &Worker, pool: &Rc<HostPool>) -> Result<Carrier, LocalReply> {
    if let Some(carrier) = idle(pool, carries(pool)) {
        return Ok(carrier);
    }
    let acquired = acquire(pool, carries(pool), false).await;
    acquired.map_err(|error| no_connection(worker, pool, &error))
}

/// What it means when there is no connection.
fn no_connection(worker: &Worker, pool: &HostPool, error: &AcquireError) -> LocalReply {
    if !matches!(error, AcquireError::Overflow | AcquireError::NoPool) {
        passive::report(worker, pool, || Report::Failed);
    }
    LocalReply::no_connection(error)
}

/// A copy on its way: what still comes of it, and the time it has.
pub(super) struct Passage<'f> {
    pub(super) worker: Rc<Worker>,
    /// That it is for.
    cluster: Arc<Cluster>,
    pub(super) headers: HeaderPair,
    pub(super) body: Option<Copied>,
    /// What it passes before its host.
    pub(super) filters: Option<Box<Filters<'f>>>,
    timeout: Option<Duration>,
    /// Runs once the request is complete.
    sleep: Option<Pin<Box<Sleep>>>,
    /// What is logged of it, if it is.
    line: Option<Box<Line>>,
}

impl Passage<'_> {
    /// Sends the copy and reads its response.
    async fn go(&mut self, pool: &Rc<HostPool>, pump: &mut Pump) -> Result<(), Ended> {
        self.begin_time();
        let mut carrier = self.connect(pool).await?;
        if let Some(line) = &mut self.line {
            line.connected(carrier.protocol(), &self.worker, pool, &self.headers);
        }
        let Some(_place) = pool.cluster.circuit_breakers.of(false).try_request() else {
            pool.cluster.stats.upstream_rq_active_overflow().inc();
            return Err(Ended::Instead(LocalReply::no_connection(&AcquireError::Overflow)));
        };
        passive::report(&self.worker, pool, || Report::Connected);
        let _counted = InProgress::new(pool);
        carrier.send_headers(&self.headers.request, self.body.is_none(), false);
        let head = self.head(pool, &mut carrier, pump).await?;
        let HeaderPair { request, response } = &self.headers;
        passive::hear(pool, response);
        passive::report(&self.worker, pool, || passive::answered(pool, head, request, response));
        count_response(&self.cluster, head, true);
        Beside::of(Some(&pool.host), Some(response)).count(&self.cluster, head);
        pool.host.stats.count_response(head < 500);
        self.rest(pool, &mut carrier, pump).await
    }

    /// Writes the line of the copy, which has come to its end.
    fn log_end(&mut self, pool: &HostPool, pump: &Pump, outcome: &Result<(), Ended>) {
        let Some(line) = &mut self.line else { return };
        match outcome {
            Err(Ended::Instead(reply)) => line.flags.insert(flags_of(reply)),
            Ok(()) | Err(Ended::Early | Ended::NoConnection(_)) => {}
        }
        line.sent = pump.bytes;
        line.end(&self.worker, pool, &self.headers);
    }

    /// A connection to the host, once the copy has passed the filters before it.
    async fn connect(&mut self, pool: &Rc<HostPool>) -> Result<Carrier, Ended> {
        let mut connecting = Connecting::new(pool, carries(pool), false);
        let passed = match self.filters {
            None => Ok(()),
            // Boxed, so that copies that pass none have no room for it.
            Some(_) => Box::pin(self.pass_filters(&mut connecting)).await,
        };
        let connected = match passed {
            Ok(()) => self.within(pool, poll_fn(|cx| connecting.poll(cx).map_err(Ended::NoConnection))).await,
            stopped => stopped,
        };
        if let Err(ended) = connected {
            connecting.give_up();
            return Err(match ended {
                Ended::NoConnection(error) => Ended::Instead(no_connection(&self.worker, pool, &error)),
                ended => ended,
            });
        }
        Ok(connecting.into_carrier().expect("it was waited for"))
    }

    /// Begins the time of the response, if the request is complete.
    fn begin_time(&mut self) {
        if self.body.is_none() && self.sleep.is_none() {
            self.sleep = self.timeout.map(|timeout| Box::pin(sleep(timeout)));
        }
    }

    /// Ready when there is no more time; meanwhile the lines in between are written that are due.
    fn poll_time(&mut self, pool: &HostPool, cx: &mut Context<'_>) -> Poll<Ended> {
        if let Some(line) = &mut self.line {
            line.write_between(&self.worker, pool, &self.headers, cx);
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        sleep.as_mut().poll(cx).map(|()| {
            self.cluster.stats.upstream_rq_timeout().inc();
            pool.host.stats.count_timeout();
            Ended::Instead(LocalReply::upstream_timeout())
        })
    }

    /// Waits for a future, for as long as there is time.
    async fn within<T>(
        &mut self,
        pool: &HostPool,
        future: impl Future<Output = Result<T, Ended>>,
    ) -> Result<T, Ended> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_time(pool, cx).map(Err),
        })
        .await
    }

    /// The status of the response. The request goes on until it is there, and after it.
    async fn head(&mut self, pool: &HostPool, carrier: &mut Carrier, pump: &mut Pump) -> Result<u16, Ended> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(ended)) = self.poll_request(carrier, pump, cx) {
                return Poll::Ready(Err(ended));
            }
            match carrier.poll_head(cx, &mut self.headers.response, false) {
                Poll::Ready(Ok(head)) => {
                    if let Some(line) = &mut self.line {
                        line.status = head.status;
                    }
                    Poll::Ready(Ok(head.status))
                }
                Poll::Ready(Err(error)) => {
                    note_fault(&self.worker, error, carrier, pool);
                    Poll::Ready(Err(Ended::Instead(LocalReply::broken_upstream(error))))
                }
                Poll::Pending => self.poll_time(pool, cx).map(|ended| {
                    passive::report(&self.worker, pool, || Report::TimedOut(504));
                    Err(ended)
                }),
            }
        })
        .await
    }

    /// Reads the response to its end.
    async fn rest(&mut self, pool: &HostPool, carrier: &mut Carrier, pump: &mut Pump) -> Result<(), Ended> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(ended)) = self.poll_request(carrier, pump, cx) {
                return Poll::Ready(Err(ended));
            }
            loop {
                match carrier.poll_frame(cx) {
                    Poll::Ready(Ok(Some(frame))) => {
                        if let (Some(line), Frame::Data(data)) = (&mut self.line, frame) {
                            line.received += data.len() as u64;
                        }
                    }
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => {
                        note_fault(&self.worker, error, carrier, pool);
                        if let Some(line) = &mut self.line {
                            line.flags.insert(flags_of(&LocalReply::broken_upstream(error)));
                        }
                        return Poll::Ready(Err(Ended::Early));
                    }
                    Poll::Pending => return self.poll_time(pool, cx).map(|_| Err(Ended::Early)),
                }
            }
        })
        .await
    }

    /// Moves the request. A host that does not take it any more may have answered already.
    fn poll_request(
        &mut self,
        carrier: &mut Carrier,
        pump: &mut Pump,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Ended>> {
        let polled = pump.poll_from(|cx| self.poll_next(cx), carrier, cx);
        if let Some(line) = &mut self.line {
            line.sent = pump.bytes;
        }
        if pump.is_ended() {
            self.body = None;
            self.begin_time();
        }
        match polled {
            Poll::Ready(Err(PumpError::Source(_))) => Poll::Ready(Err(Ended::Early)),
            Poll::Ready(Err(PumpError::Sink(_)) | Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}
