//! Zone aware routing: requests stay in the proxy's own locality as far as that leaves all hosts with equal load.
//!
//! The share of this proxy's fellows (the hosts of `local_cluster_name`) that each locality has is held against its
//! share of the upstream hosts. It concerns the first priority alone. The rules are Envoy's.

use std::collections::HashMap;

use crate::base::random::Rng;
use crate::config::cluster::{LocalityBasis, ZoneAware};
use crate::config::endpoint::Locality;
use crate::config::runtime::Values;
use crate::observability::stats::ClusterStats;
use crate::upstream::{Cluster, HostSet, LocalityHosts, PriorityHosts};

use super::health::HealthCounts;

/// Shares are counted in so many parts.
const WHOLE: u64 = 10_000;

/// Percent of requests that localities count for, and where the runtime changes it.
const ENABLED: &str = "upstream.zone_routing.enabled";

/// Healthy hosts that a cluster has at least for localities to count, and where the runtime changes it.
const MIN_CLUSTER_SIZE: &str = "upstream.zone_routing.min_cluster_size";

/// Hosts of the own locality from which on all requests stay there, where the runtime says it.
const FORCE_MIN_SIZE: &str = "upstream.zone_routing.force_local_zone.min_size";

/// How requests are divided among the localities of the first priority, the proxy's own at the first place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ZoneRouting {
    /// Localities do not count.
    #[default]
    None,
    /// All requests stay.
    Direct,
    /// Some stay, others go where hosts have room.
    Residual {
        /// How many of 10,000 stay.
        stay: u64,
        /// The room of each locality, added to that of those before.
        room: Vec<u64>,
    },
}

impl ZoneRouting {
    /// From the hosts of a cluster's first priority and those of the local cluster.
    pub(super) fn new(
        hosts: &PriorityHosts,
        local: &PriorityHosts,
        config: &ZoneAware,
        runtime: &Values,
        stats: &ClusterStats,
    ) -> Self {
        let force = match runtime.integer(FORCE_MIN_SIZE, 0) {
            0 => config.force_local_zone_min_size.map(u64::from),
            size => Some(size),
        };
        if hosts.localities.len() < 2 || (force.is_none() && local.localities.len() < 2) {
            return ZoneRouting::None;
        }
        let own = local.localities.first().filter(|_| local.has_local_locality);
        if own.is_none_or(|own| own.all.is_empty()) {
            stats.lb_local_cluster_not_ok().inc();
            return ZoneRouting::None;
        }
        if (hosts.healthy.len() as u64) < runtime.integer(MIN_CLUSTER_SIZE, config.min_cluster_size) {
            stats.lb_zone_cluster_too_small().inc();
            return ZoneRouting::None;
        }
        let shares = shares(hosts, local, config.basis);
        let own = hosts.localities.first().zip(shares.first()).filter(|_| hosts.has_local_locality);
        if let Some((own, share)) = own {
            let enough = share.upstream > 0 && share.upstream >= share.local;
            if enough || force.is_some_and(|size| own.healthy.len() as u64 >= size) {
                return ZoneRouting::Direct;
            }
        }
        let stay = own.and_then(|(_, share)| (share.upstream * WHOLE).checked_div(share.local)).unwrap_or(0);
        let mut sum = 0;
        let room = shares.iter().enumerate().map(|(index, share)| {
            if index > 0 || own.is_none() {
                sum += share.upstream.saturating_sub(share.local);
            }
            sum
        });
        let room = room.collect();
        ZoneRouting::Residual { stay, room }
    }

    /// Whether localities count for this request.
    pub(super) fn is_used(&self, config: &ZoneAware, runtime: Option<&Values>, rng: &mut Rng) -> bool {
        let configured = u64::from(config.routing_enabled);
        let percent = runtime.map_or(configured, |runtime| runtime.integer(ENABLED, configured));
        *self != ZoneRouting::None && rng.below(100) < percent
    }

