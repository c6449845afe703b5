//! How hosts are put in force: sorted, weighed, divided and counted, behind one swap.
//!
//! All of it is called by one thread at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Cluster, milliseconds};
use crate::config::cluster::Discovery;
use crate::observability::stats::cluster::SubsetStats;
use crate::upstream::host::Host;
use crate::upstream::host_set::{HostSet, PriorityHosts};
use crate::upstream::lb::hashing::Tables;
use crate::upstream::lb::load_aware::{Averages, LoadAware};
use crate::upstream::lb::slow_start;
use crate::upstream::lb::subset::Index;
use crate::upstream::orca::{self, Report};
use crate::upstream::outlier::Alarm;
use crate::upstream::{health, membership};

impl Cluster {
    /// Publishes hosts of which some came or went, after so many changes.
    pub(super) fn publish_members(&self, hosts: HostSet, changes: u32) {
        self.publish_changed(hosts);
        // Last, so that who sees the number finds the hosts.
        self.membership.membership_change().add(changes.into());
        if let Some(outlier) = &self.outlier {
            outlier.alarm(Alarm::Hosts);
        }
        if let Some(checks) = &self.checks {
            checks.alarm(health::Alarm::Hosts);
        }
        if let Some(streams) = &self.streams {
            streams.hosts_changed();
        }
    }

    /// Sorts the hosts anew after health flags of some have changed. To be called by one thread at a time.
    pub fn refresh_health(&self) {
        let hosts = self.hosts.load();
        let is_leaving = |host: &Arc<Host>| membership::is_leaving(host);
        match hosts.iter().filter(|host| is_leaving(host)).count() as u32 {
            0 => self.publish_changed(hosts.resorted()),
            leaving => self.publish_members(hosts.without(is_leaving).resorted(), leaving),
        }
    }

    /// A host reported of itself.
    #[cold]
    pub fn note_report(&self, host: &Host, report: &Report) {
        if let Some(ledger) = &host.ledger {
            ledger.note(report, self.made.elapsed());
        }
    }

    /// A host reported of itself when it was asked; whether that says anything.
    pub(in crate::upstream) fn note_told(&self, host: &Host, report: &Report) -> bool {
        host.ledger.as_ref().is_some_and(|ledger| ledger.note_told(report, self.made.elapsed()))
    }

    /// Makes weights of what the hosts have reported, where they are weighed by that. To be called by one thread at a
    /// time.
    pub fn reweigh(&self) {
        let hosts = self.hosts.load();
        if self.weigh(&hosts) {
            self.publish(HostSet::clone(&hosts));
        }
    }

    /// Whether these take the place of hosts that were balanced. As in Envoy the first have the weights that are configured,
    /// until reports become weights or hosts change.
    fn is_in_use(&self, hosts: &HostSet) -> bool {
        let waits = self.checks.as_ref().is_some_and(|checks| checks.awaited(hosts.iter()));
        self.hosts.load().version > 0 && !waits
    }

    /// Whether the weight of any of the hosts changed.
    fn weigh(&self, hosts: &HostSet) -> bool {
        let config = self.config.lb.client_side.as_ref();
        config.is_some_and(|config| orca::weigh(hosts, hosts.subsets.as_deref(), config, self.made.elapsed()))
    }

    /// Makes shares of localities of what hosts have reported, where they take requests by that; averages follow. To be
    /// called by one thread at a time.
    pub(in crate::upstream) fn redivide(&self, averages: &mut Averages) {
        if let Some(load_aware) = &self.load_aware {
            self.divide_localities(load_aware, &self.hosts.load(), averages);
        }
    }

    fn divide_localities(&self, load_aware: &LoadAware, hosts: &HostSet, averages: &mut Averages) {
        let Some(config) = &self.config.lb.load_aware else { return };
        let now = self.made.elapsed();
        let utilization = |host: &Host| host.ledger.as_ref()?.utilization(now);
        load_aware.divide(hosts, config, averages, utilization);
    }

    /// Counts the priorities whose localities are looked at anew, where those take requests as they have room: as in Envoy
    /// in every thread, which begins with one without any.
    fn count_rebuilt(&self, hosts: &HostSet) {
        if self.load_aware.is_none() {
            return;
        }
        let before = self.hosts.load();
        let begins = before.version == 0;
        let known = |priority: usize| match before.priorities.get(priority) {
            Some(level) => Some(level.localities.len()),
            None => (priority == 0).then_some(0),
        };
        let levels = hosts.priorities.iter().enumerate();
        let rebuilt = levels.filter(|(priority, level)| known(*priority) != Some(level.localities.len()));
        let rebuilt = rebuilt.count() as u64 + u64::from(begins);
        self.stats.lb_recalculate_zone_structures().add(rebuilt * self.threads);
    }

