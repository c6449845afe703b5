//! `RING_HASH` and `MAGLEV`: the same hash goes to the same host, and few hashes move when hosts come or go.
//!
//! The tables belong to a set of hosts: the control thread makes them when it publishes the set, and all workers look
//! hosts up in them. Placement is Envoy's.

mod maglev;
mod ring;
mod weights;

use std::sync::{Arc, OnceLock};

use self::maglev::MaglevTable;
use self::ring::Ring;
use self::weights::Weights;
use super::health::HealthCounts;
use super::priority::PriorityLoad;
use crate::config::cluster::{Cluster, ConsistentHashing, LbPolicy};
use crate::observability::stats::{MaglevStats, Registry, RingHashStats};
use crate::upstream::{Host, HostSet};

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
            LbPolicy::RoundRobin | LbPolicy::LeastRequest { .. } | LbPolicy::Random => None,
        }
    }
}

/// The tables of a set of hosts, one for each priority.
#[derive(Debug)]
pub struct Tables {
    load: PriorityLoad,
    config: Arc<Cluster>,
    stats: Stats,
    priorities: Box<[Table]>,
}

/// The table of one priority.
#[derive(Debug)]
struct Table {
    weights: Weights,
    /// Made at first use, or before.
    places: OnceLock<Places>,
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
    /// The tables of these hosts; what takes time is done by whoever first looks something up.
    pub fn lazy(hosts: &HostSet, config: &Arc<Cluster>, stats: &Stats) -> Self {
        let counts: Vec<HealthCounts> = hosts.priorities.iter().map(HealthCounts::of).collect();
        let load =
            PriorityLoad::new(&counts, hosts.overprovisioning_factor, config.lb.healthy_panic_threshold);
        let levels = hosts.priorities.iter().zip(&load.panic);
        let priorities = levels.map(|(hosts, panic)| Table {
            weights: Weights::new(hosts, *panic, config.lb.locality_weighted),
            places: OnceLock::new(),
        });
        Tables { priorities: priorities.collect(), load, config: Arc::clone(config), stats: stats.clone() }
    }

    /// The tables of these hosts, made at once. Rings and tables of the default sizes take milliseconds.
    pub fn made(hosts: &HostSet, config: &Arc<Cluster>, stats: &Stats) -> Self {
        let tables = Self::lazy(hosts, config, stats);
        for table in &tables.priorities {
            tables.places(table);
        }
        tables
    }

    /// The host of a hash. `attempt` leads away from hosts that earlier attempts took.
    pub fn choose(&self, hash: u64, attempt: u32) -> Option<&Arc<Host>> {
        let table = self.priorities.get(self.priority(hash))?;
        let host = match self.places(table) {
            Places::None => return None,
            Places::Ring(ring) => ring.choose(hash, attempt),
            Places::Maglev(maglev) => maglev.choose(hash, attempt),
        };
        table.weights.hosts.get(host as usize).map(|(host, _)| host)
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
mod tests;
