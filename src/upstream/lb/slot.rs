//! What a balancer remembers about one list of hosts: whose turn it is.

use std::sync::Arc;

use super::edf::Edf;
use super::slow_start::Moment;
use super::{least_request, random, round_robin};
use crate::base::random::Rng;
use crate::config::cluster::LbPolicy;
use crate::upstream::Host;

/// The state of one list of hosts.
#[derive(Debug)]
pub(super) struct Slot {
    /// Picks so far, from a random start.
    picks: u64,
    /// Made at the first pick after the hosts changed.
    schedule: Schedule,
}

#[derive(Debug)]
enum Schedule {
    /// Not looked at since the hosts changed.
    Unknown,
    /// All weights are equal.
    Equal,
    /// Weights differ.
    Weighted(Edf),
}

impl Slot {
    /// Nothing picked yet; turns begin at `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Slot { picks: seed, schedule: Schedule::Unknown }
    }

    /// The hosts or their weights have changed.
    pub(super) fn reset(&mut self) {
        self.schedule = Schedule::Unknown;
    }

    /// The next of `hosts`, which are those of the last call unless [`reset`](Self::reset) was called.
    pub(super) fn pick<'a>(
        &mut self,
        hosts: &'a [Arc<Host>],
        pace: &Pace<'_>,
        rng: &mut Rng,
    ) -> Option<&'a Arc<Host>> {
        if hosts.len() <= 1 {
            return hosts.first();
        }
        match pace.policy {
            // Those that choose by hash have tables, and those of a kind of cluster are asked of it; what is left goes by
            // chance.
            LbPolicy::Random | LbPolicy::RingHash(_) | LbPolicy::Maglev(_) | LbPolicy::ClusterProvided => {
                random::pick(hosts, rng)
            }
            LbPolicy::RoundRobin => match self.weighted(hosts, pace, round_robin::weight) {
                Some(index) => hosts.get(index),
                None => round_robin::pick(hosts, &mut self.picks),
            },
            LbPolicy::LeastRequest(config) => {
                match self.weighted(hosts, pace, |host| least_request::weight(host, pace.bias)) {
                    Some(index) => hosts.get(index),
                    None if config.full_scan => least_request::scan(hosts, rng),
                    None => least_request::pick(hosts, config.choice_count, rng),
                }
            }
        }
    }

    /// The next by the schedule, if weights differ.
    #[inline]
    fn weighted(
        &mut self,
        hosts: &[Arc<Host>],
        pace: &Pace<'_>,
        weight: impl Fn(&Host) -> f64,
    ) -> Option<usize> {
        let weight = |index: usize| {
            let host = &hosts[index];
            pace.slow_start.map_or_else(|| weight(host), |moment| moment.weigh(weight(host), host))
        };
        if let Schedule::Unknown = self.schedule {
            let equal = hosts.windows(2).all(|pair| pair[0].weight() == pair[1].weight());
            let is_new = |moment: Moment| hosts.iter().any(|host| moment.concerns(host));
            self.schedule = match equal && !pace.slow_start.is_some_and(is_new) {
                true => Schedule::Equal,
                false => Schedule::Weighted(Edf::new(hosts.len(), weight, pace.seed)),
            };
        }
        match &mut self.schedule {
            Schedule::Weighted(edf) => edf.pick(weight),
            Schedule::Unknown | Schedule::Equal => None,
        }
    }
}

/// By what hosts of a list are picked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace<'p> {
    pub(super) policy: &'p LbPolicy,
    /// Where turns begin.
    pub(super) seed: u64,
    /// Exponent of active requests.
    pub(super) bias: f64,
    /// What new hosts have of their weights, where that is not all.
    pub(super) slow_start: Option<Moment>,
}
