//! The share of each host of a priority, all together 1.

use std::sync::Arc;

use crate::upstream::{Host, PriorityHosts};

/// The hosts that take requests, with their shares.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) hosts: Vec<(Arc<Host>, f64)>,
    /// The smallest share, at most 1.
    pub(super) min: f64,
    /// The greatest share.
    pub(super) max: f64,
}

impl Weights {
    /// Of the healthy hosts, or in a panic of all; by locality first where that is configured.
    pub(super) fn new(hosts: &PriorityHosts, panic: bool, by_locality: bool) -> Self {
        let mut weights = Weights { hosts: Vec::new(), min: 1.0, max: 0.0 };
        if !by_locality || hosts.localities.is_empty() {
            weights.add(if panic { &hosts.all } else { &hosts.healthy }, 1.0);
            return weights;
        }
        let sum: u64 = hosts.localities.iter().map(|locality| u64::from(locality.weight)).sum();
        for locality in hosts.localities.iter().filter(|locality| locality.weight > 0) {
            let list = if panic { &locality.all } else { &locality.healthy };
            weights.add(list, f64::from(locality.weight) / sum as f64);
        }
        weights
    }

    /// Divides a share among hosts by their weights.
    fn add(&mut self, hosts: &[Arc<Host>], share: f64) {
        let sum: u64 = hosts.iter().map(|host| u64::from(host.weight())).sum();
        for host in hosts {
            let weight = f64::from(host.weight()) * share / sum as f64;
            self.min = self.min.min(weight);
            self.max = self.max.max(weight);
            self.hosts.push((Arc::clone(host), weight));
        }
    }
}
