//! What a balancer remembers about one priority: whose turn it is, by health and locality.

use std::sync::Arc;

use super::locality::LocalityPicker;
use super::priority::Availability;
use super::slot::{Pace, Slot};
use crate::base::random::Rng;
use crate::upstream::{Host, PriorityHosts};

/// What is remembered about one priority.
#[derive(Debug)]
pub(super) struct Level {
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

impl Level {
    /// Nothing picked yet; turns begin at `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let [all, healthy, degraded] = std::array::from_fn(|_| Slot::new(seed));
        Level { all, healthy, degraded, localities: Default::default() }
    }

    /// The hosts changed; turns go on from where they are.
    pub(super) fn reset(&mut self, hosts: &PriorityHosts, overprovisioning: u32, weighted: bool, seed: u64) {
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
    pub(super) fn pick_locality(&mut self, availability: Availability) -> Option<usize> {
        self.localities[availability as usize].picker.as_mut().and_then(LocalityPicker::pick)
    }

    /// A host of this availability in a locality.
    pub(super) fn pick_within<'a>(
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

    /// A host, whatever its health.
    pub(super) fn pick_any<'a>(
        &mut self,
        hosts: &'a PriorityHosts,
        pace: &Pace<'_>,
        rng: &mut Rng,
    ) -> Option<&'a Arc<Host>> {
        self.all.pick(&hosts.all, pace, rng)
    }

    /// A host of this availability, wherever it is.
    #[inline]
    pub(super) fn pick<'a>(
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
