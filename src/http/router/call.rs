//! A request that a filter makes of its own, and the whole answer to it: what Envoy's async client does.
//!
//! It goes out over the worker's own connections and counts in its cluster like any other. Dropping the future gives the
//! request up.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout};

use crate::base::headers::Headers;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::http::exchange::Held;
use crate::http::local_reply::LocalReply;
use crate::http::upstream::Carrier;
use crate::http::worker::Worker;
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::outlier::Report;
use crate::upstream::pool::{AcquireError, HostPool};

use super::accounting::{InProgress, count_response, count_time, note_fault};
use super::balance::balance_copy;
use super::filtered_call::Filters;
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

impl Call {
    /// Makes the call.
    pub(in crate::http) async fn send(
        &self,
        worker: &Rc<Worker>,
        cluster: &Arc<Cluster>,
    ) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let Some(pool) = balance_copy(worker, cluster, &self.headers) else {
            cluster.stats.upstream_cx_none_healthy().inc();
            return Err(self.instead(cluster, LocalReply::no_healthy_upstream()));
        };
        let answered = Cell::new(false);
        let conversation = self.converse(worker, cluster, &pool, &answered);
        let result = match self.timeout {
            None => conversation.await,
            Some(limit) => match timeout(limit, conversation).await {
                Ok(result) => result,
                Err(_) => Err(late(worker, &pool, answered.get())),
            },
        };
        match result {
            Ok(answer) => {
                count_time(cluster, begun.elapsed(), self.internal);
                Ok(answer)
            }
            Err(CallError::Instead(reply)) => {
                pool.host.stats.count_response(false);
                Err(self.instead(cluster, reply))
            }
            Err(error) => Err(error),
        }
    }

    /// An answer in place of one counts like one.
    fn instead(&self, cluster: &Cluster, reply: LocalReply) -> CallError {
        count_response(cluster, reply.status, self.internal);
        CallError::Instead(reply)
    }

    /// Makes the call to a host. It passes the filters of its cluster, and so does the answer.
    async fn converse(
        &self,
        worker: &Rc<Worker>,
        cluster: &Cluster,
        pool: &Rc<HostPool>,
        answered: &Cell<bool>,
    ) -> Result<Answer, CallError> {
        let kept = Kept::new();
        let Some(mut filters) = Filters::begin(cluster, &kept, pool, &self.headers) else {
            return self
                .exchange(worker, pool, &self.headers, Held::whole(self.body.clone()), answered)
                .await;
        };
        // Boxed, so that calls that pass none have no room for it.
        let body = Box::pin(filters.request(worker, self.body.clone())).await?;
        let headers = &filters.headers.request;
        let mut answer = Box::pin(self.exchange(worker, pool, headers, body, answered)).await?;
        Box::pin(filters.response(worker, &mut answer)).await?;
        Ok(answer)
    }

    /// Sends the call, and reads the answer.
    async fn exchange(
        &self,
        worker: &Worker,
        pool: &Rc<HostPool>,
        sent: &Headers,
        mut body: Held,
        answered: &Cell<bool>,
    ) -> Result<Answer, CallError> {
        let mut upstream = shadow::connect(worker, pool).await.map_err(CallError::Instead)?;
        let Some(_place) = pool.cluster.circuit_breakers.of(false).try_request() else {
            pool.cluster.stats.upstream_rq_active_overflow().inc();
            return Err(CallError::Instead(LocalReply::no_connection(&AcquireError::Overflow)));
        };
        passive::report(worker, pool, || Report::Connected);
        let _counted = InProgress::new(pool);
        upstream.send_headers(sent, false, false);
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
        let head = head.await.map_err(|error| {
            note_fault(worker, error, &mut upstream, pool);
            CallError::Instead(LocalReply::broken_upstream(error))
        })?;
        answered.set(true);
        let reported = passive::hear(pool, &headers);
        passive::report(worker, pool, || passive::answered(pool, head.status, sent, &headers));
        count_response(&pool.cluster, head.status, self.internal);
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

/// Counts that a call took too long.
fn late(worker: &Worker, pool: &Rc<HostPool>, answered: bool) -> CallError {
    pool.cluster.stats.upstream_rq_timeout().inc();
    pool.host.stats.count_timeout();
    if answered {
        return CallError::Broken;
    }
    passive::report(worker, pool, || Report::TimedOut(504));
    CallError::Instead(LocalReply::upstream_timeout())
}
