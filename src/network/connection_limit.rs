//! `envoy.filters.network.connection_limit`: closes connections where there are too many.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::connection_limit::v3;
use futures_util::FutureExt;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::runtime::RuntimeFlag;
use crate::observability::stats::network::ConnectionLimitStats;
use crate::observability::stream_info::Refusal;

use super::filter::{Context, Filter, Guest, Made, Step};
use super::read;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.connection_limit",
    type_name: "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    stat_prefix: String,
    /// Connections that there may be at once; at least one.
    max_connections: u64,
    /// How long one too many stays open.
    delay: Option<Duration>,
    /// Whether connections are counted; they are when absent.
    runtime_enabled: Option<RuntimeFlag>,
}

impl Config {
    fn from_proto(message: v3::ConnectionLimit, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ConnectionLimit = message;
            implemented { stat_prefix, max_connections, delay, runtime_enabled }
        }
        let max_connections = at.required("max_connections", max_connections)?.value;
        if max_connections == 0 {
            at.field("max_connections").violation("value must be greater than or equal to 1");
        }
        Some(Config {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            max_connections,
            delay: at.duration("delay", delay).filter(|delay| !delay.is_zero()),
            runtime_enabled: at.message("runtime_enabled", runtime_enabled, RuntimeFlag::from_proto),
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, context: &Context<'_>) -> Result<Made, String> {
    let stats =
        ConnectionLimitStats::new(context.registry, &format!("connection_limit.{}.", config.stat_prefix));
    let limit = ConnectionLimit { config: config.clone(), counts: Arc::new(Counts::new(stats)) };
    Ok(Made::Filter(Arc::new(limit)))
}

/// The limit of a chain in force.
#[derive(Debug)]
struct ConnectionLimit {
    config: Config,
    counts: Arc<Counts>,
}

/// The connections that there are, on all workers.
#[derive(Debug)]
struct Counts {
    connections: AtomicU64,
    stats: ConnectionLimitStats,
}

impl Counts {
    fn new(stats: ConnectionLimitStats) -> Self {
        Counts { connections: AtomicU64::new(0), stats }
    }
}

/// A connection that is counted until this is dropped.
struct Counted(Arc<Counts>);

impl Counted {
    /// Counts one more; with how many there were before.
    fn new(counts: &Arc<Counts>) -> (Self, u64) {
        counts.stats.active_connections().inc();
        let before = counts.connections.fetch_add(1, Ordering::Relaxed);
        (Counted(Arc::clone(counts)), before)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.stats.active_connections().dec();
    }
}

impl Filter for ConnectionLimit {
    fn accepted(&self, guest: &Rc<Guest>) -> Step {
        let runtime = &guest.worker.snapshot().runtime;
        if self.config.runtime_enabled.as_ref().is_some_and(|enabled| !enabled.value(runtime)) {
            return Step::Pass;
        }
        // As in Envoy one too many counts, too, as long as it is there.
        let (counted, before) = Counted::new(&self.counts);
        guest.keep(counted);
        if before < self.config.max_connections {
            return Step::Pass;
        }
        self.counts.stats.limited_connections().inc();
        let refusal = Refusal::new("over_connection_limit");
        match self.config.delay {
            None => Step::Refuse(refusal),
            Some(delay) => Step::Wait(
                async move {
                    tokio::time::sleep(delay).await;
                    Err(refusal)
                }
                .boxed_local(),
            ),
        }
    }
}
