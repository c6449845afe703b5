//! `RING_HASH` and `MAGLEV`: the same hash goes to the same host, and few hashes move when hosts come or go.
//!
//! The tables belong to a set of hosts: the control thread makes them when it publishes the set, and all workers look
//! hosts up in them. Placement is Envoy's.

mod bounded;
mod maglev;
mod ring;
mod weights;
mod workshop;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use self::bounded::Load;
use self::maglev::MaglevTable;
use self::ring::Ring;
use self::weights::Weights;
pub use self::workshop::Workshop;
use super::priority::PriorityLoad;
use crate::config::cluster::{Cluster, ConsistentHashing, LbPolicy};
use crate::observability::stats::{MaglevStats, Registry, RingHashStats};
use crate::upstream::{self, Host, HostSet};

/// What a cluster's tables look like.
#[derive(Clone, Debug)]
pub enum Stats {
    /// `ring_hash_lb.`
    Ring(RingHashStats),
    /// `maglev_lb.`
    Maglev(MaglevStats),
}

impl Stats {
    /// Those of a cluster whose hosts are chosen by hash; `prefix` is the cluster's.
    pub fn new(policy: &LbPolicy, registry: &Registry, prefix: &str) -> Option<Self> {
        match policy {
            LbPolicy::RingHash(_) => {
                Some(Stats::Ring(RingHashStats::new(registry, &format!("{prefix}ring_hash_lb."))))
            }
            LbPolicy::Maglev(_) => {
                Some(Stats::Maglev(MaglevStats::new(registry, &format!("{prefix}maglev_lb."))))
            }
            LbPolicy::RoundRobin
            | LbPolicy::LeastRequest(_)
            | LbPolicy::Random
            | LbPolicy::ClusterProvided => None,
        }
    }
}

/// Points and entries that are made where they are asked for: tens of milliseconds.
const MADE_AT_ONCE: u64 = 1 << 18;

/// The tables of a set of hosts, one for each priority.
#[derive(Debug)]
pub struct Tables {
    load: PriorityLoad,
    config: Arc<Cluster>,
    stats: Stats,
    /// Percent of its share of the requests in flight that a host may have.
    balance_factor: Option<u32>,
    priorities: Box<[Table]>,
    /// Where they are made if that takes long: nobody waits for it.
    workshop: Option<Workshop>,
    /// Whether they were looked at before they were made.
    is_asked_for: AtomicBool,
    /// What is used until these are made, and not kept any longer: tables that were made.
    before: ArcSwapOption<Tables>,
}

/// The table of one priority.
#[derive(Debug)]
struct Table {
    weights: Weights,
    /// Made at first use, or before.
    places: OnceLock<Places>,
}

impl Table {
    fn host(&self, number: u32) -> Option<Arc<Host>> {
        self.weights.hosts.get(number as usize).map(|(host, _)| Arc::clone(host))
    }
}

/// Where hashes lead: to numbers of hosts.
#[derive(Debug)]
enum Places {
    /// There are no hosts.
    None,
    Ring(Ring),
    Maglev(MaglevTable),
}

impl Tables {
    /// The tables of these hosts, made at once, or in the workshop where that takes long: then `before` is used
    /// meanwhile.
    pub fn new(
        hosts: &HostSet,
        cluster: &upstream::Cluster,
        stats: &Stats,
        workshop: &Workshop,
        before: Option<&Arc<Tables>>,
    ) -> Arc<Self> {
        let tables = Self::lazy(hosts, cluster, stats, workshop, before);
        match &tables.workshop {
            None => tables.make(),
            Some(workshop) => workshop.order(&tables),
        }
        tables
    }

    /// The same, made when something is first looked up: by whoever does, unless that takes long.
    pub fn lazy(
        hosts: &HostSet,
        cluster: &upstream::Cluster,
        stats: &Stats,
        workshop: &Workshop,
        before: Option<&Arc<Tables>>,
    ) -> Arc<Self> {
        let mut tables = Self::unmade(hosts, cluster, stats);
        if tables.size() > MADE_AT_ONCE {
            tables.workshop = Some(workshop.clone());
            tables.before = ArcSwapOption::new(before.and_then(Self::made_last));
        }
        Arc::new(tables)
    }

    fn unmade(hosts: &HostSet, cluster: &upstream::Cluster, stats: &Stats) -> Self {
        let counts = hosts.health_counts();
        let config = &cluster.config;
        let threshold = cluster.steering.panic_threshold();
        let load = PriorityLoad::new(&counts, hosts.overprovisioning_factor, threshold);
        let levels = hosts.priorities.iter().zip(&load.panic);
        let priorities = levels.map(|(hosts, panic)| Table {
            weights: Weights::new(hosts, *panic, config.lb.weighs_localities()),
            places: OnceLock::new(),
        });
        Tables {
            priorities: priorities.collect(),
            load,
            config: Arc::clone(config),
            stats: stats.clone(),
            balance_factor: config.lb_policy.hashing().and_then(|hashing| hashing.hash_balance_factor),
            workshop: None,
            is_asked_for: AtomicBool::new(false),
            before: ArcSwapOption::empty(),
        }
    }

    /// How many points or entries there are once all is made.
    fn size(&self) -> u64 {
        self.priorities.iter().map(|table| size(&table.weights, &self.config.lb_policy)).sum()
    }

