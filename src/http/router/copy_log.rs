//! Lines about copies of requests in the logs of requests to hosts: like those of the requests themselves, of which no
//! client knows.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::codec::Pump;
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
}

impl Line {
    /// A copy begins; `None` where nobody wants to know.
    pub(super) fn begin(logs: &Logs) -> Option<Box<Self>> {
        let line = || Line {
            logs: logs.clone(),
            begun: Instant::now(),
            begun_at: SystemTime::now(),
            protocol: None,
            status: 0,
            flags: ResponseFlags::default(),
            received: 0,
        };
        (!logs.logs.is_empty()).then(line).map(Box::new)
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
            self.write(LogType::UpstreamPoolReady, worker, pool, headers, 0);
        }
    }

    /// The copy has come to its end.
    pub(super) fn end(&self, worker: &Worker, pool: &HostPool, headers: &HeaderPair, pump: &Pump) {
        self.write(LogType::UpstreamEnd, worker, pool, headers, pump.bytes);
    }

    fn write(&self, log_type: LogType, worker: &Worker, pool: &HostPool, headers: &HeaderPair, sent: u64) {
        let of_copy = filtered_copy::info(pool);
        let upstream = of_copy.upstream.map(|upstream| UpstreamInfo { protocol: self.protocol, ..upstream });
        let info = StreamInfo {
            start: self.begun,
            start_time: self.begun_at,
            protocol: self.protocol,
            response_code: self.status,
            response_flags: self.flags,
            bytes_received: self.received,
            bytes_sent: sent,
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
