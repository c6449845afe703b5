//! `MAGLEV`: a table of prime size in which each host has entries by its share
//! (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", listing 1).

use super::weights::Weights;
use crate::base::xxhash;
use crate::config::cluster::Maglev;

/// No host yet, while the table is filled.
const FREE: u32 = u32::MAX;

/// The number of a host in each entry; none is free.
#[derive(Debug)]
pub(super) struct MaglevTable {
    entries: Box<[u32]>,
}

/// A host while the table is filled.
struct Filling {
    number: u32,
    /// Its entries in the order of its preference: `offset`, `offset + skip`, `offset + 2 * skip`, …
    next: u64,
    skip: u64,
    weight: f64,
    /// What its weight has to come to for its next turn.
    target: f64,
    count: u64,
}

impl MaglevTable {
    /// Fills the table, and gives the smallest and the greatest number of entries of a host.
    pub(super) fn new(weights: &Weights, config: &Maglev) -> (Self, (u64, u64)) {
        let size = u64::from(config.table_size);
        let mut keyed: Vec<_> = weights.hosts.iter().enumerate().collect();
        // The order of the configuration does not count.
        keyed.sort_by_cached_key(|(_, (host, _))| super::key(host, &config.hashing));
        let mut filling: Vec<Filling> = keyed
            .into_iter()
            .map(|(number, (host, weight))| {
                let key = super::key(host, &config.hashing);
                Filling {
                    number: number as u32,
                    next: xxhash::hash(key.as_bytes()) % size,
                    skip: xxhash::hash_with_seed(key.as_bytes(), 1) % (size - 1) + 1,
                    weight: *weight,
                    target: 0.0,
                    count: 0,
                }
            })
            .collect();
        let entries = fill(&mut filling, size, weights.max);
        let counts = filling.iter().map(|host| host.count);
        let bounds = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
        (MaglevTable { entries }, bounds)
    }

    /// The number of the host of a hash.
    pub(super) fn choose(&self, hash: u64, attempt: u32) -> u32 {
        let hash = hash ^ u64::from(attempt).wrapping_neg();
        self.entries[(hash % self.entries.len() as u64) as usize]
    }
}

/// Hosts take entries in turn, the heaviest in each round, others in the rounds that their weight comes to.
fn fill(hosts: &mut [Filling], size: u64, heaviest: f64) -> Box<[u32]> {
    let mut entries = vec![FREE; size as usize].into_boxed_slice();
    let mut left = size;
    for round in 1u32.. {
        for host in hosts.iter_mut() {
            if left == 0 {
                return entries;
            }
            if f64::from(round) * host.weight < host.target {
                continue;
            }
            host.target += heaviest;
            while entries[host.next as usize] != FREE {
                host.next = (host.next + host.skip) % size;
            }
            entries[host.next as usize] = host.number;
            host.count += 1;
            left -= 1;
        }
    }
    entries
}
