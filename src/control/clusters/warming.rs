//! What a cluster waits for before it serves, and for how long.

use std::sync::Arc;
use std::time::Instant;

use super::Clusters;
use crate::config::LoadAssignment;
use crate::config::cluster::Discovery;
use crate::control::{Effect, subscriptions};
use crate::upstream::Cluster;
use crate::upstream::discovery::dns::Resolution;
use crate::upstream::discovery::static_;

/// A cluster that waits for its first hosts.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) cluster: Arc<Cluster>,
    deadline: Option<Instant>,
    /// What it waits for.
    pub(super) stage: Stage,
}

/// What a cluster waits for, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its hosts.
    Hosts,
    /// Configurations of its filters.
    Filters,
    /// Secrets.
    Secrets,
    /// The first checks of its hosts.
    Checks,
}

impl Stage {
    /// Whether there is something that the end of the checks does not end.
    fn is_before_checks(self) -> bool {
        matches!(self, Stage::Filters | Stage::Secrets)
    }
}

impl Clusters {
    /// The names of a cluster were resolved.
    pub fn resolved(&mut self, cluster: &Arc<Cluster>, resolution: Resolution) {
        match resolution {
            Resolution::First => self.ready(cluster),
            Resolution::Later(change) => self.manager.hosts_changed(change),
        }
        self.release();
    }

    /// When [`expire`](Self::expire) next has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|&(deadline, _)| deadline);
        [first, self.stale.next(), self.subs.next()].into_iter().flatten().min()
    }

    /// Ends the wait of clusters whose time is up, and takes stale endpoints out of theirs.
    pub fn expire(&mut self, now: Instant) {
        self.drop_stale(now);
        self.drop_idle(now);
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            if let Some(waiting) = self.waiting.get(&id) {
                let cluster = Arc::clone(&waiting.cluster);
                self.give_up_waiting(&cluster);
            }
        }
        self.release();
    }

    fn give_up_waiting(&mut self, cluster: &Arc<Cluster>) {
        if let Some(stats) = &cluster.eds_stats {
            stats.init_fetch_timeout().inc();
        }
        self.use_last_endpoints(cluster);
    }

    /// Ends the wait of a cluster with the endpoints that came last, or none.
    pub(super) fn use_last_endpoints(&mut self, cluster: &Arc<Cluster>) {
        if let Some(assignment) = self.last_endpoints(cluster) {
            cluster.membership.assignment_use_cached().inc();
            cluster.update_endpoints(&assignment);
        }
        self.ready(cluster);
    }

    /// The hosts of a cluster are known: it serves, once the configurations of its filters have come where those are
    /// discovered, and its hosts' first checks have ended where they are checked.
    pub(super) fn ready(&mut self, cluster: &Arc<Cluster>) {
        if !cluster.config.discovers_filters() {
            return self.configured(cluster);
        }
        self.wait_in(Stage::Filters, cluster);
    }

    /// The filters of a cluster need not wait for configurations.
    pub(super) fn configured(&mut self, cluster: &Arc<Cluster>) {
        let stage = if cluster.awaits_secrets() { Stage::Secrets } else { Stage::Checks };
        if stage == Stage::Checks && !cluster.awaits_checks() {
            return self.activate(cluster);
        }
        self.wait_in(stage, cluster);
    }

    fn wait_in(&mut self, stage: Stage, cluster: &Arc<Cluster>) {
        self.forget(cluster.id);
        let waiting = Waiting { cluster: Arc::clone(cluster), deadline: None, stage };
        self.waiting.insert(cluster.id, waiting);
    }

    /// Secrets have come, or are not waited for any longer: clusters go on that waited for them.
    pub fn secrets_settled(&mut self) {
        let waiting = self.waiting.values().filter(|waiting| waiting.stage == Stage::Secrets);
        let settled = waiting.filter(|waiting| !waiting.cluster.awaits_secrets());
        let settled: Vec<_> = settled.map(|waiting| Arc::clone(&waiting.cluster)).collect();
        if !settled.is_empty() {
            settled.iter().for_each(|cluster| self.configured(cluster));
            self.release();
        }
    }

    /// The first checks of a cluster's hosts have ended.
    pub fn checked(&mut self, cluster: &Arc<Cluster>) {
        if self.waiting.get(&cluster.id).is_some_and(|waiting| !waiting.stage.is_before_checks()) {
            self.activate(cluster);
        }
        self.release();
    }

    fn last_endpoints(&mut self, cluster: &Cluster) -> Option<Arc<LoadAssignment>> {
        let service = self.endpoints.service(&cluster.config, self.source.as_ref())?;
        self.endpoints.last(&service).cloned()
    }

    /// Begins to warm a cluster.
    pub(super) fn begin(&mut self, cluster: Arc<Cluster>, now: Instant) {
        self.reconcile(&cluster.name);
        match &cluster.config.discovery {
            Discovery::Static(_) => {
                static_::populate(&cluster);
                self.ready(&cluster);
            }
            Discovery::OriginalDst(_) | Discovery::DynamicForwardProxy(_) => {
                self.ready(&cluster);
                self.effects.push(Effect::Resolve(cluster));
            }
            Discovery::SubClusters(_) => {
                self.subs.begin(&cluster, now);
                self.ready(&cluster);
            }
            // Its hosts are those of others, as they come and go.
            Discovery::Aggregate(_) | Discovery::Composite(_) => self.ready(&cluster),
            Discovery::StrictDns(..) | Discovery::LogicalDns(..) => {
                self.wait(&cluster, None);
                self.effects.push(Effect::Resolve(cluster));
            }
            Discovery::Eds { source, .. } => {
                if let Some(stats) = &cluster.eds_stats {
                    subscriptions::begun(stats, source);
                }
                let replaces = self.manager.active().contains_key(&cluster.name);
                if !replaces && let Some(assignment) = self.last_endpoints(&cluster) {
                    cluster.update_endpoints(&assignment);
                    self.ready(&cluster);
                } else {
                    let timeout = source.initial_fetch_timeout;
                    self.wait(&cluster, (!timeout.is_zero()).then(|| now + timeout));
                }
            }
        }
    }

    fn wait(&mut self, cluster: &Arc<Cluster>, deadline: Option<Instant>) {
        self.deadlines.extend(deadline.map(|deadline| (deadline, cluster.id)));
        let waiting = Waiting { cluster: Arc::clone(cluster), deadline, stage: Stage::Hosts };
        self.waiting.insert(cluster.id, waiting);
    }

    pub(super) fn forget(&mut self, id: u64) {
        if let Some(Waiting { deadline: Some(deadline), .. }) = self.waiting.remove(&id) {
            self.deadlines.remove(&(deadline, id));
        }
    }

    /// Puts a cluster in force, unless it was given up meanwhile.
    pub(super) fn activate(&mut self, cluster: &Arc<Cluster>) {
        self.forget(cluster.id);
        if self.manager.activate(cluster) {
            self.resources.activate(&cluster.name);
            self.reconcile(&cluster.name);
        }
    }

    /// Gives the answers that need not wait any longer.
    pub(super) fn release(&mut self) {
        if !self.withhold || self.waiting.is_empty() {
            let settle = |(ticket, verdict)| Effect::Settle(ticket, verdict);
            self.effects.extend(self.withheld.drain(..).map(settle));
        }
    }
}
