//! One connection's life: it comes, a connection to a host is made for it, bytes pass, and it is logged.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::base::io::Io;
use crate::base::uuid;
use crate::config::runtime::Draw;
use crate::http::drain::Drain;
use crate::http::{Ungreeted, Worker};
use crate::network::filter::Admission;
use crate::observability::format::{Context, LogType};
use crate::observability::stream_info::{Address, ResponseFlags, StreamInfo};

use super::TcpProxy;
use super::config::ConnectMode;
use super::connecting::{Link, NotConnected};
use super::direct::Ways;
use super::tunnel::Tunnelled;

/// The object of the filter state that says in milliseconds for how long a connection may idle.
const IDLE_TIMEOUT: &str = "envoy.tcp_proxy.per_connection_idle_timeout_ms";

/// A connection that is proxied. It is logged when this is dropped, however that comes about.
pub(super) struct Session<'c> {
    pub(super) proxy: &'c TcpProxy,
    pub(super) info: &'c mut StreamInfo,
    pub(super) worker: &'c Rc<Worker>,
    /// Tells why it has to end when it has to.
    drain: &'c Drain,
    /// Writes the lines of its listener, which come before its own.
    log_listener: &'c dyn Fn(&mut StreamInfo),
    began: Instant,
    /// It goes on through a tunnel.
    pub(super) is_tunnelled: bool,
    /// The host that was asked for a tunnel, and has not answered.
    pub(super) asked: Option<Address>,
}

impl<'c> Session<'c> {
    /// A connection that has come just now.
    pub(super) fn new(
        proxy: &'c TcpProxy,
        info: &'c mut StreamInfo,
        worker: &'c Rc<Worker>,
        drain: &'c Drain,
        log_listener: &'c dyn Fn(&mut StreamInfo),
    ) -> Self {
        proxy.stats.downstream_cx_total().inc();
        // As in Envoy, how the connection to the host ended is told also where there is none.
        info.ending_mut();
        let id = uuid::random(worker.random(), worker.random());
        info.stream_id = Some(id.iter().copied().map(char::from).collect());
        Session {
            proxy,
            info,
            worker,
            drain,
            log_listener,
            began: Instant::now(),
            is_tunnelled: false,
            asked: None,
        }
    }

    /// Serves it to its end.
    pub(super) async fn run(
        &mut self,
        greeting: LocalBoxFuture<'_, Result<Io, Ungreeted>>,
        admission: Option<Admission>,
    ) {
        let Some(longest) = self.proxy.config.max_duration else {
            return self.serve(greeting, admission).await;
        };
        let end = self.began + longest.of(self.worker.rng.borrow_mut().fraction());
        if tokio::time::timeout_at(end, self.serve(greeting, admission)).await.is_err() {
            self.proxy.stats.max_downstream_connection_duration().inc();
            self.info.response_flags.insert(ResponseFlags::DT);
            if let Some(host) = self.asked.take() {
                self.info.response_flags.insert(ResponseFlags::UF);
                self.info.upstream.iter_mut().for_each(|upstream| upstream.host = Some(host.clone()));
            }
            self.note_close("max_connection_duration_reached");
        }
    }

    async fn serve(
        &mut self,
        greeting: LocalBoxFuture<'_, Result<Io, Ungreeted>>,
        admission: Option<Admission>,
    ) {
        let config = &self.proxy.config;
        let met = if config.connect_mode == ConnectMode::Immediate && config.max_early_data_bytes.is_none() {
            let greeting = async { greeting.await.map_err(|_| None) };
            let connecting = async {
                self.admit(admission).await;
                self.connect().await.map_err(Some)
            };
            // The handshake waits for nobody, nor does the connection to the host.
            futures_util::try_join!(connecting, greeting).map(|(link, client)| (link, client, BytesMut::new()))
        } else {
            // Boxed, so that connections that are not read early have no room for it.
            Box::pin(self.meet(greeting, admission)).await
        };
        let (link, client, early) = match met {
            Ok(met) => met,
            Err(Some(failure)) => return self.note_failure(&failure),
            Err(None) => return,
        };
        if self.proxy.config.log_moments.on_connected {
            self.log(LogType::TcpUpstreamConnected);
        }
        let limit = self.proxy.buffer_limit_bytes;
        match link {
            Link::Direct(host) => self.relay(Ways::new(client, host, limit).after(&early)).await,
            Link::Tunnel(tunnel) => {
                let propagates_trailers = self.tunneling().is_some_and(|tunneling| tunneling.propagates_trailers);
                // Boxed, so that connections that are not tunnelled have no room for it.
                let tunnelled = Tunnelled::new(client, tunnel, limit, propagates_trailers);
                Box::pin(self.relay(tunnelled.after(early))).await;
            }
        }
    }

    /// Waits until the filters before this one have let the connection pass.
    pub(super) async fn admit(&mut self, admission: Option<Admission>) {
        if let Some(admission) = admission {
            admission.await;
            self.info.follow_connection();
        }
        if self.proxy.config.log_moments.on_start {
            self.log(LogType::TcpConnectionStart);
        }
    }

    /// Whether the connection ends with what passes, its listener draining.
    pub(super) fn ends_with_drain(&self) -> bool {
        self.proxy.config.check_drain_close && self.drain.ends_connection(|| self.worker.random())
    }

    /// How long no byte may pass; `None` means no limit.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        let own = self.info.notes().and_then(|notes| notes.state(IDLE_TIMEOUT));
        let own = own.and_then(|object| std::str::from_utf8(object.text()).ok()?.parse().ok());
        own.map(Duration::from_millis).or(self.proxy.config.idle_timeout)
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

    /// Counts and notes that nothing has passed for too long.
    pub(super) fn note_idle(&mut self) {
        self.proxy.stats.idle_timeout().inc();
        self.note_close("tcp_session_idle_timeout");
    }

    /// Notes why this end closes both connections.
    pub(super) fn note_close(&mut self, reason: &'static str) {
        self.info.ending_mut().downstream_local_close_reason = Some(reason);
        if let Some(upstream) = &mut self.info.upstream
            && !self.is_tunnelled
        {
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
        if let Some(reason) = self.drain.closing_reason() {
            self.note_close(reason);
        }
        if let Some(refusal) = self.info.connection.refusal.get() {
            let withheld = refusal.bytes_withheld;
            self.proxy.stats.downstream_cx_rx_bytes_total().add(withheld);
            self.info.bytes_received += withheld;
            self.info.downstream_wire.received += withheld;
        }
        self.info.follow_connection();
        (self.log_listener)(self.info);
        self.log(LogType::TcpConnectionEnd);
    }
}
