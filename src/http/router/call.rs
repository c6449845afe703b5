//! A request that a filter makes of its own, and the whole answer to it: what Envoy's async client does.
//!
//! It goes out over the worker's own connections and counts in its cluster like any other. Dropping the future gives the
//! request up.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep, timeout};

use crate::base::headers::Headers;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::config::route::RetryPolicy;
use crate::http::exchange::Held;
use crate::http::local_reply::LocalReply;
use crate::http::upstream::Carrier;
use crate::http::worker::Worker;
use crate::route::retry::Pause;
use crate::route::timeouts;
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, HostPool};

use super::accounting::{InProgress, count_response, count_time, note_fault};
use super::balance::balance_copy;
use super::beside::Beside;
use super::call_tries::{CallTries, Going};
use super::filtered_call::Filters;
use super::tries::count_retry;
use super::{passive, shadow};

/// A request with a body.
#[derive(Debug)]
pub(in crate::http) struct Call {
    pub(in crate::http) headers: Headers,
    pub(in crate::http) body: Bytes,
    /// How long the whole may take; `None` means no limit.
    pub(in crate::http) timeout: Option<Duration>,
    /// Whether it counts among the requests of internal origin.
    pub(in crate::http) internal: bool,
    /// Bytes of the answer's body that are read at most.
    pub(in crate::http) answer_limit: usize,
    /// When it is made again.
    pub(in crate::http) retry_policy: Option<Arc<RetryPolicy>>,
    /// How long one attempt may take until its answer begins; set when it is made.
    pub(in crate::http) per_try: Option<Duration>,
}

/// The answer to a call.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) status: u16,
    pub(in crate::http) headers: Headers,
    pub(in crate::http) body: BytesMut,
    pub(in crate::http) trailers: Option<Box<Headers>>,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(in crate::http) enum CallError {
    /// It stands in place of one.
    Instead(LocalReply),
    /// It had begun.
    Broken,
    /// It is longer than it may be.
    TooLong,
}

/// How an attempt ended that did not go well.
enum Ended {
    /// Another follows after this.
    Declined(Pause),
    Failed(CallError),
}

impl From<CallError> for Ended {
    fn from(error: CallError) -> Self {
        Ended::Failed(error)
    }
}

