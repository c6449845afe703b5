//! What a balancer remembers about one set of hosts: whose turn it is, by priority, health and locality.

use std::sync::Arc;
use std::time::Duration;

use super::Choice;
use super::hashing::Tables;
use super::health::HealthCounts;
use super::locality::LocalityPicker;
use super::priority::{Availability, PriorityLoad};
use super::slot::{Pace, Slot};
use super::slow_start::Moment;
use super::zone::ZoneRouting;
use crate::base::random::Rng;
use crate::config::cluster::LbPolicy;
use crate::config::runtime::Values;
use crate::upstream::{Cluster, Host, HostSet, PriorityHosts};

/// Whose turn it is among the hosts of a set.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The version of the set that was looked at last.
    version: u64,
    /// The version of the local cluster's hosts then.
    fellows: u64,
    /// Where turns begin; drawn when hosts are looked at first.
    seed: Option<u64>,
    load: PriorityLoad,
    priorities: Vec<PriorityState>,
    /// Exponent of active requests, as the runtime said it then.
    bias: f64,
    zones: Zones,
}

/// How much stays in the locality where the proxy runs.
#[derive(Debug, Default)]
struct Zones {
    routing: ZoneRouting,
    /// Whether so few of the local cluster's hosts are healthy that localities do not count.
    fellows_panic: bool,
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
    pub(super) fn knows(&self, version: u64, fellows: u64) -> bool {
        self.seed.is_some() && self.version == version && self.fellows == fellows
    }

    /// Looks at the hosts anew; turns go on from where they are.
    #[cold]
    pub(super) fn reset(
        &mut self,
        hosts: &HostSet,
        cluster: &Cluster,
        rng: &mut Rng,
        runtime: Option<&Values>,
    ) {
        let seed = *self.seed.get_or_insert_with(|| rng.next_u64());
        self.version = hosts.version;
        let counts = hosts.health_counts();
        let overprovisioning = hosts.overprovisioning_factor;
        self.load = PriorityLoad::new(&counts, overprovisioning, cluster.steering.panic_threshold());
        self.priorities.resize_with(counts.len(), || PriorityState::new(seed));
        for (state, hosts) in self.priorities.iter_mut().zip(&hosts.priorities) {
            state.reset(hosts, overprovisioning, cluster.config.lb.weighs_localities(), seed);
        }
        self.bias = bias(&cluster.config.lb_policy, runtime);
        if let Some(fellows) = cluster.fellows() {
            self.fellows = fellows.version();
            let none = Values::default();
            self.zones = Zones::new(hosts, &fellows.hosts(), cluster, runtime.unwrap_or(&none));
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
            return by_hash(tables, cluster, rng, request);
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
            if HealthCounts::default().in_panic(cluster.steering.panic_threshold()) {
                cluster.stats.lb_healthy_panic().inc();
            }
            return None;
        };
        let pace = Pace {
            policy: &cluster.config.lb_policy,
            seed: self.seed.unwrap_or_default(),
            bias: self.bias,
            slow_start: request.now.and_then(|now| slow_start(cluster, now, request.runtime)),
        };
        if self.load.panic[priority] {
            cluster.stats.lb_healthy_panic().inc();
            if cluster.config.lb.fail_traffic_on_panic {
                return None;
            }
            return state.all.pick(&hosts.all, &pace, rng).cloned();
        }
        if let Some(locality) = state.pick_locality(availability) {
            return state.pick_within(hosts, locality, availability, &pace, rng).cloned();
        }
        if priority == 0 && self.zones.routing != ZoneRouting::None {
            match self.zones.pick(cluster, rng, request.runtime) {
                Zone::Any => {}
                Zone::Nowhere => return None,
                Zone::Locality(locality) => {
                    return state.pick_within(hosts, locality, availability, &pace, rng).cloned();
                }
            }
        }
        state.pick(hosts, availability, &pace, rng).cloned()
    }
}

