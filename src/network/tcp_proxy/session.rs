//! One connection's life: it comes, a connection to a host is made for it, bytes pass, and it is logged.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::base::io::Io;
use crate::base::uuid;
use crate::config::runtime::Draw;
use crate::http::{Ungreeted, Worker};
use crate::network::filter::Admission;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{ResponseFlags, StreamInfo};

use super::TcpProxy;
use super::connecting::NotConnected;

/// A connection that is proxied. It is logged when this is dropped, however that comes about.
pub(super) struct Session<'c> {
    pub(super) proxy: &'c TcpProxy,
    pub(super) info: &'c mut StreamInfo,
    pub(super) worker: &'c Rc<Worker>,
    began: Instant,
}

impl<'c> Session<'c> {
    /// A connection that has come just now.
    pub(super) fn new(proxy: &'c TcpProxy, info: &'c mut StreamInfo, worker: &'c Rc<Worker>) -> Self {
        proxy.stats.downstream_cx_total().inc();
        // As in Envoy, how the connection to the host ended is told also where there is none.
        info.ending_mut();
        let id = uuid::random(worker.random(), worker.random());
        info.stream_id = Some(id.iter().copied().map(char::from).collect());
        Session { proxy, info, worker, began: Instant::now() }
    }

    /// Serves it to its end.
    pub(super) async fn run(
        &mut self,
        greeting: LocalBoxFuture<'_, Result<Io, Ungreeted>>,
        admission: Option<Admission>,
    ) {
        let Some(longest) = self.longest() else {
            return self.serve(greeting, admission).await;
        };
        let end = self.began + longest;
        if tokio::time::timeout_at(end, self.serve(greeting, admission)).await.is_err() {
            self.proxy.stats.max_downstream_connection_duration().inc();
            self.info.response_flags.insert(ResponseFlags::DT);
            self.note_close("max_connection_duration_reached");
        }
    }

    /// How long it may last.
    fn longest(&self) -> Option<Duration> {
        let max = self.proxy.config.max_duration?;
        let jitter = self.worker.rng.borrow_mut().fraction() * max.jitter / 100.0;
        Some(max.duration.saturating_add(max.duration.mul_f64(jitter)))
    }

    async fn serve(
        &mut self,
        greeting: LocalBoxFuture<'_, Result<Io, Ungreeted>>,
        admission: Option<Admission>,
    ) {
        let greeting = async { greeting.await.map_err(|_| None) };
        let connecting = async {
            if let Some(admission) = admission {
                admission.await;
                self.info.follow_connection();
            }
            if self.proxy.config.log_moments.on_start {
                self.log(LogType::TcpConnectionStart);
            }
            self.connect().await.map_err(Some)
        };
        // The handshake waits for nobody, nor does the connection to the host.
        let (host, client) = match futures_util::try_join!(connecting, greeting) {
            Ok(both) => both,
            Err(Some(failure)) => return self.note_failure(&failure),
            Err(None) => return,
        };
        if self.proxy.config.log_moments.on_connected {
            self.log(LogType::TcpUpstreamConnected);
        }
        self.relay(client, host).await;
    }

    /// Notes why there is no connection to a host; its flag is there already.
    fn note_failure(&mut self, failure: &NotConnected) {
        // Envoy's words, and its numbers.
        let reason = match failure {
            NotConnected::Failed => "tcp_initializion_failure:0",
            NotConnected::NoHost => "tcp_initializion_failure:1",
            NotConnected::Full => "tcp_initializion_failure:2",
            NotConnected::NoCluster => "tcp_initializion_failure:3",
        };
        self.info.ending_mut().downstream_local_close_reason = Some(reason);
    }

    /// Notes why this end closes both connections.
    pub(super) fn note_close(&mut self, reason: &'static str) {
        self.info.ending_mut().downstream_local_close_reason = Some(reason);
        if let Some(upstream) = &mut self.info.upstream {
            upstream.local_close_reason = Some(reason.into());
        }
    }

    /// Writes a line in each access log.
    pub(super) fn log(&mut self, log_type: LogType) {
        self.info.follow_connection();
        let context = Context { log_type, ..Context::without_headers(self.info) };
        let snapshot = self.worker.snapshot();
        let draw = Draw { random: self.worker.random(), runtime: &snapshot.runtime };
        for log in &self.proxy.access_log {
            log.write(&context, draw);
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.info.timing.complete = Some(self.began.elapsed());
        if let Some(refusal) = self.info.connection.refusal.get() {
            let withheld = refusal.bytes_withheld;
            self.proxy.stats.downstream_cx_rx_bytes_total().add(withheld);
            self.info.bytes_received += withheld;
            self.info.downstream_wire.received += withheld;
        }
        self.log(LogType::TcpConnectionEnd);
    }
}
