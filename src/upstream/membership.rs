//! From a load assignment to a [`HostSet`]: which hosts stay, which are new.
//!
//! As in Envoy hosts are known by their address across priorities; of an address that appears twice only the first
//! counts, except in `STATIC` clusters and for different names of a `STRICT_DNS` cluster; localities are sorted by region, zone and sub-zone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::host::{Host, health_flag};
use super::host_set::{HostSet, LocalityHosts, PriorityHosts};
use crate::config::address::Address;
use crate::config::endpoint::{Endpoint, LoadAssignment, Locality, LocalityEndpoints};

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything is as it was.
    Nothing,
    /// The same hosts, but weights, health, metadata or policies differ.
    InPlace,
    /// Hosts came or went, in this many priorities.
    Membership(u32),
}

/// Which endpoints of an assignment with one address are one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// All of them.
    Address,
    /// Those of one group of endpoints; groups keep their places from one assignment to the next.
    GroupAndAddress,
    /// None: each is a host of its own.
    Endpoint,
}

impl Identity {
    /// What tells the host of an endpoint from others at its address: from the index of its group, and its own
    /// among all endpoints.
    fn origin(self, group: usize, endpoint: usize) -> u32 {
        match self {
            Identity::Address => 0,
            Identity::GroupAndAddress => group as u32,
            Identity::Endpoint => endpoint as u32,
        }
    }
}

/// Applies `assignment` over `old`; `new_host` makes hosts: of an endpoint, its origin, its locality
/// and its priority. Hosts are sorted by locality where `by_locality` is there, that of the proxy first.
///
/// `keeps_healthy` says that a host that is configured no more stays for as long as its health checks pass.
///
/// Hosts that stay are changed in place, so the result must be used. Its version is that of `old`.
pub(super) fn update(
    old: &HostSet,
    assignment: &LoadAssignment,
    identity: Identity,
    by_locality: Option<Option<&Locality>>,
    keeps_healthy: bool,
    new_host: impl FnMut(&Endpoint, u32, Arc<Locality>, u32) -> Host,
) -> (HostSet, Change) {
    let mut building = Building {
        known: old.iter().map(|host| ((host.origin, &host.address), host)).collect(),
        seen: HashSet::new(),
        levels: (0..old.priorities.len()).map(|_| Level::default()).collect(),
        changed_hosts: false,
        by_locality: by_locality.is_some(),
        new_host,
    };
    let groups = assignment.localities.iter().enumerate();
    let mut before = 0;
    for (index, group) in groups {
        building.add(group, |endpoint| identity.origin(index, before + endpoint));
        before += group.endpoints.len();
    }
    let stays = |host: &&Arc<Host>| keeps_healthy && stays(host);
    let staying: Vec<_> = old.iter().filter(|host| !building.is_used(host)).filter(stays).collect();
    for host in staying {
        building.keep(host);
    }
    let Building { levels, changed_hosts, .. } = building;
    let hosts = HostSet {
        version: old.version,
        priorities: levels.into_iter().map(|level| level.finish(by_locality.flatten())).collect(),
        overprovisioning_factor: assignment.overprovisioning_factor,
        drop_overload: assignment.drop_overload,
        drop_category: Arc::clone(&assignment.drop_category),
        weighted_priority_health: assignment.weighted_priority_health,
        tables: None,
        subsets: None,
        by_address: None,
    };
    let change = match changed_priorities(old, &hosts) {
        0 if changed_hosts || !same_policy(old, &hosts) => Change::InPlace,
        0 => Change::Nothing,
        count => Change::Membership(count),
    };
    (hosts, change)
}

/// Whether a host that is configured no more stays: its health checks pass.
fn stays(host: &Host) -> bool {
    let failed = health_flag::FAILED_ACTIVE_HC | health_flag::FAILED_EDS_HEALTH;
    host.is_checked() && host.health_flags() & failed == 0
}

/// Whether a host that stayed for its health checks is to go, since one has failed.
pub(super) fn is_leaving(host: &Host) -> bool {
    let leaving = health_flag::PENDING_DYNAMIC_REMOVAL | health_flag::FAILED_ACTIVE_HC;
    host.health_flags() & leaving == leaving
}

