//! What a balancer remembers about one set of hosts: whose turn it is, by priority, health and locality.

use std::sync::Arc;

use super::Choice;
use super::hashing::Tables;
use super::health::HealthCounts;
use super::locality::LocalityPicker;
use super::priority::{Availability, PriorityLoad};
use super::slot::Slot;
use crate::base::random::Rng;
use crate::config::cluster::LbPolicy;
use crate::upstream::{Cluster, Host, HostSet, PriorityHosts};

/// Whose turn it is among the hosts of a set.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The version of the set that was looked at last.
    version: u64,
    /// Where turns begin; drawn when hosts are looked at first.
    seed: Option<u64>,
    load: PriorityLoad,
    priorities: Vec<PriorityState>,
}

/// What is remembered about one priority.
#[derive(Debug)]
struct PriorityState {
    all: Slot,
    healthy: Slot,
    degraded: Slot,
    localities: [LocalityState; 2],
}

/// The choice of a locality, and the turns within each.
#[derive(Debug, Default)]
struct LocalityState {
    /// `None` when locality does not count.
    picker: Option<LocalityPicker>,
    slots: Vec<Slot>,
}

impl Turns {
    /// How the load is spread over priorities.
    pub(super) fn load(&self) -> &PriorityLoad {
        &self.load
    }

    /// Whether the set of this version was looked at.
    #[inline]
    pub(super) fn knows(&self, version: u64) -> bool {
        self.seed.is_some() && self.version == version
    }

    /// Looks at the hosts anew; turns go on from where they are.
    #[cold]
    pub(super) fn reset(&mut self, hosts: &HostSet, cluster: &Cluster, rng: &mut Rng) {
        let seed = *self.seed.get_or_insert_with(|| rng.next_u64());
        self.version = hosts.version;
        let counts: Vec<HealthCounts> = hosts.priorities.iter().map(HealthCounts::of).collect();
        let overprovisioning = hosts.overprovisioning_factor;
        self.load = PriorityLoad::new(&counts, overprovisioning, cluster.config.lb.healthy_panic_threshold);
        self.priorities.resize_with(counts.len(), || PriorityState::new(seed));
        for (state, hosts) in self.priorities.iter_mut().zip(&hosts.priorities) {
            state.reset(hosts, overprovisioning, seed);
        }
    }

    /// The next host of the set, which is that of the last [`reset`](Self::reset).
    #[inline]
    pub(super) fn choose(
        &mut self,
        hosts: &HostSet,
        cluster: &Cluster,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<Arc<Host>> {
        if let Some(tables) = &hosts.tables {
            return by_hash(tables, cluster, rng, request).cloned();
        }
        let mut host = self.choose_once(hosts, cluster, rng, request)?;
        if let Some(avoid) = &request.avoid {
            for _ in 0..avoid.reselections {
                if !avoid.rejects(&host) {
                    break;
                }
                host = self.choose_once(hosts, cluster, rng, request)?;
            }
        }
        Some(host)
    }

    #[inline]
    fn choose_once(
        &mut self,
        hosts: &HostSet,
        cluster: &Cluster,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<Arc<Host>> {
        let load = request.load.unwrap_or(&self.load);
        let (priority, availability) = match load.single() {
            Some(single) => single,
            None => load.choose(request.hash.unwrap_or_else(|| rng.next_u64())),
        };
        let level = hosts.priorities.get(priority).zip(self.priorities.get_mut(priority));
        let Some((hosts, state)) = level else {
            // Without hosts there is panic too, though nobody to turn to.
            if HealthCounts::default().in_panic(cluster.config.lb.healthy_panic_threshold) {
                cluster.stats.lb_healthy_panic().inc();
            }
            return None;
        };
        let seed = self.seed.unwrap_or_default();
        let policy = &cluster.config.lb_policy;
        if self.load.panic[priority] {
            cluster.stats.lb_healthy_panic().inc();
            if cluster.config.lb.fail_traffic_on_panic {
                return None;
            }
            return state.all.pick(&hosts.all, policy, seed, rng).cloned();
        }
        state.pick(hosts, availability, policy, seed, rng).cloned()
    }
}

/// The host of the request's hash, or of a random one.
fn by_hash<'t>(
    tables: &'t Tables,
    cluster: &Cluster,
    rng: &mut Rng,
    request: &Choice<'_>,
) -> Option<&'t Arc<Host>> {
    let hash = request.hash.unwrap_or_else(|| rng.next_u64());
    if tables.panics(hash) {
        cluster.stats.lb_healthy_panic().inc();
    }
    let total = || u32::try_from(cluster.stats.upstream_rq_active().value()).unwrap_or(u32::MAX);
    let mut host = tables.choose(hash, 0, total)?;
    if let Some(avoid) = &request.avoid {
        for attempt in 1..=avoid.reselections {
            if !avoid.rejects(host) {
                break;
            }
            host = tables.choose(hash, attempt, total)?;
        }
    }
    Some(host)
}

impl PriorityState {
    fn new(seed: u64) -> Self {
        let [all, healthy, degraded] = std::array::from_fn(|_| Slot::new(seed));
        PriorityState { all, healthy, degraded, localities: Default::default() }
    }

    /// The hosts changed; turns go on from where they are.
    fn reset(&mut self, hosts: &PriorityHosts, overprovisioning: u32, seed: u64) {
        for slot in [&mut self.all, &mut self.healthy, &mut self.degraded] {
            slot.reset();
        }
        for (state, availability) in
            self.localities.iter_mut().zip([Availability::Healthy, Availability::Degraded])
        {
            state.picker = LocalityPicker::new(&hosts.localities, availability, overprovisioning, seed);
            state.slots.iter_mut().for_each(Slot::reset);
            state.slots.resize_with(hosts.localities.len(), || Slot::new(seed));
        }
    }

    /// A host of this availability, of a locality chosen by weight if that is how the cluster balances.
    fn pick<'a>(
        &mut self,
        hosts: &'a PriorityHosts,
        availability: Availability,
        policy: &LbPolicy,
        seed: u64,
        rng: &mut Rng,
    ) -> Option<&'a Arc<Host>> {
        let state = &mut self.localities[availability as usize];
        if let Some(index) = state.picker.as_mut().and_then(LocalityPicker::pick) {
            let locality = &hosts.localities[index];
            let list = match availability {
                Availability::Healthy => &locality.healthy,
                Availability::Degraded => &locality.degraded,
            };
            return state.slots[index].pick(list, policy, seed, rng);
        }
        match availability {
            Availability::Healthy => self.healthy.pick(&hosts.healthy, policy, seed, rng),
            Availability::Degraded => self.degraded.pick(&hosts.degraded, policy, seed, rng),
        }
    }
}
