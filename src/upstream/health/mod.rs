//! Active health checks: hosts are asked whether they are well. `Cluster.health_checks`
//!
//! A host of a cluster with checks is unhealthy until its first check passed, and a cluster serves only once the
//! first checks of its first hosts have ended. All of it happens on the control thread: [`run`] has a task for each
//! host, which asks and waits in turn; what an answer comes to is for [`Session`] to say. Workers only pass on when a
//! host says in the answer to a request that it is not well.
//!
//! - `session`: what checks come to; `together`: what several of one host do; `schedule`: when the next is due;
//! - `asking`: connections and requests, `agreeing`: in which protocol, `http2`: those over HTTP/2; `answer`: what is made
//!   of the answers, `call`: of those to calls of gRPC;
//! - `talking`: checks that speak no HTTP; `redis`, `thrift`: what is said and heard there; `client`: connections to
//!   Redis, which count;
//! - `run`: the tasks of a cluster; `settling`: what becomes of a check's end; `log`: its lines.

mod agreeing;
mod answer;
mod asking;
mod call;
mod client;
mod http2;
mod log;
mod redis;
mod run;
mod schedule;
mod session;
mod settling;
mod talking;
#[cfg(test)]
mod tests;
mod thrift;
mod together;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cluster::{Cluster, stat_prefix};
use super::host::{Host, health_flag};
use crate::config;
use crate::config::cluster::{Checker, HealthCheck};
use crate::observability::stats::{
    AllChecksStats, HealthCheckStats, RedisCheckStats, RedisCommandStats, Registry,
};

pub use run::{Surroundings, run};
pub use session::{Effect, Event, Failure, Rules, Session, Transition, Verdict};

/// Something for those who check a cluster's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The host with this number said in the answer to a request that it is not well.
    Unwell(u64),
    /// Hosts came or went.
    Hosts,
}

/// What a cluster with health checks has.
#[derive(Debug)]
pub struct Checks {
    /// What each of them came to, in the order of the configuration.
    each: Vec<Counted>,
    /// What they come to together, where there are several.
    all: Option<AllChecksStats>,
    /// How long Redis servers take to answer; there once one is asked.
    commands: OnceLock<RedisCommandStats>,
    alarms: UnboundedSender<Alarm>,
    /// Until the task of the cluster begins.
    heard: Mutex<Option<UnboundedReceiver<Alarm>>>,
    /// Whether the first checks of the first hosts have ended.
    complete: AtomicBool,
}

/// What one check of all hosts came to.
#[derive(Debug)]
struct Counted {
    stats: HealthCheckStats,
    /// Of Redis servers; `None` where others are asked.
    redis: Option<RedisCheckStats>,
}

/// What workers have of a host that is checked: a way to say that it called itself unwell.
#[derive(Debug)]
pub struct Complaints {
    host: u64,
    alarms: UnboundedSender<Alarm>,
}

impl Complaints {
    /// The host said in the answer to a request that it is not well: `x-envoy-immediate-health-check-fail`.
    pub fn unwell(&self) {
        // Without anybody who listens the cluster is gone.
        self.alarms.send(Alarm::Unwell(self.host)).unwrap_or_default();
    }
}

impl Checks {
    /// For a cluster whose statistics have this prefix, if it is configured to have any.
    pub(super) fn new(config: &config::Cluster, registry: &Registry, prefix: &str) -> Option<Self> {
        let checks = &config.health_checks;
        if checks.is_empty() {
            return None;
        }
        let (alarms, heard) = unbounded_channel();
        let prefix = format!("{prefix}health_check.");
        Some(Checks {
            each: checks.iter().map(|check| Counted::new(check, registry, &prefix)).collect(),
            commands: OnceLock::new(),
            all: (checks.len() > 1).then(|| AllChecksStats::new(registry, &prefix)),
            alarms,
            heard: Mutex::new(Some(heard)),
            complete: AtomicBool::new(false),
        })
    }

    /// What workers have of a new host.
    pub(super) fn complaints(&self, host: u64) -> Complaints {
        Complaints { host, alarms: self.alarms.clone() }
    }

    /// Tells those who check of something.
    pub(super) fn alarm(&self, alarm: Alarm) {
        // They may have ended already, or never have begun.
        self.alarms.send(alarm).unwrap_or_default();
    }

    /// Whether the cluster has to wait for the first check of one of these hosts.
    pub(super) fn awaited<'h>(&self, mut hosts: impl Iterator<Item = &'h std::sync::Arc<Host>>) -> bool {
        !self.complete.load(Ordering::Relaxed) && hosts.any(|host| host.is_checked())
    }

    /// How long the Redis servers of this cluster take to answer.
    fn commands(&self, cluster: &Cluster) -> &RedisCommandStats {
        self.commands.get_or_init(|| {
            RedisCommandStats::new(
                &cluster.choice,
                &format!("{}upstream_commands.", stat_prefix(&cluster.config)),
            )
        })
    }

    /// What is heard; `None` if another hears it already.
    fn listen(&self) -> Option<UnboundedReceiver<Alarm>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Counted {
    /// Of a check whose statistics begin with this, and with its name if it has one.
    fn new(check: &HealthCheck, registry: &Registry, prefix: &str) -> Self {
        let is_redis = matches!(check.checker, Checker::Redis(_));
        let stats = match check.name.as_str() {
            "" => HealthCheckStats::new(registry, prefix),
            name => HealthCheckStats::new(registry, &format!("{prefix}name.{}.", name.replace(':', "_"))),
        };
        Counted { stats, redis: is_redis.then(|| RedisCheckStats::new(registry, &format!("{prefix}redis."))) }
    }

    /// Counts how a check went.
    fn count_verdict(&self, verdict: Verdict) {
        match verdict {
            Verdict::Passed { .. } => self.stats.success().inc(),
            Verdict::Failed(failure) => {
                self.stats.failure().inc();
                if failure.is_network() {
                    self.stats.network_failure().inc();
                } else if failure == Failure::Passive {
                    self.stats.passive_failure().inc();
                }
            }
        }
    }

    /// Counts a Redis server whose key is there.
    fn count_reply(&self, checker: &Checker, verdict: Verdict) {
        if let (Some(stats), Checker::Redis(check)) = (&self.redis, checker)
            && let (Some(_), Verdict::Failed(Failure::Active { .. })) = (&check.key, verdict)
        {
            stats.exists_failure().inc();
        }
    }

    /// Counts a host with these flags in or out.
    fn count_health(&self, flags: u32, count_in: bool) {
        together::count(flags, count_in, self.stats.healthy(), self.stats.degraded());
    }
}

/// The flags that a new host has before its first check; `waits` says that until then it counts for nothing.
pub(super) fn flags_of_new_host(waits: bool) -> u32 {
    health_flag::FAILED_ACTIVE_HC | if waits { health_flag::PENDING_ACTIVE_HC } else { 0 }
}
