//! The hosts of a cluster at one moment, sorted by priority, health and locality.

use std::collections::HashMap;
use std::sync::Arc;

use super::host::{Health, Host};
use super::lb::hashing::Tables;
use super::lb::health::HealthCounts;
use super::lb::subset::Index;
use crate::config::endpoint::Locality;

/// Hosts in the order of the configuration. Lists with the same content share one allocation.
pub type Hosts = Arc<[Arc<Host>]>;

/// Percent of healthiness that counts as whole when nothing else is configured.
pub const DEFAULT_OVERPROVISIONING_FACTOR: u32 = 140;

/// All hosts of a cluster. Immutable: a change of membership or health makes a new one.
#[derive(Clone, Debug)]
pub struct HostSet {
    /// Counts up with every change in the cluster.
    pub version: u64,
    /// By priority; index 0 is the first choice. Never empty, though all of its lists may be.
    pub priorities: Box<[PriorityHosts]>,
    /// Percent of healthiness that counts as whole; 140 by default.
    pub overprovisioning_factor: u32,
    /// How many of a million requests are refused before a host is chosen.
    pub drop_overload: u32,
    /// What load reports call those.
    pub drop_category: Arc<str>,
    /// The health of a priority is that of its weights, not of its hosts.
    pub weighted_priority_health: bool,
    /// Where hashes lead, if the cluster chooses hosts by hash. Made when the set is published.
    pub tables: Option<Arc<Tables>>,
    /// How the hosts are divided, if they are. Made when the set is published.
    pub subsets: Option<Arc<Index>>,
    /// The hosts by their addresses, where requests name them. Made when the set is published.
    pub by_address: Option<Arc<HashMap<Arc<str>, Arc<Host>>>>,
}

/// The hosts of one priority.
#[derive(Clone, Debug, Default)]
pub struct PriorityHosts {
    /// All of them.
    pub all: Hosts,
    /// Those that are healthy.
    pub healthy: Hosts,
    /// Those that are degraded.
    pub degraded: Hosts,
    /// How many are left out of what is counted of hosts.
    pub excluded: usize,
    /// The same by locality; empty unless the cluster balances by localities.
    pub localities: Box<[LocalityHosts]>,
    /// Whether the first of them is the one where this proxy runs.
    pub has_local_locality: bool,
}

/// The hosts of one locality in one priority.
#[derive(Clone, Debug)]
pub struct LocalityHosts {
    /// Where.
    pub locality: Arc<Locality>,
    /// Weight among the localities of the priority; 0 when not configured, which means never chosen.
    pub weight: u32,
    /// All of them.
    pub all: Hosts,
    /// Those that are healthy.
    pub healthy: Hosts,
    /// Those that are degraded.
    pub degraded: Hosts,
    /// How many are left out of what is counted of hosts.
    pub excluded: usize,
}

impl HostSet {
    /// No hosts at all.
    pub fn empty() -> Self {
        HostSet {
            version: 0,
            priorities: Box::new([PriorityHosts::default()]),
            overprovisioning_factor: DEFAULT_OVERPROVISIONING_FACTOR,
            drop_overload: 0,
            drop_category: Arc::default(),
            weighted_priority_health: false,
            tables: None,
            subsets: None,
            by_address: None,
        }
    }

    /// Every host, first priority first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.priorities.iter().flat_map(|priority| priority.all.iter())
    }

    /// The hosts by their addresses; of those with one address the first.
    pub(super) fn addresses(&self) -> HashMap<Arc<str>, Arc<Host>> {
        let mut hosts = HashMap::new();
        for host in self.iter() {
            hosts.entry(Arc::clone(&host.address_text)).or_insert_with(|| Arc::clone(host));
        }
        hosts
    }

    /// How healthy each priority is.
    pub fn health_counts(&self) -> Vec<HealthCounts> {
        let counts = |priority| HealthCounts::of(priority, self.weighted_priority_health);
        self.priorities.iter().map(counts).collect()
    }

    /// How many hosts there are, healthy or not.
    pub fn len(&self) -> usize {
        self.priorities.iter().map(|priority| priority.all.len()).sum()
    }

    /// Whether there is no host at all.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The hosts but those of which `is_gone` is true.
    pub(super) fn without(&self, is_gone: impl Fn(&Arc<Host>) -> bool) -> Self {
        let left = |hosts: &Hosts| -> Hosts { hosts.iter().filter(|host| !is_gone(host)).cloned().collect() };
        let priority = |priority: &PriorityHosts| PriorityHosts {
            all: left(&priority.all),
            localities: priority
                .localities
                .iter()
                .map(|locality| LocalityHosts { all: left(&locality.all), ..locality.clone() })
                .collect(),
            ..priority.clone()
        };
        HostSet { priorities: self.priorities.iter().map(priority).collect(), ..self.clone() }
    }

    /// The same hosts sorted anew by the health they have now.
    pub(super) fn resorted(&self) -> Self {
        let resort = |priority: &PriorityHosts| PriorityHosts {
            localities: priority.localities.iter().map(LocalityHosts::resorted).collect(),
            has_local_locality: priority.has_local_locality,
            ..PriorityHosts::new(Arc::clone(&priority.all))
        };
        HostSet { priorities: self.priorities.iter().map(resort).collect(), ..self.clone() }
    }
}

impl PriorityHosts {
    /// Sorts `all` by health, without localities.
    pub(super) fn new(all: Hosts) -> Self {
        let (healthy, degraded) = (select(&all, Health::Healthy), select(&all, Health::Degraded));
        let excluded = excluded(&all);
        let localities = Box::new([]);
        PriorityHosts { all, healthy, degraded, excluded, localities, has_local_locality: false }
    }
}

impl LocalityHosts {
    /// Sorts `all` by health.
    pub(super) fn new(locality: Arc<Locality>, weight: u32, all: Hosts) -> Self {
        let (healthy, degraded) = (select(&all, Health::Healthy), select(&all, Health::Degraded));
        let excluded = excluded(&all);
        LocalityHosts { locality, weight, all, healthy, degraded, excluded }
    }

    fn resorted(&self) -> Self {
        LocalityHosts::new(Arc::clone(&self.locality), self.weight, Arc::clone(&self.all))
    }
}

fn excluded(all: &Hosts) -> usize {
    all.iter().filter(|host| host.is_excluded()).count()
}

/// The hosts with this health; `all` itself when that is every one.
fn select(all: &Hosts, health: Health) -> Hosts {
    if all.iter().all(|host| host.health() == health) {
        return Arc::clone(all);
    }
    all.iter().filter(|host| host.health() == health).cloned().collect()
}
