//! What a balancer remembers about one list of hosts: whose turn it is.

use std::sync::Arc;

use super::edf::Edf;
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
        policy: &LbPolicy,
        seed: u64,
        rng: &mut Rng,
    ) -> Option<&'a Arc<Host>> {
        if hosts.len() <= 1 {
            return hosts.first();
        }
        match *policy {
            // Those that choose by hash have tables; what the tables are not for goes by chance.
            LbPolicy::Random | LbPolicy::RingHash(_) | LbPolicy::Maglev(_) => random::pick(hosts, rng),
            LbPolicy::RoundRobin => match self.weighted(hosts, seed, round_robin::weight) {
                Some(edf) => edf.pick(|index| round_robin::weight(&hosts[index])).map(|index| &hosts[index]),
                None => round_robin::pick(hosts, &mut self.picks),
            },
            LbPolicy::LeastRequest { choice_count, active_request_bias } => {
                let weight = |host: &Host| least_request::weight(host, active_request_bias);
                match self.weighted(hosts, seed, weight) {
                    Some(edf) => edf.pick(|index| weight(&hosts[index])).map(|index| &hosts[index]),
                    None => least_request::pick(hosts, choice_count, rng),
                }
            }
        }
    }

    /// The schedule, if weights differ.
    fn weighted(
        &mut self,
        hosts: &[Arc<Host>],
        seed: u64,
        weight: impl Fn(&Host) -> f64,
    ) -> Option<&mut Edf> {
        if let Schedule::Unknown = self.schedule {
            let equal = hosts.windows(2).all(|pair| pair[0].weight() == pair[1].weight());
            self.schedule = match equal {
                true => Schedule::Equal,
                false => Schedule::Weighted(Edf::new(hosts.len(), |index| weight(&hosts[index]), seed)),
            };
        }
        match &mut self.schedule {
            Schedule::Weighted(edf) => Some(edf),
            Schedule::Unknown | Schedule::Equal => None,
        }
    }
}