    /// These, or what is used until they are made.
    fn made_last(self: &Arc<Self>) -> Option<Arc<Self>> {
        // In this order: what was before goes once these are made.
        let before = self.before.load_full();
        if self.is_made() { Some(Arc::clone(self)) } else { before }
    }

    fn make(&self) {
        self.priorities.iter().for_each(|table| {
            self.places(table);
        });
        self.before.store(None);
    }

    fn is_made(&self) -> bool {
        self.priorities.iter().all(|table| table.places.get().is_some())
    }

    /// The host of a hash. `attempt` leads away from hosts that earlier attempts took; `total` tells how many requests
    /// are in flight, where that counts.
    pub fn choose(self: &Arc<Self>, hash: u64, attempt: u32, total: impl Fn() -> u32) -> Option<Arc<Host>> {
        if let Some(workshop) = &self.workshop
            && !self.is_made()
        {
            if !self.is_asked_for.swap(true, Ordering::Relaxed) {
                workshop.ask(self);
            }
            return self.choose_meanwhile(hash, attempt, total);
        }
        let table = self.priorities.get(self.priority(hash))?;
        let hosts = &table.weights.hosts;
        let mut number = self.number(table, hash, attempt)?;
        if let Some(factor) = self.balance_factor {
            let load = Load { total: total(), factor };
            let host = |number: u32| {
                let host = hosts.get(number as usize);
                host.map_or((0.0, u32::MAX), |(host, share)| (*share, host.active_requests()))
            };
            number = bounded::choose(number, hash, hosts.len() as u32, load, host);
        }
        table.host(number)
    }

    /// Before the tables are made: the host of the tables before, or one that the hash alone decides. Loads are not
    /// bounded for so long.
    #[cold]
    fn choose_meanwhile(
        self: &Arc<Self>,
        hash: u64,
        attempt: u32,
        total: impl Fn() -> u32,
    ) -> Option<Arc<Host>> {
        let before = self.before.load();
        if before.is_none() && self.is_made() {
            return self.choose(hash, attempt, total);
        }
        let by_table = |before: &Tables| {
            let table = before.priorities.get(before.priority(hash))?;
            table.host(before.number(table, hash, attempt)?)
        };
        let by_hash = || {
            let table = self.priorities.get(self.priority(hash))?;
            let count = table.weights.hosts.len() as u64;
            table.host(hash.wrapping_add(attempt.into()).checked_rem(count)? as u32)
        };
        before.as_deref().and_then(by_table).or_else(by_hash)
    }

    /// The number of a hash's host, by the table.
    fn number(&self, table: &Table, hash: u64, attempt: u32) -> Option<u32> {
        match self.places(table) {
            Places::None => None,
            Places::Ring(ring) => Some(ring.choose(hash, attempt)),
            Places::Maglev(maglev) => Some(maglev.choose(hash, attempt)),
        }
    }

    /// Whether health does not count for the hosts of this hash.
    pub fn panics(&self, hash: u64) -> bool {
        self.load.panic.get(self.priority(hash)).is_some_and(|panic| *panic)
    }

    /// The priority of a hash; as in Envoy degraded hosts do not count as such.
    fn priority(&self, hash: u64) -> usize {
        self.load.choose(hash).0
    }

    fn places<'t>(&self, table: &'t Table) -> &'t Places {
        table.places.get_or_init(|| Places::new(&table.weights, &self.config.lb_policy, &self.stats))
    }
}

/// How many points or entries the table of these hosts has.
fn size(weights: &Weights, policy: &LbPolicy) -> u64 {
    match policy {
        _ if weights.hosts.is_empty() => 0,
        LbPolicy::RingHash(config) => Ring::size(weights, config),
        LbPolicy::Maglev(config) => config.table_size.into(),
        LbPolicy::RoundRobin | LbPolicy::LeastRequest(_) | LbPolicy::Random | LbPolicy::ClusterProvided => 0,
    }
}

impl Places {
    fn new(weights: &Weights, policy: &LbPolicy, stats: &Stats) -> Self {
        if weights.hosts.is_empty() {
            return Places::None;
        }
        match (policy, stats) {
            (LbPolicy::RingHash(config), Stats::Ring(stats)) => {
                let (ring, counts) = Ring::new(weights, config, &config.hashing);
                stats.size().set(counts.size);
                stats.min_hashes_per_host().set(counts.min_per_host);
                stats.max_hashes_per_host().set(counts.max_per_host);
                // A minimum of no points is one that may be configured, and then no hash leads anywhere.
                if ring.is_empty() { Places::None } else { Places::Ring(ring) }
            }
            (LbPolicy::Maglev(config), Stats::Maglev(stats)) => {
                let (table, (min, max)) = MaglevTable::new(weights, config);
                stats.min_entries_per_host().set(min);
                stats.max_entries_per_host().set(max);
                Places::Maglev(table)
            }
            _ => Places::None,
        }
    }
}

/// What places a host: `hash_key` of its metadata, else its name where configured, else its address.
fn key(host: &Host, hashing: &ConsistentHashing) -> String {
    let metadata = host.metadata();
    let labels = metadata.as_ref().and_then(|metadata| metadata.filter_metadata.get("envoy.lb"));
    let configured = labels.and_then(|labels| labels.get("hash_key")?.as_str());
    match configured {
        Some(key) if !key.is_empty() => key.to_owned(),
        _ if hashing.use_hostname_for_hashing => host.hostname.to_string(),
        _ => host.address_text.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests;
