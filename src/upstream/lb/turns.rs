//! What a balancer remembers about one set of hosts: whose turn it is, by priority, health and locality.

use std::sync::Arc;
use std::time::Duration;

use super::Choice;
use super::hashing::Tables;
use super::health::HealthCounts;
use super::level::Level;
use super::load_aware::{LoadAware, Localities, Source};
use super::priority::{Availability, PriorityLoad};
use super::slot::Pace;
use super::slow_start::Moment;
use super::zone::{Zone, Zones};
use crate::base::random::Rng;
use crate::config::cluster::LbPolicy;
use crate::config::runtime::Values;
use crate::upstream::{Cluster, Host, HostSet};

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
    priorities: Vec<Level>,
    /// Exponent of active requests, as the runtime said it then.
    bias: f64,
    zones: Zones,
    /// There where localities take requests as they have room.
    localities: Option<Box<Localities>>,
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
        self.priorities.resize_with(counts.len(), || Level::new(seed));
        for (state, hosts) in self.priorities.iter_mut().zip(&hosts.priorities) {
            state.reset(hosts, overprovisioning, cluster.config.lb.weighs_localities(), seed);
        }
        if cluster.load_aware.is_some() {
            self.localities.get_or_insert_default().reset(hosts, seed);
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
            self.count_locality(hosts, cluster, rng, request);
            return by_hash(tables, cluster, rng, request);
        }
        if let Some(load_aware) = &cluster.load_aware {
            return self.choose_by_load(hosts, cluster, load_aware, rng, request);
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
        let (priority, availability) = self.choose_level(hosts, cluster, rng, request)?;
        let pace = self.pace(cluster, request);
        let (hosts, state) = hosts.priorities.get(priority).zip(self.priorities.get_mut(priority))?;
        if self.load.panic[priority] {
            cluster.stats.lb_healthy_panic().inc();
            if cluster.config.lb.fail_traffic_on_panic {
                return None;
            }
            return state.pick_any(hosts, &pace, rng).cloned();
        }
        if let Some(locality) = state.pick_locality(availability) {
            return state.pick_within(hosts, locality, availability, &pace, rng).cloned();
        }
        if priority == 0 && self.zones.count() {
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

    /// The same where localities take requests as they have room. As in Envoy a host is chosen anew within its locality.
    fn choose_by_load(
        &mut self,
        hosts: &HostSet,
        cluster: &Cluster,
        load_aware: &LoadAware,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<Arc<Host>> {
        let chosen @ (priority, ..) = self.choose_locality(hosts, cluster, load_aware, rng, request)?;
        let pace = self.pace(cluster, request);
        let localities = self.localities.as_mut()?;
        let mut pick = || localities.pick(&hosts.priorities[priority], chosen, &pace, rng);
        let mut host = pick()?;
        if let Some(avoid) = &request.avoid {
            for _ in 0..avoid.reselections {
                if !avoid.rejects(host) {
                    break;
                }
                host = pick()?;
            }
        }
        Some(Arc::clone(host))
    }

    /// Counts the locality that a request would go to, where a hash chooses among the hosts of all: as in Envoy, whose
    /// tables know of no localities.
    #[inline]
    fn count_locality(&mut self, hosts: &HostSet, cluster: &Cluster, rng: &mut Rng, request: &Choice<'_>) {
        if let Some(load_aware) = &cluster.load_aware {
            self.choose_locality(hosts, cluster, load_aware, rng, request);
        }
    }

    /// The priority, the kind of its hosts and the locality of them that a request goes to.
    fn choose_locality(
        &mut self,
        hosts: &HostSet,
        cluster: &Cluster,
        load_aware: &LoadAware,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<(usize, Source, usize)> {
        let (priority, availability) = self.choose_level(hosts, cluster, rng, request)?;
        let source = match availability {
            _ if self.load.panic[priority] => Source::All,
            Availability::Healthy => Source::Healthy,
            Availability::Degraded => Source::Degraded,
        };
        if source == Source::All {
            cluster.stats.lb_healthy_panic().inc();
        }
        let localities = self.localities.as_mut()?;
        let locality = localities.choose(hosts, (priority, source), load_aware, &cluster.stats, rng)?;
        Some((priority, source, locality))
    }

    /// The priority for a request, and which of its hosts; `None` without hosts.
    #[inline]
    fn choose_level(
        &self,
        hosts: &HostSet,
        cluster: &Cluster,
        rng: &mut Rng,
        request: &Choice<'_>,
    ) -> Option<(usize, Availability)> {
        let load = request.load.unwrap_or(&self.load);
        let (priority, availability) = match load.single() {
            Some(single) => single,
            None => load.choose(request.hash.unwrap_or_else(|| rng.next_u64())),
        };
        if hosts.priorities.len().min(self.priorities.len()) > priority {
            return Some((priority, availability));
        }
        // Without hosts there is panic too, though nobody to turn to.
        if HealthCounts::default().in_panic(cluster.steering.panic_threshold()) {
            cluster.stats.lb_healthy_panic().inc();
        }
        None
    }

    /// By what hosts are picked for a request.
    #[inline]
    fn pace<'p>(&self, cluster: &'p Cluster, request: &Choice<'_>) -> Pace<'p> {
        Pace {
            policy: &cluster.config.lb_policy,
            seed: self.seed.unwrap_or_default(),
            bias: self.bias,
            slow_start: request.now.and_then(|now| slow_start(cluster, now, request.runtime)),
        }
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