impl Call {
    /// Makes the call.
    pub(in crate::http) async fn send(
        mut self,
        worker: &Rc<Worker>,
        cluster: &Arc<Cluster>,
    ) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let policy = self.retry_policy.take();
        let per_try = policy.as_ref().and_then(|policy| policy.per_try_timeout);
        let (limit, per_try) = timeouts::timeouts_of_call(&mut self.headers, self.timeout, per_try);
        (self.timeout, self.per_try) = (limit, per_try);
        let mut tries = CallTries::new(policy.as_deref(), &mut self.headers, worker);
        let (internal, going) = (self.internal, Going::default());
        let attempts = self.attempt(worker, cluster, &mut tries, &going);
        let result = match limit {
            None => attempts.await,
            Some(limit) => match timeout(limit, attempts).await {
                Ok(result) => result,
                Err(_) => Err(late(&going, worker, cluster, internal)),
            },
        };
        if result.is_ok() {
            count_time(cluster, begun.elapsed(), internal);
        }
        result
    }

    /// Makes it as often as it takes.
    async fn attempt(
        &mut self,
        worker: &Rc<Worker>,
        cluster: &Arc<Cluster>,
        tries: &mut CallTries<'_>,
        going: &Going,
    ) -> Result<Answer, CallError> {
        let begun = Instant::now();
        loop {
            timeouts::tell_timeout_of_call(&mut self.headers, self.per_try, self.timeout, begun.elapsed());
            let Some(pool) = balance_copy(worker, cluster, &self.headers, Some(tries)) else {
                cluster.stats.upstream_cx_none_healthy().inc();
                return Err(instead(cluster, LocalReply::no_healthy_upstream(), self.internal));
            };
            going.begin(&pool);
            let ended = match self.converse(worker, cluster, &pool, tries, going).await {
                Ok(answer) => return Ok(answer),
                Err(ended) => ended,
            };
            let pause = match ended {
                Ended::Declined(pause) => pause,
                Ended::Failed(CallError::Instead(reply)) => {
                    pool.host.stats.count_response(false);
                    match tries.of_failure(&reply, cluster, worker) {
                        Some(pause) => pause,
                        None => return Err(instead(cluster, tries.last(reply), self.internal)),
                    }
                }
                Ended::Failed(error) => return Err(error),
            };
            going.end();
            sleep(tries.duration(pause, worker)).await;
            count_retry(&cluster.stats, pause);
        }
    }

    /// Makes the call to a host. It passes the filters of its cluster, and so does the answer.
    async fn converse(
        &self,
        worker: &Rc<Worker>,
        cluster: &Cluster,
        pool: &Rc<HostPool>,
        tries: &mut CallTries<'_>,
        going: &Going,
    ) -> Result<Answer, Ended> {
        let kept = Kept::new();
        let Some(mut filters) = Filters::begin(cluster, &kept, pool, &self.headers) else {
            let body = Held::whole(self.body.clone());
            return self.exchange(worker, pool, (&self.headers, body), tries, going).await;
        };
        // Boxed, so that calls that pass none have no room for it.
        let body = Box::pin(filters.request(worker, self.body.clone())).await?;
        let headers = &filters.headers.request;
        let mut answer = Box::pin(self.exchange(worker, pool, (headers, body), tries, going)).await?;
        Box::pin(filters.response(worker, &mut answer)).await?;
        Ok(answer)
    }

    /// Sends the call, and reads the answer.
    async fn exchange(
        &self,
        worker: &Worker,
        pool: &Rc<HostPool>,
        (sent, mut body): (&Headers, Held),
        tries: &mut CallTries<'_>,
        going: &Going,
    ) -> Result<Answer, Ended> {
        let mut upstream = shadow::connect(worker, pool).await.map_err(CallError::Instead)?;
        let Some(_place) = pool.cluster.circuit_breakers.of(false).try_request() else {
            pool.cluster.stats.upstream_rq_active_overflow().inc();
            return Err(CallError::Instead(LocalReply::no_connection(&AcquireError::Overflow)).into());
        };
        passive::report(worker, pool, || Report::Connected);
        let _counted = InProgress::new(pool);
        upstream.send_headers(sent, false, false);
        tries.note_sent();
        while let Some(Frame::Data(data)) = body.pop() {
            upstream.send_data(data);
        }
        upstream.send_end(None);
        let mut headers = Headers::new();
        let head = poll_fn(|cx| {
            // What the host does not take it may have answered already.
            let _sent = upstream.poll_flush(cx);
            upstream.poll_head(cx, &mut headers, false)
        });
        let head = match self.per_try {
            None => head.await,
            Some(limit) => timeout(limit, head).await.map_err(|_| late_attempt(worker, pool))?,
        };
        let head = head.map_err(|error| {
            note_fault(worker, error, &mut upstream, pool);
            CallError::Instead(LocalReply::broken_upstream(error))
        })?;
        going.answered();
        let reported = passive::hear(pool, &headers);
        passive::report(worker, pool, || passive::answered(pool, head.status, sent, &headers));
        if let Some(pause) = tries.of_answer(head.status, &headers, &pool.cluster, worker) {
            pool.cluster.stats.retry_upstream_rq().inc(head.status);
            pool.host.stats.count_response(false);
            return Err(Ended::Declined(pause));
        }
        count_response(&pool.cluster, head.status, self.internal);
        Beside::of(Some(&pool.host), Some(&headers)).count(&pool.cluster, head.status);
        pool.host.stats.count_response(head.status < 500);
        let mut answer = Answer { status: head.status, headers, body: BytesMut::new(), trailers: None };
        if !head.end {
            self.rest(worker, pool, &mut upstream, &mut answer).await?;
        }
        if let Some(trailers) = answer.trailers.as_deref().filter(|_| !reported) {
            passive::note_report(pool, trailers);
        }
        Ok(answer)
    }

    /// Reads what follows the head.
    async fn rest(
        &self,
        worker: &Worker,
        pool: &Rc<HostPool>,
        upstream: &mut Carrier,
        answer: &mut Answer,
    ) -> Result<(), CallError> {
        loop {
            let frame = poll_fn(|cx| -> Poll<Result<Option<Frame>, StreamError>> {
                let _sent = upstream.poll_flush(cx);
                upstream.poll_frame(cx)
            });
            match frame.await {
                Ok(Some(Frame::Data(data))) if answer.body.len() + data.len() > self.answer_limit => {
                    return Err(CallError::TooLong);
                }
                Ok(Some(Frame::Data(data))) => answer.body.extend_from_slice(&data),
                Ok(Some(Frame::Trailers(trailers))) => answer.trailers = Some(trailers),
                Ok(None) => return Ok(()),
                Err(error) => {
                    note_fault(worker, error, upstream, pool);
                    return Err(CallError::Broken);
                }
            }
        }
    }
}

/// An answer in place of one counts like one.
fn instead(cluster: &Cluster, reply: LocalReply, internal: bool) -> CallError {
    count_response(cluster, reply.status, internal);
    CallError::Instead(reply)
}

/// What comes of a call that took too long. Between two attempts no host is charged with it, as in Envoy.
fn late(going: &Going, worker: &Worker, cluster: &Cluster, internal: bool) -> CallError {
    match going.late(worker) {
        (CallError::Instead(reply), Some(pool)) => {
            pool.host.stats.count_response(false);
            instead(cluster, reply, internal)
        }
        (error, _) => error,
    }
}

/// What comes of an attempt that took too long.
fn late_attempt(worker: &Worker, pool: &HostPool) -> CallError {
    pool.cluster.stats.upstream_rq_per_try_timeout().inc();
    pool.host.stats.count_timeout();
    passive::report(worker, pool, || Report::TimedOut(504));
    CallError::Instead(LocalReply::per_try_timeout())
}