    /// The number of the locality for a request.
    pub(super) fn pick(&self, rng: &mut Rng, stats: &ClusterStats) -> usize {
        let (stay, room) = match self {
            ZoneRouting::None => return 0,
            ZoneRouting::Direct => {
                stats.lb_zone_routing_all_directly().inc();
                return 0;
            }
            ZoneRouting::Residual { stay, room } => (*stay, room),
        };
        if rng.below(WHOLE) < stay {
            stats.lb_zone_routing_sampled().inc();
            return 0;
        }
        stats.lb_zone_routing_cross_zone().inc();
        match room.last() {
            Some(&all) if all > 0 => {
                let point = rng.below(all);
                room.iter().take_while(|sum| point >= **sum).count()
            }
            _ => {
                stats.lb_zone_no_capacity_left().inc();
                rng.below(room.len() as u64) as usize
            }
        }
    }
}

/// How much stays in the locality where the proxy runs.
#[derive(Debug, Default)]
pub(super) struct Zones {
    routing: ZoneRouting,
    /// Whether so few of the local cluster's hosts are healthy that localities do not count.
    fellows_panic: bool,
}

/// Where a request may go.
pub(super) enum Zone {
    Any,
    Nowhere,
    Locality(usize),
}

impl Zones {
    pub(super) fn new(hosts: &HostSet, fellows: &HostSet, cluster: &Cluster, runtime: &Values) -> Self {
        let lb = &cluster.config.lb;
        let (Some(hosts), Some(fellows)) = (hosts.priorities.first(), fellows.priorities.first()) else {
            return Zones::default();
        };
        Zones {
            routing: ZoneRouting::new(hosts, fellows, &lb.zone_aware, runtime, &cluster.stats),
            fellows_panic: HealthCounts::of(fellows, false).in_panic(cluster.steering.panic_threshold()),
        }
    }

    /// Whether localities count.
    #[inline]
    pub(super) fn count(&self) -> bool {
        self.routing != ZoneRouting::None
    }

    /// Where a request to the first priority goes.
    pub(super) fn pick(&self, cluster: &Cluster, rng: &mut Rng, runtime: Option<&Values>) -> Zone {
        let lb = &cluster.config.lb;
        if !self.routing.is_used(&lb.zone_aware, runtime, rng) {
            return Zone::Any;
        }
        if self.fellows_panic {
            cluster.stats.lb_local_cluster_not_ok().inc();
            return if lb.fail_traffic_on_panic { Zone::Nowhere } else { Zone::Any };
        }
        Zone::Locality(self.routing.pick(rng, &cluster.stats))
    }
}

/// The shares of a locality, of 10,000.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    local: u64,
    upstream: u64,
}

fn shares(hosts: &PriorityHosts, local: &PriorityHosts, basis: LocalityBasis) -> Vec<Share> {
    let weight = |locality: &LocalityHosts| -> u64 {
        match basis {
            LocalityBasis::HealthyHosts => locality.healthy.len() as u64,
            LocalityBasis::Weight => locality.healthy.iter().map(|host| u64::from(host.weight())).sum(),
        }
    };
    let locals: HashMap<&Locality, u64> =
        local.localities.iter().map(|locality| (&*locality.locality, weight(locality))).collect();
    let local_sum: u64 = locals.values().sum();
    let upstream_sum: u64 = hosts.localities.iter().map(weight).sum();
    let share = |of: u64, all: u64| (WHOLE * of).checked_div(all).unwrap_or(0);
    let shares = hosts.localities.iter().map(|locality| {
        if locality.healthy.is_empty() {
            return Share::default();
        }
        let local = locals.get(&*locality.locality).copied().unwrap_or(0);
        Share { local: share(local, local_sum), upstream: share(weight(locality), upstream_sum) }
    });
    shares.collect()
}

#[cfg(test)]
mod tests;
