//! The choice of a locality, and whose turn it is in each.

use std::sync::Arc;

use super::{LoadAware, Shares, Source};
use crate::base::random::Rng;
use crate::observability::stats::ClusterStats;
use crate::upstream::lb::slot::{Pace, Slot};
use crate::upstream::{Host, HostSet, PriorityHosts};

/// What a worker remembers of localities that take requests as they have room.
#[derive(Debug, Default)]
pub(in crate::upstream::lb) struct Localities {
    /// The shares that were looked at last; `None` once hosts have changed since.
    shares: Option<Arc<Shares>>,
    priorities: Vec<[Locals; 3]>,
}

/// The localities of a priority, by which of its hosts are used.
#[derive(Debug, Default)]
struct Locals {
    /// What each takes, added to what those before it take.
    sums: Vec<f64>,
    /// Whether the local one takes all.
    all_local: bool,
    slots: Vec<Slot>,
}

impl Localities {
    /// The hosts changed; turns go on from where they are.
    pub(in crate::upstream::lb) fn reset(&mut self, hosts: &HostSet, seed: u64) {
        self.shares = None;
        self.priorities.resize_with(hosts.priorities.len(), Default::default);
        for (priority, hosts) in self.priorities.iter_mut().zip(&hosts.priorities) {
            for locals in priority {
                locals.slots.iter_mut().for_each(Slot::reset);
                locals.slots.resize_with(hosts.localities.len(), || Slot::new(seed));
            }
        }
    }

    /// Index of the locality for a request to such hosts of this priority; `None` where none has any.
    pub(in crate::upstream::lb) fn choose(
        &mut self,
        hosts: &HostSet,
        (priority, source): (usize, Source),
        load_aware: &LoadAware,
        stats: &ClusterStats,
        rng: &mut Rng,
    ) -> Option<usize> {
        self.follow(hosts, load_aware);
        let level = hosts.priorities.get(priority)?;
        let locals = &self.priorities.get(priority)?[source as usize];
        let has_hosts = |index: &usize| !source.hosts(level, *index).is_empty();
        // Health may have changed since the shares were made.
        let chosen =
            Some(locals.pick(rng)).filter(|index| *index < level.localities.len() && has_hosts(index));
        let index = chosen.or_else(|| (0..level.localities.len()).find(has_hosts))?;
        if source != Source::All && level.has_local_locality {
            match index {
                0 if locals.all_local => stats.lb_zone_routing_all_directly().inc(),
                0 => stats.lb_zone_routing_sampled().inc(),
                _ => stats.lb_zone_routing_cross_zone().inc(),
            }
        }
        Some(index)
    }

    /// A host of that locality.
    pub(in crate::upstream::lb) fn pick<'h>(
        &mut self,
        hosts: &'h PriorityHosts,
        (priority, source, locality): (usize, Source, usize),
        pace: &Pace<'_>,
        rng: &mut Rng,
    ) -> Option<&'h Arc<Host>> {
        let slot = self.priorities.get_mut(priority)?[source as usize].slots.get_mut(locality)?;
        slot.pick(source.hosts(hosts, locality), pace, rng)
    }

    /// Looks at the shares anew if they or the hosts changed.
    #[inline]
    fn follow(&mut self, hosts: &HostSet, load_aware: &LoadAware) {
        let shares = load_aware.shares.load();
        if !self.shares.as_ref().is_some_and(|known| Arc::ptr_eq(known, &shares)) {
            self.take(hosts, &shares);
        }
    }

    #[cold]
    fn take(&mut self, hosts: &HostSet, shares: &Arc<Shares>) {
        for (index, (priority, hosts)) in self.priorities.iter_mut().zip(&hosts.priorities).enumerate() {
            let divisions = shares.priorities.get(index);
            for (source, locals) in Source::EACH.into_iter().zip(priority) {
                let division = divisions.map(|divisions| &divisions[source as usize]);
                let mut sum = 0.0;
                let sums = hosts.localities.iter().enumerate().map(|(index, locality)| {
                    // Most often they are in the same order; a locality that is new takes nothing until shares are made
                    // anew.
                    let known = division.and_then(|division| {
                        let same = division.weights.get(index).filter(|known| known.0 == locality.locality);
                        same.or_else(|| division.weights.iter().find(|known| known.0 == locality.locality))
                    });
                    sum += known.map_or(0.0, |(_, weight)| *weight);
                    sum
                });
                locals.sums = sums.collect();
                locals.all_local = division.is_some_and(|division| division.all_local);
            }
        }
        self.shares = Some(Arc::clone(shares));
    }
}

impl Locals {
    /// By chance; the first where nothing is known of any.
    fn pick(&self, rng: &mut Rng) -> usize {
        match self.sums.last() {
            Some(&total) if total > 0.0 && self.sums.len() > 1 => {
                let point = rng.fraction() * total;
                self.sums.partition_point(|sum| *sum <= point).min(self.sums.len() - 1)
            }
            _ => 0,
        }
    }
}
