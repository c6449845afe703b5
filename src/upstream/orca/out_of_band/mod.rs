//! Reports that hosts are asked for beside their responses: `enable_oob_load_report`.
//!
//! Each host of the cluster has a stream of its own on which it reports once in a period, whatever its health; all of it
//! happens on the control thread. As in Envoy a host that fails is asked again after a pause, and one that does not know
//! the method is left alone; what responses report counts as well.
//!
//! - `session`: when a host is asked, and what becomes of what it says; `frames`: the messages of its stream;
//! - `stream`: the connection and the call.

mod frames;
mod session;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::base::random::Rng;
use crate::config;
use crate::config::cluster::OutOfBand;
use crate::observability::stats::Registry;
use crate::observability::stats::cluster::OrcaOobStats;
use crate::upstream::{Cluster, Host};
use session::{Ending, Session};
use stream::Stream;

/// What a cluster has whose hosts are asked.
#[derive(Debug)]
pub struct Streams {
    stats: OrcaOobStats,
    /// Told when hosts come or go.
    hosts: Notify,
}

impl Streams {
    /// For a cluster whose statistics have this prefix, if it is configured to have any.
    pub(in crate::upstream) fn new(
        config: &config::Cluster,
        registry: &Registry,
        prefix: &str,
    ) -> Option<Self> {
        config.lb.out_of_band.as_ref()?;
        let stats = OrcaOobStats::new(registry, &format!("{prefix}lb_orca_oob."));
        Some(Streams { stats, hosts: Notify::new() })
    }

    /// Hosts came or went.
    pub(in crate::upstream) fn hosts_changed(&self) {
        self.hosts.notify_one();
    }
}

/// Asks the hosts of a cluster for reports until dropped. Waits for ever for one whose hosts are not asked.
pub(super) async fn run(cluster: &Arc<Cluster>, rng: Rng) {
    let (Some(streams), Some(config)) = (&cluster.streams, &cluster.config.lb.out_of_band) else {
        return std::future::pending().await;
    };
    let asking = Rc::new(Asking {
        cluster: Arc::clone(cluster),
        config: OutOfBand::clone(config),
        stats: streams.stats.clone(),
        start: Instant::now(),
        rng: RefCell::new(rng),
    });
    let mut tasks = JoinSet::new();
    let mut by_host: HashMap<u64, AbortHandle> = HashMap::new();
    loop {
        let hosts: HashMap<u64, Arc<Host>> =
            cluster.hosts().iter().map(|host| (host.id, Arc::clone(host))).collect();
        by_host.retain(|id, task| {
            let stays = hosts.contains_key(id);
            if !stays {
                task.abort();
            }
            stays
        });
        for (id, host) in hosts {
            by_host.entry(id).or_insert_with(|| tasks.spawn_local(Active::new(&asking, host).ask_always()));
        }
        loop {
            tokio::select! {
                () = streams.hosts.notified() => break,
                // The task of a host that does not report has ended; it stays known, so that no other begins.
                Some(_) = tasks.join_next() => {}
            }
        }
    }
}

/// What the streams of a cluster have in common.
struct Asking {
    cluster: Arc<Cluster>,
    config: OutOfBand,
    stats: OrcaOobStats,
    start: Instant,
    rng: RefCell<Rng>,
}

impl Asking {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn moment(&self, since_start: Duration) -> Instant {
        // A moment that no clock can tell is never.
        let never = || self.start + Duration::from_secs(u32::MAX.into());
        self.start.checked_add(since_start).unwrap_or_else(never)
    }
}

/// A host that is asked, counted until dropped.
struct Active {
    asking: Rc<Asking>,
    host: Arc<Host>,
    session: Session,
}

impl Active {
    fn new(asking: &Rc<Asking>, host: Arc<Host>) -> Self {
        asking.stats.active_sessions().inc();
        let rng = &mut asking.rng.borrow_mut();
        let session = Session::new(asking.config.reporting_period, asking.now(), rng);
        Active { asking: Rc::clone(asking), host, session }
    }

    /// Asks for as long as the host is there, and may report.
    async fn ask_always(mut self) {
        while let Some(moment) = self.session.due() {
            sleep_until(self.asking.moment(moment)).await;
            self.session.begin(self.asking.now());
            let ending = self.ask().await;
            self.note(ending);
            let rng = &mut self.asking.rng.borrow_mut();
            self.session.ended(ending, self.asking.now(), rng);
        }
    }

    /// Listens to one stream until it ends.
    async fn ask(&mut self) -> Ending {
        let asking = Rc::clone(&self.asking);
        let opening = Stream::open(&asking.cluster, &self.host, &asking.config);
        let Some(Ok(mut stream)) = self.within(opening).await else { return Ending::Lost };
        let mut reports = Vec::new();
        loop {
            let Some(heard) = self.within(stream.next()).await else { return Ending::Lost };
            let ending = self.session.hear(heard, asking.now(), &mut reports);
            for report in reports.drain(..) {
                asking.stats.reports_received().inc();
                if !asking.cluster.note_told(&self.host, &report) {
                    asking.stats.report_errors().inc();
                }
            }
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// What comes before the host is given up; `None` where that comes first.
    async fn within<T>(&self, coming: impl Future<Output = T>) -> Option<T> {
        let given_up = self.asking.moment(self.session.due()?);
        timeout_at(given_up, coming).await.ok()
    }

    fn note(&self, ending: Ending) {
        let Asking { stats, cluster, .. } = &*self.asking;
        if ending != Ending::Lost {
            // As in Envoy, which drops the connection while it reads: to its codec that is an error.
            cluster.stats.upstream_cx_protocol_error().inc();
        }
        match ending {
            Ending::Unimplemented => {
                stats.stream_terminated().inc();
                tracing::info!(cluster = %cluster.name, host = %self.host.address_text, "host does not report out of band");
            }
            Ending::Said | Ending::Lost => stats.stream_failures().inc(),
        }
    }
}

impl Drop for Active {
    /// The cluster that takes the place of this one has the same statistics.
    fn drop(&mut self) {
        self.asking.stats.active_sessions().dec();
    }
}
