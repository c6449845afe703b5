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
use super::session::{Failure, Verdict};
use super::together::Together;
use super::{Alarm, Checks, Counted, schedule};
use crate::base::random::Rng;
use crate::config::cluster::HealthCheck;
use crate::config::runtime::Values;
use crate::observability::access_log::Sink;
use crate::upstream::{Cluster, Host};

/// What the tasks of a cluster use.
pub struct Surroundings {
    /// The runtime's values in force.
    pub runtime: Rc<dyn Fn() -> Arc<Values>>,
    /// Where changes of health are logged, for each check.
    pub logs: Vec<Vec<Sink>>,
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

/// A task for each check of each host.
#[derive(Default)]
struct Tasks {
    running: JoinSet<()>,
    by_host: HashMap<u64, Vec<AbortHandle>>,
}

impl Tasks {
    /// Begins to check hosts that are new, and ends it for those that are gone.
    fn reconcile(&mut self, checking: &Rc<Checking>) {
        let hosts: HashMap<u64, Arc<Host>> = checking.hosts();
        let gone: Vec<u64> = self.by_host.keys().filter(|host| !hosts.contains_key(host)).copied().collect();
        for host in gone {
            self.by_host.remove(&host).into_iter().flatten().for_each(|task| task.abort());
            checking.forget(host);
        }
        for (id, host) in hosts {
            self.by_host.entry(id).or_insert_with(|| {
                checking.begin(&host);
                let checks = 0..checking.cluster.config.health_checks.len();
                let tasks = checks.map(|check| check_always(Rc::clone(checking), Arc::clone(&host), check));
                tasks.map(|task| self.running.spawn_local(task)).collect()
            });
        }
        checking.note_first(None);
    }
}

/// Does one check of a host for as long as it is there.
async fn check_always(checking: Rc<Checking>, host: Arc<Host>, check: usize) {
    let Some(config) = checking.cluster.config.health_checks.get(check) else { return };
    let mut asking = Asking::new(Arc::clone(&checking.cluster), Arc::clone(&host), check);
    let first = schedule::first(&config.intervals, &checking.runtime(), &mut checking.rng.borrow_mut());
    if let Some(pause) = first {
        sleep(pause).await;
    }
    loop {
        let pause = checking.check(config, &mut asking).await;
        // A host that ends a connection on which nothing but bytes are heard has failed, as in Envoy.
        if timeout(pause, asking.ended()).await.is_ok() {
            let pause = checking.heard(config, check, &host, Verdict::Failed(Failure::Network));
            sleep(pause).await;
        }
    }
}

/// What the tasks of one cluster have in common.
pub(super) struct Checking {
    pub(super) cluster: Arc<Cluster>,
    pub(super) surroundings: Surroundings,
    rng: RefCell<Rng>,
    pub(super) sessions: RefCell<HashMap<u64, (Arc<Host>, Together)>>,
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

    pub(super) fn checks(&self) -> Option<&Checks> {
        self.cluster.checks.as_ref()
    }

    /// What is counted of a check.
    pub(super) fn counted(&self, check: usize) -> Option<&Counted> {
        self.checks()?.each.get(check)
    }

    /// The hosts that are to be checked.
    fn hosts(&self) -> HashMap<u64, Arc<Host>> {
        let hosts = self.cluster.hosts();
        hosts.iter().filter(|host| host.is_checked()).map(|host| (host.id, Arc::clone(host))).collect()
    }

    fn begin(&self, host: &Arc<Host>) {
        let together = Together::new(self.cluster.config.health_checks.len(), host.health_flags());
        self.count_all(host, &together, true);
        self.sessions.borrow_mut().insert(host.id, (Arc::clone(host), together));
    }

    fn forget(&self, host: u64) {
        let gone = self.sessions.borrow_mut().remove(&host);
        if let Some((host, together)) = gone {
            self.count_all(&host, &together, false);
            self.note_first(together.is_new().then_some(()));
        }
    }

    /// Asks a host once; time to the next check.
    async fn check(&self, config: &HealthCheck, asking: &mut Asking) -> Duration {
        let (host, check) = (Arc::clone(&asking.host), asking.check);
        let Some(counted) = self.counted(check) else { return config.intervals.interval };
        counted.stats.attempt().inc();
        let runtime = self.runtime();
        let asked = asking.ask(config, &runtime, || counted.stats.verify_cluster().inc());
        let verdict = match timeout(config.timeout, asked).await {
            Ok(verdict) => verdict,
            Err(_) => Verdict::Failed(Failure::Timeout),
        };
        counted.count_reply(&config.checker, verdict);
        self.heard(config, check, &host, verdict)
    }

    /// A host said to somebody else that it is not well. As in Envoy that counts as the last of its checks.
    fn unwell(&self, host: u64) {
        let Some((check, config)) = self.cluster.config.health_checks.iter().enumerate().next_back() else {
            return;
        };
        let host = self.sessions.borrow_mut().get_mut(&host).map(|(host, together)| {
            together.exclude();
            Arc::clone(host)
        });
        if let Some(host) = host {
            self.settle(config, check, &host, Verdict::Failed(Failure::Passive));
        }
    }

    /// Puts in force what a check came to; time to the next.
    fn heard(&self, config: &HealthCheck, check: usize, host: &Arc<Host>, verdict: Verdict) -> Duration {
        let transition = self.settle(config, check, host, verdict);
        let passed = matches!(verdict, Verdict::Passed { .. });
        let had_traffic = self.cluster.had_traffic();
        let (runtime, mut rng) = (self.runtime(), self.rng.borrow_mut());
        schedule::next(&config.intervals, (passed, transition), had_traffic, &runtime, &mut rng)
    }

    /// Sorts the cluster's hosts anew, whose health has changed. To sort them, and to make tables of them, takes much
    /// longer than to hear of one host's health: so it is done for the first of many of which is heard at once, and then
    /// for all others together.
    pub(super) fn publish(&self) {
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

    /// Notes that one host's first check has ended, or that hosts are there; when all have, the cluster may serve.
    pub(super) fn note_first(&self, ended: Option<()>) {
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
        for (host, together) in self.sessions.borrow().values() {
            self.count_all(host, together, false);
        }
    }
}
