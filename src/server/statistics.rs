//! Statistics of the process as a whole: `server.`

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::options::Options;
use super::program::Running;
use crate::admin::{Program, ServerState, memory_usage};
use crate::base::crypto;
use crate::observability::stats::Registry;
use crate::observability::stats::http::RouterStats;
use crate::observability::stats::server::{HotRestartStats, MonitorStats, OverloadStats, ServerStats};
use crate::transport::tls::shown::{Shown, first_answer_to_expire, first_expiration};

/// What Envoy shows when no certificate will ever expire.
const NEVER_EXPIRES: u64 = u32::MAX as u64;

/// Where the statistics of the limit of connections stand.
const CONNECTIONS: &str = "overload.envoy.resource_monitors.global_downstream_max_connections.";

/// The process's statistics, renewed at each flush.
pub(super) struct Statistics {
    registry: Registry,
    server: ServerStats,
    /// `http.async-client.`: there from the beginning, whether requests of our own are made or not.
    _client: RouterStats,
    _overload: OverloadStats,
    /// Of the limit of connections, which as in Envoy never shows pressure; `None` without one.
    _connections: Option<MonitorStats>,
    _hot_restart: Option<HotRestartStats>,
    started: Instant,
    running: Rc<Running>,
    is_initialized: bool,
}

impl Statistics {
    /// The statistics of a process that began at `started`.
    pub(super) fn new(
        registry: &Registry,
        options: &Options,
        started: Instant,
        running: &Rc<Running>,
    ) -> Self {
        let server = ServerStats::new(registry, "server.");
        server.concurrency().set(options.concurrency.into());
        server.compilation_settings_fips_mode().set(crypto::is_fips().into());
        let limit = running.bootstrap.max_downstream_connections;
        Statistics {
            registry: registry.clone(),
            server,
            _client: RouterStats::new(registry, "http.async-client."),
            _overload: OverloadStats::new(registry, ""),
            _connections: limit.is_some().then(|| MonitorStats::new(registry, CONNECTIONS)),
            _hot_restart: (!options.noted.disable_hot_restart).then(|| hot_restart(registry)),
            started,
            running: Rc::clone(running),
            is_initialized: false,
        }
    }

    /// Renews what changes by itself.
    pub(super) fn renew(&mut self) {
        let state = self.running.state();
        let server = &self.server;
        server.state().set(match state {
            ServerState::Live => 0,
            ServerState::Draining => 1,
            ServerState::PreInitializing => 2,
            ServerState::Initializing => 3,
        });
        server.live().set((state == ServerState::Live).into());
        let certificates = self.running.secrets.shown();
        server.days_until_first_cert_expiring().set(days_until_first_expiration(&certificates));
        let answers = seconds_until_first_answer_expires(&certificates);
        server.seconds_until_first_ocsp_response_expiring().set(answers);
        server.uptime().set(self.started.elapsed().as_secs());
        let (_, resident) = memory_usage();
        server.memory_allocated().set(resident);
        server.memory_heap_size().set(resident);
        server.memory_physical_size().set(resident);
        server.total_connections().set(self.registry.sum_of_gauge("ListenerStats", "downstream_cx_active"));
        if !self.is_initialized && state == ServerState::Live {
            self.is_initialized = true;
            server.initialization_time_ms().record(self.started.elapsed().as_millis() as u64);
        }
    }
}

/// Nothing takes over here, so this is the first generation always.
fn hot_restart(registry: &Registry) -> HotRestartStats {
    let stats = HotRestartStats::new(registry, "server.");
    stats.hot_restart_generation().set(1);
    stats
}

fn days_until_first_expiration(contexts: &[Shown]) -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let Some(first) = first_expiration(contexts) else { return NEVER_EXPIRES };
    first.duration_since(SystemTime::now()).map_or(0, |left| left.as_secs() / DAY)
}

/// 0 where no answer is shown, as in Envoy.
fn seconds_until_first_answer_expires(contexts: &[Shown]) -> u64 {
    let first = first_answer_to_expire(contexts);
    first.and_then(|first| first.duration_since(SystemTime::now()).ok()).map_or(0, |left| left.as_secs())
}

/// Renews statistics and ends the interval of histograms, again and again.
pub(super) async fn flush(registry: Registry, mut statistics: Statistics, interval: Option<Duration>) {
    let mut phase = statistics.running.phase.clone();
    statistics.renew();
    // Without an interval only the admin interface flushes; the start is shown nevertheless.
    let mut ticks = interval.map(tokio::time::interval);
    loop {
        let tick = async {
            match &mut ticks {
                Some(ticks) => {
                    ticks.tick().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tick => registry.latch_histograms(),
            changed = phase.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        statistics.renew();
    }
}