/// The priorities while they are put together.
struct Building<'a, N> {
    known: HashMap<(u32, &'a Address), &'a Arc<Host>>,
    seen: HashSet<(u32, &'a Address)>,
    levels: Vec<Level>,
    changed_hosts: bool,
    by_locality: bool,
    new_host: N,
}

/// One priority while it is put together.
#[derive(Default)]
struct Level {
    all: Vec<Arc<Host>>,
    /// By region, zone and sub-zone.
    localities: BTreeMap<[String; 3], Group>,
}

/// One locality of a priority while it is put together.
struct Group {
    locality: Arc<Locality>,
    weight: u32,
    hosts: Vec<Arc<Host>>,
}

impl<'a, N: FnMut(&Endpoint, u32, Arc<Locality>, u32) -> Host> Building<'a, N> {
    fn add(&mut self, group: &'a LocalityEndpoints, origin: impl Fn(usize) -> u32) {
        let level = group.priority as usize;
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Level::default);
        }
        let locality = Arc::new(group.locality.clone());
        let first = self.levels[level].all.len();
        for (index, endpoint) in group.endpoints.iter().enumerate() {
            let key = (origin(index), &endpoint.address);
            if !self.seen.insert(key) {
                continue;
            }
            let known = self.known.get(&key).filter(|host| host.matches(endpoint, &locality));
            let host = match known {
                Some(host) => {
                    self.changed_hosts |= host.update(endpoint, group.priority);
                    Arc::clone(host)
                }
                None => Arc::new((self.new_host)(endpoint, key.0, Arc::clone(&locality), group.priority)),
            };
            self.levels[level].all.push(host);
        }
        if self.by_locality {
            self.levels[level].add_locality(locality, group.load_balancing_weight, first);
        }
    }
}

impl<'a, N> Building<'a, N> {
    /// Whether an endpoint stands for this host, or for another at its address.
    fn is_used(&self, host: &Host) -> bool {
        self.seen.contains(&(host.origin, &host.address))
    }

    /// Keeps a host that no endpoint stands for.
    fn keep(&mut self, host: &Arc<Host>) {
        self.changed_hosts |= host.change_health_flags(health_flag::PENDING_DYNAMIC_REMOVAL, 0);
        let level = host.priority() as usize;
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Level::default);
        }
        let level = &mut self.levels[level];
        let first = level.all.len();
        level.all.push(Arc::clone(host));
        if self.by_locality {
            level.add_locality(Arc::clone(&host.locality), None, first);
        }
    }
}

impl Level {
    /// Notes that the hosts from index `first` on are in `locality`.
    fn add_locality(&mut self, locality: Arc<Locality>, weight: Option<u32>, first: usize) {
        let group = self.localities.entry(key(&locality)).or_insert_with(|| Group {
            locality,
            weight: 0,
            hosts: Vec::new(),
        });
        group.weight = weight.unwrap_or(group.weight);
        group.hosts.extend(self.all[first..].iter().cloned());
    }

    fn finish(mut self, own: Option<&Locality>) -> PriorityHosts {
        let finish = |group: Group| LocalityHosts::new(group.locality, group.weight, group.hosts.into());
        let own = own.and_then(|own| self.localities.remove(&key(own)));
        PriorityHosts {
            has_local_locality: own.is_some(),
            localities: own.into_iter().chain(self.localities.into_values()).map(finish).collect(),
            ..PriorityHosts::new(self.all.into())
        }
    }
}

/// What localities are sorted by.
fn key(locality: &Locality) -> [String; 3] {
    [&locality.region, &locality.zone, &locality.sub_zone].map(String::clone)
}

/// In how many priorities hosts came or went.
fn changed_priorities(old: &HostSet, new: &HostSet) -> u32 {
    let changed = |(index, priority): (usize, &PriorityHosts)| {
        let before: HashSet<u64> = match old.priorities.get(index) {
            Some(old) => old.all.iter().map(|host| host.id).collect(),
            None => HashSet::new(),
        };
        before.len() != priority.all.len() || !priority.all.iter().all(|host| before.contains(&host.id))
    };
    new.priorities.iter().enumerate().filter(|&entry| changed(entry)).count() as u32
}

/// Whether two sets with the same hosts are to be balanced alike.
fn same_policy(old: &HostSet, new: &HostSet) -> bool {
    let weights = |set: &HostSet| -> Vec<(Arc<Locality>, u32)> {
        let localities = set.priorities.iter().flat_map(|priority| priority.localities.iter());
        localities.map(|group| (Arc::clone(&group.locality), group.weight)).collect()
    };
    let order = |set: &HostSet| -> Vec<u64> { set.iter().map(|host| host.id).collect() };
    old.overprovisioning_factor == new.overprovisioning_factor
        && old.drop_overload == new.drop_overload
        && old.drop_category == new.drop_category
        && old.weighted_priority_health == new.weighted_priority_health
        && old.priorities.len() == new.priorities.len()
        && weights(old) == weights(new)
        && order(old) == order(new)
}
