//! The tasks that check the hosts of one cluster, on the control thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::asking::Asking;
use super::session::{Failure, Rules, Session, Transition, Verdict};
use super::{Alarm, Checks, log, schedule};
use crate::base::random::Rng;
use crate::config::cluster::HealthCheck;
use crate::config::runtime::Values;
use crate::observability::access_log::Sink;
use crate::upstream::host::health_flag;
use crate::upstream::{Cluster, Host, outlier};

/// What the tasks of a cluster use.
pub struct Surroundings {
    /// The runtime's values in force.
    pub runtime: Rc<dyn Fn() -> Arc<Values>>,
    /// Where changes of health are logged.
    pub logs: Vec<Sink>,
    /// Called once the first checks of the first hosts have ended.
    pub complete: Box<dyn Fn()>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("logs", &self.logs.len()).finish_non_exhaustive()
    }
}

/// Checks the hosts of a cluster until dropped. Ends at once for one without checks, or that is checked already.
pub async fn run(cluster: Arc<Cluster>, surroundings: Surroundings, rng: Rng) {
    let Some(mut alarms) = cluster.checks.as_ref().and_then(Checks::listen) else { return };
    let checking = Rc::new(Checking {
        cluster: Arc::clone(&cluster),
        surroundings,
        rng: RefCell::new(rng),
        sessions: RefCell::default(),
        awaited: Cell::new(None),
        publishing: Cell::default(),
        published: Notify::new(),
    });
    let mut tasks = Tasks::default();
    tasks.reconcile(&checking);
    loop {
        tokio::select! {
            // What changes at once is published together, at last.
            biased;
            Some(alarm) = alarms.recv() => match alarm {
                Alarm::Hosts => tasks.reconcile(&checking),
                Alarm::Unwell(host) => checking.unwell(host),
            },
            // Tasks of hosts end only when they are aborted.
            Some(_) = tasks.running.join_next() => {}
            () = checking.published.notified() => checking.publish_rest(),
        }
    }
}

/// A task for each host.
#[derive(Default)]
struct Tasks {
    running: JoinSet<()>,
    by_host: HashMap<u64, AbortHandle>,
}

impl Tasks {
    /// Begins to check hosts that are new, and ends it for those that are gone.
    fn reconcile(&mut self, checking: &Rc<Checking>) {
        let hosts: HashMap<u64, Arc<Host>> = checking.hosts();
        let gone: Vec<u64> = self.by_host.keys().filter(|host| !hosts.contains_key(host)).copied().collect();
        for host in gone {
            if let Some(task) = self.by_host.remove(&host) {
                task.abort();
            }
            checking.forget(host);
        }
        for (id, host) in hosts {
            self.by_host.entry(id).or_insert_with(|| {
                checking.begin(&host);
                self.running.spawn_local(check_always(Rc::clone(checking), host))
            });
        }
        checking.note_first(None);
    }
}

/// Checks one host for as long as it is there.
async fn check_always(checking: Rc<Checking>, host: Arc<Host>) {
    let Some(config) = &checking.cluster.config.health_check else { return };
    let mut asking = Asking::new(Arc::clone(&checking.cluster), Arc::clone(&host));
    let first = schedule::first(&config.intervals, &checking.runtime(), &mut checking.rng.borrow_mut());
    if let Some(pause) = first {
        sleep(pause).await;
    }
    loop {
        let pause = checking.check(config, &mut asking).await;
        // A host that ends a connection on which nothing but bytes are heard has failed, as in Envoy.
        if timeout(pause, asking.ended()).await.is_ok() {
            let pause = checking.heard(config, &host, Verdict::Failed(Failure::Network));
            sleep(pause).await;
        }
    }
}

/// What the tasks of one cluster have in common.
struct Checking {
    cluster: Arc<Cluster>,
    surroundings: Surroundings,
    rng: RefCell<Rng>,
    sessions: RefCell<HashMap<u64, (Arc<Host>, Session)>>,
    /// Hosts whose first check is waited for; `None` before there were any hosts.
    awaited: Cell<Option<usize>>,
    publishing: Cell<Publishing>,
    /// Told when a change was published at once.
    published: Notify,
}

/// How far the cluster knows of the health of its hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Publishing {
    /// It knows of all there is, and what comes next is published at once.
    #[default]
    AtOnce,
    /// It was told just now: what comes next can wait.
    JustNow,
    /// It was told just now, and does not know of what came since.
    Behind,
}

impl Checking {
    fn runtime(&self) -> Arc<Values> {
        (self.surroundings.runtime)()
    }

    fn checks(&self) -> Option<&Checks> {
        self.cluster.checks.as_ref()
    }

    /// The hosts that are to be checked.
    fn hosts(&self) -> HashMap<u64, Arc<Host>> {
        let hosts = self.cluster.hosts();
        hosts.iter().filter(|host| host.is_checked()).map(|host| (host.id, Arc::clone(host))).collect()
    }

    fn begin(&self, host: &Arc<Host>) {
        self.sessions.borrow_mut().insert(host.id, (Arc::clone(host), Session::default()));
        self.count_health(host.health_flags(), true);
    }

    fn forget(&self, host: u64) {
        if let Some((host, session)) = self.sessions.borrow_mut().remove(&host) {
            self.count_health(host.health_flags(), false);
            self.note_first(session.is_new().then_some(()));
        }
    }

