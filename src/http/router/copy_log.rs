//! Lines about copies of requests in the logs of requests to hosts: like those of the requests themselves, of which no
//! client knows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Instant, SystemTime};

use tokio::time::{Sleep, sleep};

use crate::config::router::UpstreamLogMoments;
use crate::config::runtime::Draw;
use crate::http::worker::{HeaderPair, Worker};
use crate::observability::access_log::AccessLog;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{Protocol, ResponseFlags, StreamInfo, Timing, UpstreamInfo};
use crate::upstream::pool::HostPool;

use super::filtered_copy;

/// The logs of a router's requests to hosts, and when it has lines written.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    pub(super) logs: Arc<[AccessLog]>,
    pub(super) moments: UpstreamLogMoments,
}

/// What the lines of a copy tell.
#[derive(Debug)]
pub(super) struct Line {
    logs: Logs,
    begun: Instant,
    begun_at: SystemTime,
    pub(super) protocol: Option<Protocol>,
    /// 0 before there is a response.
    pub(super) status: u16,
    pub(super) flags: ResponseFlags,
    /// Bytes of the response's body.
    pub(super) received: u64,
    /// Bytes of the copy's body that were sent.
    pub(super) sent: u64,
    /// Ends when the next line in between is due.
    between: Option<Pin<Box<Sleep>>>,
}

impl Line {
    /// A copy begins; `None` where nobody wants to know.
    pub(super) fn begin(logs: &Logs) -> Option<Box<Self>> {
        (!logs.logs.is_empty()).then(|| Box::new(Line::of(logs.clone())))
    }

    fn of(logs: Logs) -> Self {
        Line {
            between: logs.moments.flush_interval.map(|interval| Box::pin(sleep(interval))),
            logs,
            begun: Instant::now(),
            begun_at: SystemTime::now(),
            protocol: None,
            status: 0,
            flags: ResponseFlags::default(),
            received: 0,
            sent: 0,
        }
    }

    /// There is a connection for the copy.
    pub(super) fn connected(
        &mut self,
        protocol: Option<Protocol>,
        worker: &Worker,
        pool: &HostPool,
        headers: &HeaderPair,
    ) {
        self.protocol = protocol;
        if self.logs.moments.on_upstream_stream {
            self.write(LogType::UpstreamPoolReady, worker, pool, headers);
        }
    }

    /// Writes the line in between that is due, if one is, and waits for the next.
    pub(super) fn write_between(
        &mut self,
        worker: &Worker,
        pool: &HostPool,
        headers: &HeaderPair,
        cx: &mut TaskContext<'_>,
    ) {
        while self.poll_due(cx).is_ready() {
            self.write(LogType::UpstreamPeriodic, worker, pool, headers);
        }
    }

    /// Ready when a line in between is due; the next is after the interval then.
    fn poll_due(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Some(between), Some(interval)) = (&mut self.between, self.logs.moments.flush_interval) else {
            return Poll::Pending;
        };
        ready!(between.as_mut().poll(cx));
        between.as_mut().reset(tokio::time::Instant::now() + interval);
        Poll::Ready(())
    }

    /// The copy has come to its end.
    pub(super) fn end(&self, worker: &Worker, pool: &HostPool, headers: &HeaderPair) {
        self.write(LogType::UpstreamEnd, worker, pool, headers);
    }

    fn write(&self, log_type: LogType, worker: &Worker, pool: &HostPool, headers: &HeaderPair) {
        let of_copy = filtered_copy::info(pool);
        let upstream = of_copy.upstream.map(|upstream| UpstreamInfo { protocol: self.protocol, ..upstream });
        let info = StreamInfo {
            start: self.begun,
            start_time: self.begun_at,
            protocol: self.protocol,
            response_code: self.status,
            response_flags: self.flags,
            bytes_received: self.received,
            bytes_sent: self.sent,
            timing: Timing { complete: Some(self.begun.elapsed()), ..Timing::default() },
            upstream_attempts: 0,
            upstream,
            ..of_copy
        };
        let context = Context { log_type, ..Context::new(&info, &headers.request, &headers.response) };
        let snapshot = worker.snapshot();
        let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
        self.logs.logs.iter().for_each(|log| log.write(&context, draw));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_in_between_is_due_after_each_interval() {
        let moments = UpstreamLogMoments {
            flush_interval: Some(Duration::from_secs(1)),
            ..UpstreamLogMoments::default()
        };
        let mut line = Line::of(Logs { logs: Arc::default(), moments });
        let mut cx = TaskContext::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(line.poll_due(&mut cx).is_pending());
            tokio::time::advance(Duration::from_millis(999)).await;
            assert!(line.poll_due(&mut cx).is_pending());
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(line.poll_due(&mut cx).is_ready());
        }
        let silent = Logs { logs: Arc::default(), moments: UpstreamLogMoments::default() };
        assert!(Line::of(silent).poll_due(&mut cx).is_pending());
    }
}
