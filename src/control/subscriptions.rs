//! The statistics of a subscription, kept as Envoy keeps them.

use std::time::{Duration, SystemTime};

use crate::base::xxhash;
use crate::config::source::ConfigSource;
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::{ReloadStats, SubscriptionStats};

/// One subscription's statistics.
#[derive(Clone, Debug)]
pub struct Counted {
    stats: SubscriptionStats,
    reloads: Option<ReloadStats>,
}

impl Counted {
    /// Under this prefix, for example `cluster_manager.cds.`; with `config_reload` if asked for.
    pub fn new(registry: &Registry, prefix: &str, source: &ConfigSource, reloads: bool) -> Self {
        let stats = SubscriptionStats::new(registry, prefix);
        begun(&stats, source);
        Counted { stats, reloads: reloads.then(|| ReloadStats::new(registry, prefix)) }
    }

    /// The same of what is not asked for yet, without `config_reload`.
    pub fn idle(registry: &Registry, prefix: &str) -> Self {
        Counted { stats: SubscriptionStats::new(registry, prefix), reloads: None }
    }

    /// A response was taken; `changed` says whether anything is different now.
    pub fn succeeded(&self, version: &str, changed: bool, now: SystemTime, took: Duration) {
        succeeded(&self.stats, version, now);
        self.stats.update_duration().record(took.as_millis() as u64);
        if changed {
            self.reloaded(now);
        }
    }

    /// What came was put in force.
    pub fn reloaded(&self, now: SystemTime) {
        if let Some(reloads) = &self.reloads {
            reloads.config_reload().inc();
            reloads.config_reload_time_ms().set(millis(now));
        }
    }

    /// Something was asked for besides.
    pub fn attempted(&self) {
        self.stats.update_attempt().inc();
    }

    /// A response was rejected.
    pub fn rejected(&self) {
        self.stats.update_rejected().inc();
        self.stats.update_attempt().inc();
    }

    /// The stream was lost.
    pub fn failed(&self) {
        self.stats.update_failure().inc();
        self.stats.update_attempt().inc();
    }

    /// Nothing came in time.
    pub fn timed_out(&self) {
        self.stats.init_fetch_timeout().inc();
    }
}

/// Counts the first attempt. A server is asked before it answers, and again after each answer; a file is only read.
pub fn begun(stats: &SubscriptionStats, source: &ConfigSource) {
    if !source.is_file() {
        stats.update_attempt().inc();
    }
}

/// Counts a response that was taken.
pub fn succeeded(stats: &SubscriptionStats, version: &str, now: SystemTime) {
    stats.update_success().inc();
    stats.update_attempt().inc();
    stats.update_time().set(millis(now));
    stats.version().set(xxhash::hash(version.as_bytes()));
    stats.version_text().set(version);
}

fn millis(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