    /// Counts a host with these flags in or out.
    fn count_health(&self, flags: u32, count_in: bool) {
        let Some(checks) = self.checks() else { return };
        let (healthy, degraded) = (checks.stats.healthy(), checks.stats.degraded());
        for (gauge, is_so) in [
            (healthy, flags & health_flag::FAILED_ACTIVE_HC == 0),
            (degraded, flags & health_flag::DEGRADED_ACTIVE_HC != 0),
        ] {
            match (is_so, count_in) {
                (true, true) => gauge.inc(),
                (true, false) => gauge.dec(),
                (false, _) => {}
            }
        }
    }

    /// Asks a host once; time to the next check.
    async fn check(&self, config: &HealthCheck, asking: &mut Asking) -> Duration {
        let host = Arc::clone(&asking.host);
        let Some(checks) = self.checks() else { return config.intervals.interval };
        checks.stats.attempt().inc();
        let runtime = self.runtime();
        let asked = asking.ask(config, &runtime, || checks.stats.verify_cluster().inc());
        let verdict = match timeout(config.timeout, asked).await {
            Ok(verdict) => verdict,
            Err(_) => Verdict::Failed(Failure::Timeout),
        };
        checks.count_reply(&config.checker, verdict);
        self.heard(config, &host, verdict)
    }

    /// A host said to somebody else that it is not well.
    fn unwell(&self, host: u64) {
        let host = self.sessions.borrow().get(&host).map(|(host, _)| Arc::clone(host));
        if let (Some(host), Some(config)) = (host, &self.cluster.config.health_check) {
            self.settle(config, &host, Verdict::Failed(Failure::Passive));
        }
    }

    /// Puts in force what a check came to; time to the next.
    fn heard(&self, config: &HealthCheck, host: &Arc<Host>, verdict: Verdict) -> Duration {
        let transition = self.settle(config, host, verdict);
        let passed = matches!(verdict, Verdict::Passed { .. });
        let had_traffic = self.cluster.had_traffic();
        let (runtime, mut rng) = (self.runtime(), self.rng.borrow_mut());
        schedule::next(&config.intervals, (passed, transition), had_traffic, &runtime, &mut rng)
    }

    fn settle(&self, config: &HealthCheck, host: &Arc<Host>, verdict: Verdict) -> Transition {
        let rules = Rules {
            healthy: config.healthy_threshold,
            unhealthy: config.unhealthy_threshold,
            log_success: config.always_log_success,
            log_failures: config.always_log_failures,
        };
        let before = host.health_flags();
        let mut sessions = self.sessions.borrow_mut();
        let Some((_, session)) = sessions.get_mut(&host.id) else { return Transition::Unchanged };
        let was_new = session.is_new();
        let effect = session.checked(verdict, before, rules);
        drop(sessions);
        self.count_verdict(verdict);
        self.count_health(before, false);
        let changed = host.change_health_flags(effect.set, effect.clear);
        self.count_health(host.health_flags(), true);
        for event in effect.events {
            log::write(&self.surroundings.logs, &self.cluster, &config.checker, host, event);
        }
        if effect.set & health_flag::FAILED_ACTIVE_HC != 0 {
            host.failures.note();
        } else if effect.clear & health_flag::FAILED_ACTIVE_HC != 0 {
            self.cluster.note_recovery(host);
        }
        if changed || effect.transition == Transition::Changed {
            self.publish();
        }
        let is_well = host.health_flags() & health_flag::FAILED_ACTIVE_HC == 0;
        if let (Verdict::Passed { .. }, true, Some(outlier)) = (verdict, is_well, &self.cluster.outlier) {
            outlier.alarm(outlier::Alarm::Passed(host.id));
        }
        self.note_first(was_new.then_some(()));
        effect.transition
    }

    /// Sorts the cluster's hosts anew, whose health has changed. To sort them, and to make tables of them, takes much
    /// longer than to hear of one host's health: so it is done for the first of many of which is heard at once, and then
    /// for all others together.
    fn publish(&self) {
        if self.publishing.get() == Publishing::AtOnce {
            self.cluster.refresh_health();
            self.publishing.set(Publishing::JustNow);
            self.published.notify_one();
        } else {
            self.publishing.set(Publishing::Behind);
        }
    }

    /// All that was heard at once is known.
    fn publish_rest(&self) {
        if self.publishing.take() == Publishing::Behind {
            self.cluster.refresh_health();
        }
    }

    fn count_verdict(&self, verdict: Verdict) {
        let Some(Checks { stats, .. }) = self.checks() else { return };
        match verdict {
            Verdict::Passed { .. } => stats.success().inc(),
            Verdict::Failed(failure) => {
                stats.failure().inc();
                if failure.is_network() {
                    stats.network_failure().inc();
                } else if failure == Failure::Passive {
                    stats.passive_failure().inc();
                }
            }
        }
    }

    /// Notes that one host's first check has ended, or that hosts are there; when all have, the cluster may serve.
    fn note_first(&self, ended: Option<()>) {
        let awaited = match (self.awaited.get(), ended) {
            (None, _) => match self.sessions.borrow().len() {
                0 => return,
                hosts => hosts,
            },
            (Some(awaited), Some(())) => awaited.saturating_sub(1),
            (Some(awaited), None) => awaited,
        };
        self.awaited.set(Some(awaited));
        if let Some(checks) = self.checks()
            && awaited == 0
            && !checks.complete.load(Ordering::Relaxed)
        {
            // Who begins to use the cluster finds what the checks came to.
            self.publish_rest();
            checks.complete.store(true, Ordering::Relaxed);
            (self.surroundings.complete)();
        }
    }
}

impl Drop for Checking {
    /// The cluster that takes the place of this one has the same statistics.
    fn drop(&mut self) {
        for (host, _) in self.sessions.borrow().values() {
            self.count_health(host.health_flags(), false);
        }
    }
}
