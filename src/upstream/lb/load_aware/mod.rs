//! Localities that take requests as their hosts have room: `load_aware_locality`.
//!
//! The control thread makes shares of what hosts report, again and again ([`Averages`]); a worker chooses a locality by
//! them, by chance (`Localities`), and a host of it by the policy within. Placement is Envoy's.
//!
//! - `averages`: what shares come of what is reported; `localities`: the choice of a locality.

mod averages;
mod localities;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config;
use crate::config::endpoint::Locality;
use crate::observability::stats::Registry;
use crate::observability::stats::cluster::LoadAwareLocalityStats;
use crate::upstream::{HostSet, PriorityHosts};

pub use averages::Averages;
pub(super) use localities::Localities;

/// Which hosts of a priority take requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The healthy ones.
    Healthy,
    /// The degraded ones.
    Degraded,
    /// All, in a panic.
    All,
}

impl Source {
    const EACH: [Source; 3] = [Source::Healthy, Source::Degraded, Source::All];

    /// Such hosts of the localities of a priority.
    fn hosts(self, hosts: &PriorityHosts, locality: usize) -> &crate::upstream::host_set::Hosts {
        let locality = &hosts.localities[locality];
        match self {
            Source::Healthy => &locality.healthy,
            Source::Degraded => &locality.degraded,
            Source::All => &locality.all,
        }
    }
}

/// What the localities of each priority take, by which of its hosts are used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    priorities: Vec<[Division; 3]>,
}

/// What localities take of each other.
#[derive(Clone, Debug, Default, PartialEq)]
struct Division {
    weights: Vec<(Arc<Locality>, f64)>,
    /// Whether the local one takes all.
    all_local: bool,
}

/// What a cluster has whose localities take requests in this way.
#[derive(Debug)]
pub struct LoadAware {
    shares: ArcSwap<Shares>,
    stats: LoadAwareLocalityStats,
}

impl LoadAware {
    /// For a cluster whose statistics have this prefix, if it is configured so.
    pub(in crate::upstream) fn new(
        config: &config::Cluster,
        registry: &Registry,
        prefix: &str,
    ) -> Option<Self> {
        config.lb.load_aware.as_ref()?;
        let stats = LoadAwareLocalityStats::new(registry, &format!("{prefix}load_aware_locality."));
        Some(LoadAware { shares: ArcSwap::default(), stats })
    }

    /// Puts shares in force that come of what hosts have reported.
    pub(in crate::upstream) fn divide(
        &self,
        hosts: &HostSet,
        config: &config::cluster::LoadAwareLocality,
        averages: &mut Averages,
        utilization: impl Fn(&crate::upstream::Host) -> Option<f64>,
    ) {
        let (shares, found) = averages.divide(hosts, config, utilization);
        if *self.shares.load_full() != shares {
            self.shares.store(Arc::new(shares));
        }
        for (counter, happened) in [
            (self.stats.all_overloaded_total(), found.all_overloaded),
            (self.stats.local_preferred_total(), found.local_preferred),
            (self.stats.probe_active_total(), found.probe_active),
            (self.stats.spill_active_total(), found.spill_active),
        ] {
            counter.add(happened.into());
        }
        self.stats.stale_locality_total().add(found.stale_localities);
        self.stats.recompute_total().inc();
    }
}
