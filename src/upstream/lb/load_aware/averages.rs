//! What localities take, from what their hosts report: a function of both, and of what it found before.

use std::collections::HashMap;
use std::ops::BitOrAssign;
use std::sync::Arc;

use super::{Division, Shares, Source};
use crate::config::cluster::LoadAwareLocality;
use crate::config::endpoint::Locality;
use crate::upstream::{Host, HostSet, PriorityHosts};

/// Averages of the utilization of localities, which follow what is reported little by little.
#[derive(Debug, Default)]
pub struct Averages {
    /// By which hosts are used, and by priority.
    by_source: [Vec<Utilizations>; 3],
}

/// Utilizations by locality, of 1.
type Utilizations = HashMap<Arc<Locality>, f64>;

/// What was found of the localities, for the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// No locality has room: they take requests by the number of their hosts.
    pub(super) all_overloaded: bool,
    /// The local one takes all, since the others are not better off.
    pub(super) local_preferred: bool,
    /// The others take a little all the same, so that it is known how they are.
    pub(super) probe_active: bool,
    /// The local one is so much worse off than the others that they take some.
    pub(super) spill_active: bool,
    /// Localities of which only what was reported too long ago is known.
    pub(super) stale_localities: u64,
}

impl BitOrAssign for Found {
    fn bitor_assign(&mut self, other: Self) {
        self.all_overloaded |= other.all_overloaded;
        self.local_preferred |= other.local_preferred;
        self.probe_active |= other.probe_active;
        self.spill_active |= other.spill_active;
    }
}

impl Averages {
    /// What localities take whose hosts have this utilization, where it is known.
    pub(super) fn divide(
        &mut self,
        hosts: &HostSet,
        config: &LoadAwareLocality,
        utilization: impl Fn(&Host) -> Option<f64>,
    ) -> (Shares, Found) {
        let mut found = Found::default();
        for averages in &mut self.by_source {
            averages.resize_with(hosts.priorities.len(), Utilizations::new);
        }
        let mut priority = |(index, hosts): (usize, &PriorityHosts)| {
            Source::EACH.map(|source| {
                let averages = &mut self.by_source[source as usize][index];
                let slices = Slices::of(hosts, source, &utilization, config.smoothing, averages);
                let (weights, of_source) = slices.divide(config);
                found |= of_source;
                // Of all hosts alone, so that a locality counts once.
                if source == Source::All {
                    found.stale_localities += of_source.stale_localities;
                }
                let localities = hosts.localities.iter().map(|locality| Arc::clone(&locality.locality));
                let all_local = of_source.local_preferred && !of_source.probe_active;
                Division { weights: localities.zip(weights).collect(), all_local }
            })
        };
        let priorities = hosts.priorities.iter().enumerate().map(&mut priority).collect();
        (Shares { priorities }, found)
    }
}

/// The localities of a priority, the local one first where there is one.
struct Slices {
    has_local: bool,
    /// How many hosts each has that count.
    hosts: Vec<f64>,
    /// The averages of their utilization; 0 where nothing is known.
    utilizations: Vec<f64>,
    /// Whether nothing was reported of late.
    stale: Vec<bool>,
}

impl Slices {
    fn of(
        hosts: &PriorityHosts,
        source: Source,
        utilization: impl Fn(&Host) -> Option<f64>,
        smoothing: f64,
        averages: &mut Utilizations,
    ) -> Self {
        let mut slices = Slices {
            has_local: hosts.has_local_locality,
            hosts: Vec::with_capacity(hosts.localities.len()),
            utilizations: Vec::with_capacity(hosts.localities.len()),
            stale: Vec::with_capacity(hosts.localities.len()),
        };
        let mut new = Utilizations::with_capacity(hosts.localities.len());
        for (index, locality) in hosts.localities.iter().enumerate() {
            let counted = source.hosts(hosts, index);
            let reported: Vec<f64> = counted.iter().filter_map(|host| utilization(host)).collect();
            let before = averages.get(&locality.locality).copied();
            let now = mean(&reported).map(|mean| match before {
                Some(before) => smoothing * mean + (1.0 - smoothing) * before,
                None => mean,
            });
            if let Some(average) = now.or(before) {
                new.insert(Arc::clone(&locality.locality), average);
            }
            slices.hosts.push(counted.len() as f64);
            slices.utilizations.push(now.or(before).unwrap_or(0.0));
            slices.stale.push(now.is_none() && before.is_some());
        }
        *averages = new;
        slices
    }

    /// What each takes of the others.
    fn divide(&self, config: &LoadAwareLocality) -> (Vec<f64>, Found) {
        let stale_localities = self.stale.iter().filter(|stale| **stale).count() as u64;
        let mut found = Found { stale_localities, ..Found::default() };
        let mut weights: Vec<f64> = (0..self.hosts.len()).map(|index| self.room(index)).collect();
        let all_hosts: f64 = self.hosts.iter().sum();
        if all_hosts == 0.0 {
            return (weights, found);
        }
        if weights.iter().sum::<f64>() == 0.0 {
            found.all_overloaded = true;
            return (self.hosts.clone(), found);
        }
        let Some(local) = self.hosts.first().copied().filter(|_| self.has_local) else {
            return (weights, found);
        };
        let remote_hosts = all_hosts - local;
        if local > 0.0 && remote_hosts > 0.0 {
            if self.utilizations[0] <= self.remote(remote_hosts) + config.utilization_variance_threshold {
                found.local_preferred = true;
                weights.fill(0.0);
                weights[0] = 1.0;
            } else {
                found.spill_active = true;
            }
        }
        found.probe_active = self.probe(&mut weights, remote_hosts, config.remote_probe_fraction);
        (weights, found)
    }

    /// The room that a locality has. Where it is not known of late, that of hosts without load.
    fn room(&self, index: usize) -> f64 {
        match self.stale[index] {
            true => self.hosts[index],
            false => self.hosts[index] * (1.0 - self.utilizations[index]).max(0.0),
        }
    }

    /// The utilization of all but the local one, by the number of their hosts.
    fn remote(&self, hosts: f64) -> f64 {
        let of_each = self.utilizations.iter().zip(&self.hosts).skip(1);
        of_each.map(|(utilization, hosts)| utilization * hosts).sum::<f64>() / hosts
    }

    /// Leaves this share to the others, each by the number of its hosts, where they would take less; whether they would.
    fn probe(&self, weights: &mut [f64], remote_hosts: f64, fraction: f64) -> bool {
        if remote_hosts == 0.0 || fraction == 0.0 {
            return false;
        }
        let total: f64 = weights.iter().sum();
        let missing = total * fraction - (total - weights[0]);
        if missing <= 0.0 {
            return false;
        }
        let taken = missing.min(weights[0]);
        weights[0] -= taken;
        for (weight, hosts) in weights.iter_mut().zip(&self.hosts).skip(1) {
            *weight += taken * hosts / remote_hosts;
        }
        true
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