    /// The host is healthy again: to slow start it is new.
    pub(in crate::upstream) fn note_recovery(&self, host: &Host) {
        if let Some(age) = self.age() {
            host.set_healthy_since(milliseconds(age));
        }
    }

    /// Publishes hosts that are not those of before, or not as they were: as in Envoy health counts where connections end
    /// with such changes.
    pub(super) fn publish_changed(&self, hosts: HostSet) {
        if self.config.lb.close_connections_on_host_set_change {
            hosts.iter().for_each(|host| host.failures.drain());
        }
        self.publish(hosts);
    }

    pub(super) fn publish(&self, mut hosts: HostSet) {
        let version = self.version.load(Ordering::Relaxed) + 1;
        if let Some(age) = self.age() {
            slow_start::note_healthy(&hosts, milliseconds(age));
        }
        if let Some(load_aware) = &self.load_aware
            && self.hosts.load().is_empty()
        {
            // Of the first hosts nothing is known; what comes of reports follows in its time.
            self.divide_localities(load_aware, &hosts, &mut Averages::default());
        }
        self.count_rebuilt(&hosts);
        let is_in_use = self.is_in_use(&hosts);
        hosts.version = version;
        hosts.by_address = self.config.lb.override_host.as_ref().map(|_| Arc::new(hosts.addresses()));
        match &self.subset_stats {
            None => hosts.tables = self.tables(&hosts),
            Some(stats) => hosts.subsets = Some(Arc::new(self.divide(&hosts, stats))),
        }
        if is_in_use {
            self.weigh(&hosts);
        }
        self.count(&hosts);
        self.drop_overload.store(hosts.drop_overload, Ordering::Relaxed);
        hosts.iter().for_each(|host| host.list_in(version));
        let hosts = Arc::new(hosts);
        self.hosts.store(Arc::clone(&hosts));
        self.version.store(version, Ordering::Release);
        if let Some(local) = self.local.as_ref().filter(|local| local.name == *self.name) {
            local.publish(&hosts);
        }
    }

    /// Where hashes lead, if the cluster chooses hosts by hash.
    fn tables(&self, hosts: &HostSet) -> Option<Arc<Tables>> {
        let stats = self.hashing_stats.as_ref()?;
        let before = self.hosts.load();
        Some(Tables::new(hosts, self, stats, &self.workshop, before.tables.as_ref()))
    }

    /// The subsets of these hosts, each known by what it was known by before.
    fn divide(&self, hosts: &HostSet, stats: &SubsetStats) -> Index {
        let Some(config) = &self.config.lb.subsets else { return Index::default() };
        let before = self.hosts.load();
        let finish = |mut subset: HostSet, before: Option<&HostSet>| {
            // One may be made of thousands of subsets: none is made before it is asked for.
            let stats = self.hashing_stats.as_ref();
            let before = before.and_then(|before| before.tables.as_ref());
            subset.tables = stats.map(|stats| Tables::lazy(&subset, self, stats, &self.workshop, before));
            subset
        };
        let (index, change) = Index::new(hosts, config, before.subsets.as_deref(), finish);
        // Every thread of Envoy has subsets of its own, and counts them.
        let threads = self.threads;
        self.membership.lb_subsets_created().add(change.created * threads);
        self.membership.lb_subsets_removed().add(change.removed * threads);
        self.membership.lb_subsets_active().set(index.len() as u64 * threads);
        stats.lb_subsets_single_host_per_subset_duplicate().set(change.duplicates);
        index
    }

    fn count(&self, hosts: &HostSet) {
        let sum = |list: fn(&PriorityHosts) -> usize| hosts.priorities.iter().map(list).sum::<usize>() as u64;
        self.membership.membership_total().set(sum(|priority| priority.all.len()));
        self.membership.membership_healthy().set(sum(|priority| priority.healthy.len()));
        self.membership.membership_degraded().set(sum(|priority| priority.degraded.len()));
        let excluded = hosts.priorities.iter().map(|priority| priority.excluded).sum::<usize>();
        self.membership.membership_excluded().set(excluded as u64);
        self.count_weight(hosts);
    }

    /// Counts an update that left everything as it was.
    pub(super) fn count_unchanged(&self) {
        self.membership.update_no_rebuild().inc();
        self.count_weight(&self.hosts());
    }

    /// The weight of the heaviest host, 1 without any; not for clusters whose set of hosts is fixed.
    fn count_weight(&self, hosts: &HostSet) {
        if matches!(self.config.discovery, Discovery::StrictDns(..) | Discovery::Eds { .. }) {
            let heaviest = hosts.iter().map(|host| host.weight()).max().unwrap_or(1);
            self.membership.max_host_weight().set(heaviest.into());
        }
    }
}
