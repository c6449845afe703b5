//! Load balancing: which host takes a request.
//!
//! A [`Balancer`] belongs to one worker and one cluster and is not shared, so choosing takes no lock. It first
//! chooses a priority by health ([`priority`]), then, where configured, a locality, then a host by the cluster's
//! policy. Placement is Envoy's.

pub mod edf;
pub mod hashing;
pub mod health;
pub mod load_aware;
pub mod priority;
pub mod slow_start;
pub mod subset;

mod foresight;
mod least_request;
mod level;
mod linear;
mod locality;
mod random;
mod round_robin;
#[cfg(test)]
mod simulation;
mod slot;
#[cfg(test)]
mod tests;
mod turns;
mod zone;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use self::linear::{Linear, Place};
use self::priority::PriorityLoad;
use self::subset::{Criterion, SubsetTurns};
use self::turns::Turns;
use super::host_set::HostSet;
use super::{Cluster, Host, LocalCluster};
use crate::base::random::Rng;
use crate::config::metadata::Metadata;
use crate::config::route::{HostPredicate, RetryPolicy};
use crate::config::runtime::Values;

/// What a request brings to the choice of its host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// Hash of what should always go to the same host; `None` when the route has no hash policy.
    pub hash: Option<u64>,
    /// Hosts that a retry does not go to; `None` for first attempts.
    pub avoid: Option<Avoid<'a>>,
    /// The load of priorities for this request alone; `None` means that of all (`RetryPolicy.retry_priority`).
    pub load: Option<&'a PriorityLoad>,
    /// Priorities that are left out for this request alone, in whatever subset it gets
    /// (`RetryPolicy.retry_priority`).
    pub left_out: Option<&'a LeftOut<'a>>,
    /// What the metadata of hosts has to be, in the order of the names; it counts where hosts are divided into subsets.
    pub criteria: &'a [Criterion<'a>],
    /// The runtime's values; `None` where nothing is known, and for [plain](Cluster::is_plain) clusters.
    pub runtime: Option<&'a Values>,
    /// How long there has been the cluster, where that [counts](Cluster::age).
    pub now: Option<Duration>,
    /// Addresses of the hosts that the request names, where the cluster lets it.
    pub named: &'a [&'a str],
    /// How many attempts there were before: they took the first of those hosts.
    pub attempts: usize,
}

/// Priorities that a retry leaves out, as long as others are left.
#[derive(Debug)]
pub struct LeftOut<'a> {
    priorities: &'a [u32],
    are_all: Cell<bool>,
}

impl<'a> LeftOut<'a> {
    /// These.
    pub fn new(priorities: &'a [u32]) -> Self {
        LeftOut { priorities, are_all: Cell::new(false) }
    }

    /// Whether the last choice was without any other.
    pub fn are_all(&self) -> bool {
        self.are_all.get()
    }

    /// The load of these hosts without them, where `load` is that of all; `None` where no other can take any.
    fn apply(&self, load: &PriorityLoad, hosts: &HostSet) -> Option<PriorityLoad> {
        let left = load.without(&hosts.health_counts(), self.priorities, hosts.overprovisioning_factor);
        self.are_all.set(left.is_none());
        left
    }
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

impl<'a> Avoid<'a> {
    /// What an attempt avoids by this policy; `None` where none came before it.
    pub fn of(policy: &'a RetryPolicy, tried: &'a [u64]) -> Option<Self> {
        let avoid = Avoid {
            predicates: &policy.host_predicates,
            tried,
            reselections: policy.host_selection_retry_max_attempts,
        };
        Some(avoid).filter(|_| !tried.is_empty())
    }

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
    turns: Turns,
    subsets: SubsetTurns,
    /// Hosts of the requests that come next, where it is known already.
    foreseen: VecDeque<Arc<Host>>,
}

impl Balancer {
    /// A balancer that has not chosen yet. Cheap: hosts are looked at when the first is chosen.
    pub fn new(_cluster: &Arc<Cluster>) -> Self {
        Balancer {
            hosts: Arc::new(HostSet::empty()),
            turns: Turns::default(),
            subsets: SubsetTurns::default(),
            foreseen: VecDeque::new(),
        }
    }

    /// The host for one request or one attempt of it; `None` when no host may take it.
    ///
    /// `cluster` is the one that the balancer was made for; its newest hosts are used.
    pub fn choose(&mut self, cluster: &Cluster, rng: &mut Rng, request: &Choice<'_>) -> Option<Arc<Host>> {
        self.refresh(cluster, rng, request.runtime);
        if let Some(host) = self.named(request) {
            return Some(host);
        }
        if let Some(host) = self.take_foreseen(request) {
            return Some(host);
        }
        match &self.hosts.subsets {
            None => self.turns.choose(&self.hosts, cluster, rng, request),
            Some(index) => self.subsets.choose(index, cluster, rng, request),
        }
    }

    /// The host that the request names for this attempt; as in Envoy whatever its health.
    #[inline]
    fn named(&self, request: &Choice<'_>) -> Option<Arc<Host>> {
        if request.named.is_empty() {
            return None;
        }
        let hosts = self.hosts.by_address.as_ref()?;
        let mut named = request.named.iter().filter_map(|address| hosts.get(*address));
        named.nth(request.attempts).cloned()
    }

    /// Whether some host may take a request now; what `None` from [`choose`](Self::choose) means otherwise.
    pub fn load(&self) -> &PriorityLoad {
        self.turns.load()
    }

    /// The load without some priorities; `None` when no other has a host that may be used.
    pub fn load_without(
        &mut self,
        cluster: &Cluster,
        rng: &mut Rng,
        excluded: &[u32],
        runtime: Option<&Values>,
    ) -> Option<PriorityLoad> {
        self.refresh(cluster, rng, runtime);
        let counts = self.hosts.health_counts();
        self.turns.load().without(&counts, excluded, self.hosts.overprovisioning_factor)
    }

    /// Looks at the cluster's hosts anew if they changed.
    #[inline]
    fn refresh(&mut self, cluster: &Cluster, rng: &mut Rng, runtime: Option<&Values>) {
        let fellows = cluster.fellows().map_or(0, LocalCluster::version);
        if !self.turns.knows(cluster.hosts_version(), fellows) {
            self.rebuild(cluster, rng, runtime);
        }
    }

    #[cold]
    fn rebuild(&mut self, cluster: &Cluster, rng: &mut Rng, runtime: Option<&Values>) {
        self.hosts = Arc::clone(&cluster.hosts());
        self.foreseen.clear();
        self.turns.reset(&self.hosts, cluster, rng, runtime);
        if let Some(index) = &self.hosts.subsets {
            self.subsets.retain(index);
        }
    }
}