/// Exponent of active requests; as in Envoy what makes no sense is as if it were not there.
fn bias(policy: &LbPolicy, runtime: Option<&Values>) -> f64 {
    let LbPolicy::LeastRequest(config) = policy else { return 1.0 };
    let configured = config.active_request_bias.default_value;
    let bias = runtime.map_or(configured, |runtime| config.active_request_bias.value(runtime));
    if bias >= 0.0 { bias } else { 1.0 }
}

#[cold]
fn slow_start(cluster: &Cluster, now: Duration, runtime: Option<&Values>) -> Option<Moment> {
    let config = cluster.config.lb.slow_start.as_ref()?;
    Some(Moment::new(config, u64::try_from(now.as_millis()).unwrap_or(u64::MAX), runtime))
}

/// Where a request may go.
enum Zone {
    Any,
    Nowhere,
    Locality(usize),
}

impl Zones {
    fn new(hosts: &HostSet, fellows: &HostSet, cluster: &Cluster, runtime: &Values) -> Self {
        let lb = &cluster.config.lb;
        let (Some(hosts), Some(fellows)) = (hosts.priorities.first(), fellows.priorities.first()) else {
            return Zones::default();
        };
        Zones {
            routing: ZoneRouting::new(hosts, fellows, &lb.zone_aware, runtime, &cluster.stats),
            fellows_panic: HealthCounts::of(fellows, false).in_panic(cluster.steering.panic_threshold()),
        }
    }

    fn pick(&self, cluster: &Cluster, rng: &mut Rng, runtime: Option<&Values>) -> Zone {
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

/// The host of the request's hash, or of a random one.
fn by_hash(
    tables: &Arc<Tables>,
    cluster: &Cluster,
    rng: &mut Rng,
    request: &Choice<'_>,
) -> Option<Arc<Host>> {
    let hash = request.hash.unwrap_or_else(|| rng.next_u64());
    if tables.panics(hash) {
        cluster.stats.lb_healthy_panic().inc();
    }
    let total = || u32::try_from(cluster.stats.upstream_rq_active().value()).unwrap_or(u32::MAX);
    let mut host = tables.choose(hash, 0, total)?;
    if let Some(avoid) = &request.avoid {
        for attempt in 1..=avoid.reselections {
            if !avoid.rejects(&host) {
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
    fn reset(&mut self, hosts: &PriorityHosts, overprovisioning: u32, weighted: bool, seed: u64) {
        for slot in [&mut self.all, &mut self.healthy, &mut self.degraded] {
            slot.reset();
        }
        for (state, availability) in
            self.localities.iter_mut().zip([Availability::Healthy, Availability::Degraded])
        {
            let picker = || LocalityPicker::new(&hosts.localities, availability, overprovisioning, seed);
            state.picker = if weighted { picker() } else { None };
            state.slots.iter_mut().for_each(Slot::reset);
            state.slots.resize_with(hosts.localities.len(), || Slot::new(seed));
        }
    }

    /// The next locality by weight, if that is how the cluster balances.
    #[inline]
    fn pick_locality(&mut self, availability: Availability) -> Option<usize> {
        self.localities[availability as usize].picker.as_mut().and_then(LocalityPicker::pick)
    }

    /// A host of this availability in a locality.
    fn pick_within<'a>(
        &mut self,
        hosts: &'a PriorityHosts,
        locality: usize,
        availability: Availability,
        pace: &Pace<'_>,
        rng: &mut Rng,
    ) -> Option<&'a Arc<Host>> {
        let own = hosts.localities.get(locality)?;
        let list = match availability {
            Availability::Healthy => &own.healthy,
            Availability::Degraded => &own.degraded,
        };
        self.localities[availability as usize].slots.get_mut(locality)?.pick(list, pace, rng)
    }

    /// A host of this availability, wherever it is.
    #[inline]
    fn pick<'a>(
        &mut self,
        hosts: &'a PriorityHosts,
        availability: Availability,
        pace: &Pace<'_>,
        rng: &mut Rng,
    ) -> Option<&'a Arc<Host>> {
        match availability {
            Availability::Healthy => self.healthy.pick(&hosts.healthy, pace, rng),
            Availability::Degraded => self.degraded.pick(&hosts.degraded, pace, rng),
        }
    }
}
