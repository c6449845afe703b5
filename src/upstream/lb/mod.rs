//! Load balancing: which host takes a request.
//!
//! A [`Balancer`] belongs to one worker and one cluster and is not shared, so choosing takes no lock. It first
//! chooses a priority by health ([`priority`]), then, where configured, a locality, then a host by the cluster's
//! policy. Placement is Envoy's.

pub mod edf;
pub mod hashing;
pub mod health;
pub mod priority;

mod least_request;
mod locality;
mod random;
mod round_robin;
mod slot;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::hashing::Tables;
use self::health::HealthCounts;
use self::locality::LocalityPicker;
use self::priority::{Availability, PriorityLoad};
use self::slot::Slot;
use super::host_set::HostSet;
use super::{Cluster, Host, PriorityHosts};
use crate::base::random::Rng;
use crate::config::cluster::LbPolicy;
use crate::config::metadata::Metadata;
use crate::config::route::HostPredicate;

/// What a request brings to the choice of its host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// Hash of what should always go to the same host; `None` when the route has no hash policy.
    pub hash: Option<u64>,
    /// Hosts that a retry does not go to; `None` for first attempts.
    pub avoid: Option<Avoid<'a>>,
    /// The load of priorities for this request alone; `None` means that of all (`RetryPolicy.retry_priority`).
    pub load: Option<&'a PriorityLoad>,
}

/// Hosts that a retry does not go to: `RetryPolicy.retry_host_predicate`.
#[derive(Clone, Copy, Debug)]
pub struct Avoid<'a> {
    /// A host that one of these rejects.
    pub predicates: &'a [HostPredicate],
    /// Ids of hosts that earlier attempts of the request went to.
    pub tried: &'a [u64],
    /// How often to choose again when such a host comes up; the last choice stands
    /// (`RetryPolicy.host_selection_retry_max_attempts`).
    pub reselections: u32,
}

impl Avoid<'_> {
    fn rejects(&self, host: &Host) -> bool {
        let was_tried = self.tried.contains(&host.id);
        let (metadata, none) = (host.metadata(), Metadata::default());
        let metadata = metadata.as_deref().unwrap_or(&none);
        self.predicates.iter().any(|predicate| predicate.rejects(was_tried, metadata))
    }
}

/// Chooses hosts of one cluster for one worker.
#[derive(Debug)]
pub struct Balancer {
    hosts: Arc<HostSet>,
    /// Where turns begin; drawn at the first choice.
    seed: Option<u64>,
    load: PriorityLoad,
    priorities: Vec<PriorityState>,
}

/// What a balancer remembers about one priority.
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

impl Balancer {
    /// A balancer that has not chosen yet. Cheap: hosts are looked at when the first is chosen.
    pub fn new(_cluster: &Arc<Cluster>) -> Self {
        let (load, priorities) = (PriorityLoad::default(), Vec::new());
        Balancer { hosts: Arc::new(HostSet::empty()), seed: None, load, priorities }
    }

    /// The host for one request or one attempt of it; `None` when no host may take it.
    ///
    /// `cluster` is the one that the balancer was made for; its newest hosts are used.
    pub fn choose(&mut self, cluster: &Cluster, rng: &mut Rng, request: &Choice<'_>) -> Option<Arc<Host>> {
        self.refresh(cluster, rng);
        if let Some(tables) = &self.hosts.tables {
            return by_hash(tables, cluster, rng, request).cloned();
        }
        let mut host = self.choose_once(cluster, rng, request)?;
        if let Some(avoid) = &request.avoid {
            for _ in 0..avoid.reselections {
                if !avoid.rejects(&host) {
                    break;
                }
                host = self.choose_once(cluster, rng, request)?;
            }
        }
        Some(host)
    }

    /// Whether some host may take a request now; what `None` from [`choose`](Self::choose) means otherwise.
    pub fn load(&self) -> &PriorityLoad {
        &self.load
    }

    /// The load without some priorities; `None` when no other has a host that may be used.
    pub fn load_without(
        &mut self,
        cluster: &Cluster,
        rng: &mut Rng,
        excluded: &[u32],
    ) -> Option<PriorityLoad> {
        self.refresh(cluster, rng);
        let counts: Vec<HealthCounts> = self.hosts.priorities.iter().map(HealthCounts::of).collect();
        self.load.without(&counts, excluded, self.hosts.overprovisioning_factor)
    }

    #[inline]
    fn choose_once(&mut self, cluster: &Cluster, rng: &mut Rng, request: &Choice<'_>) -> Option<Arc<Host>> {
        let load = request.load.unwrap_or(&self.load);
        let (priority, availability) = match load.single() {
            Some(single) => single,
            None => load.choose(request.hash.unwrap_or_else(|| rng.next_u64())),
        };
        let level = self.hosts.priorities.get(priority).zip(self.priorities.get_mut(priority));
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

    /// Looks at the cluster's hosts anew if they changed.
    #[inline]
    fn refresh(&mut self, cluster: &Cluster, rng: &mut Rng) {
        if self.seed.is_none() || self.hosts.version != cluster.hosts_version() {
            self.rebuild(cluster, rng);
        }
    }

    #[cold]
    fn rebuild(&mut self, cluster: &Cluster, rng: &mut Rng) {
        let seed = *self.seed.get_or_insert_with(|| rng.next_u64());
        self.hosts = Arc::clone(&cluster.hosts());
        let counts: Vec<HealthCounts> = self.hosts.priorities.iter().map(HealthCounts::of).collect();
        let overprovisioning = self.hosts.overprovisioning_factor;
        self.load = PriorityLoad::new(&counts, overprovisioning, cluster.config.lb.healthy_panic_threshold);
        self.priorities.resize_with(counts.len(), || PriorityState::new(seed));
        for (state, hosts) in self.priorities.iter_mut().zip(&self.hosts.priorities) {
            state.reset(hosts, overprovisioning, seed);
        }
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
    let mut host = tables.choose(hash, 0)?;
    if let Some(avoid) = &request.avoid {
        for attempt in 1..=avoid.reselections {
            if !avoid.rejects(host) {
                break;
            }
            host = tables.choose(hash, attempt)?;
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
