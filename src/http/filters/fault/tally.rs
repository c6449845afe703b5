//! Statistics of faults, as a whole and by the downstream's cluster, which requests name in a header.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::headers::{Headers, Known};
use crate::observability::stats::Registry;
use crate::observability::stats::http::{FaultClusterStats, FaultStats};

/// Downstream clusters that have statistics of their own. Clients choose the names, and each takes memory for ever: what
/// comes after these is counted as a whole only.
const MAX_CLUSTERS: usize = 1000;

/// What a filter counts.
#[derive(Debug)]
pub(super) struct Tally {
    registry: Registry,
    /// `http.<stat_prefix>.fault.`
    prefix: String,
    pub(super) stats: FaultStats,
    /// Only requests that suffer a fault and name a cluster come here: they are being delayed or refused anyway.
    clusters: Mutex<HashMap<Box<[u8]>, FaultClusterStats>>,
}

impl Tally {
    pub(super) fn new(registry: &Registry, stat_prefix: &str) -> Self {
        let prefix = format!("{stat_prefix}fault.");
        Tally {
            stats: FaultStats::new(registry, &prefix),
            registry: registry.clone(),
            prefix,
            clusters: Mutex::default(),
        }
    }

    /// Counts a request that is answered; by its cluster as well where that is wanted.
    pub(super) fn aborted(&self, request: &Headers, by_cluster: bool) {
        self.stats.aborts_injected().inc();
        if by_cluster {
            self.of_cluster(request, |stats| stats.aborts_injected().inc());
        }
    }

    /// Counts a request that is delayed, likewise.
    pub(super) fn delayed(&self, request: &Headers, by_cluster: bool) {
        self.stats.delays_injected().inc();
        if by_cluster {
            self.of_cluster(request, |stats| stats.delays_injected().inc());
        }
    }

    fn of_cluster(&self, request: &Headers, count: impl FnOnce(&FaultClusterStats)) {
        let name = request.get(Known::XEnvoyDownstreamServiceCluster).unwrap_or_default();
        if name.is_empty() {
            return;
        }
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = clusters.get(name) {
            return count(stats);
        }
        if clusters.len() < MAX_CLUSTERS {
            let prefix = format!("{}{}.", self.prefix, String::from_utf8_lossy(name));
            count(clusters.entry(name.into()).or_insert(FaultClusterStats::new(&self.registry, &prefix)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_cannot_make_statistics_without_end() {
        let tally = Tally::new(&Registry::new(1), "http.p.");
        for number in 0..MAX_CLUSTERS + 5 {
            let mut request = Headers::new();
            request.append(Known::XEnvoyDownstreamServiceCluster, number.to_string().as_bytes());
            tally.aborted(&request, true);
        }
        let clusters = tally.clusters.lock().unwrap();
        assert_eq!(clusters.len(), MAX_CLUSTERS);
        assert_eq!(tally.stats.aborts_injected().value(), MAX_CLUSTERS as u64 + 5);
    }
}
