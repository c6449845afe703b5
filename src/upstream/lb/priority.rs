//! Which priority takes a request: load spills to lower priorities as higher ones lose health.
//!
//! The rules are Envoy's: all load goes to healthy hosts by priority as far as their availability reaches, then to
//! degraded ones. When all priorities together cannot take 100 %, shares are scaled up to it, and priorities below
//! the panic threshold use all their hosts. When every priority panics, load goes by the number of hosts.

use super::health::HealthCounts;

/// Which hosts of a priority are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Availability {
    /// The healthy ones.
    Healthy,
    /// The degraded ones.
    Degraded,
}

/// Percent of the load by priority; all together are 100.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriorityLoad {
    /// To the healthy hosts of each priority.
    pub healthy: Vec<u32>,
    /// To the degraded hosts of each priority.
    pub degraded: Vec<u32>,
    /// Whether the priority disregards health.
    pub panic: Vec<bool>,
}

impl PriorityLoad {
    /// The load of priorities with these hosts.
    pub fn new(priorities: &[HealthCounts], overprovisioning: u32, panic_threshold: f64) -> Self {
        Self::each(priorities, &[overprovisioning], panic_threshold)
    }

    /// The same where what counts as whole is said of each priority, or of the last for all that follow.
    pub fn each(priorities: &[HealthCounts], overprovisioning: &[u32], panic_threshold: f64) -> Self {
        let healthy = percents(priorities, overprovisioning, HealthCounts::healthy_percent);
        let degraded = percents(priorities, overprovisioning, HealthCounts::degraded_percent);
        let available = healthy.iter().chain(&degraded).sum::<u32>().min(100);
        let mut load = match available {
            0 => PriorityLoad::first_only(priorities.len()),
            _ => PriorityLoad::spread(&healthy, &degraded, available),
        };
        let panics = |hosts: &HealthCounts| available != 100 && hosts.in_panic(panic_threshold);
        load.panic = priorities.iter().map(panics).collect();
        if load.panic.iter().all(|&panic| panic) {
            load.by_host_count(priorities);
        }
        load
    }

    /// The load without the priorities of these numbers; `None` when the others cannot take any.
    pub fn without(
        &self,
        priorities: &[HealthCounts],
        excluded: &[u32],
        overprovisioning: u32,
    ) -> Option<PriorityLoad> {
        self.each_without(priorities, excluded, &[overprovisioning])
    }

    /// The same where what counts as whole is said of each priority, or of the last for all that follow.
    pub fn each_without(
        &self,
        priorities: &[HealthCounts],
        excluded: &[u32],
        overprovisioning: &[u32],
    ) -> Option<PriorityLoad> {
        let left = |percent: fn(&HealthCounts, u32) -> u32| {
            let mut percents = percents(priorities, overprovisioning, percent);
            for number in excluded {
                percents.get_mut(*number as usize).into_iter().for_each(|percent| *percent = 0);
            }
            percents
        };
        let (healthy, degraded) = (left(HealthCounts::healthy_percent), left(HealthCounts::degraded_percent));
        match healthy.iter().chain(&degraded).sum::<u32>().min(100) {
            0 => None,
            available => {
                let load = PriorityLoad::spread(&healthy, &degraded, available);
                Some(PriorityLoad { panic: self.panic.clone(), ..load })
            }
        }
    }

    /// The priority for a random number or hash, and which of its hosts.
    #[inline]
    pub fn choose(&self, hash: u64) -> (usize, Availability) {
        let point = (hash % 100 + 1) as u32;
        let mut sum = 0;
        let healthy = self.healthy.iter().map(|percent| (percent, Availability::Healthy)).enumerate();
        let degraded = self.degraded.iter().map(|percent| (percent, Availability::Degraded)).enumerate();
        for (priority, (percent, availability)) in healthy.chain(degraded) {
            sum += percent;
            if point <= sum {
                return (priority, availability);
            }
        }
        (0, Availability::Healthy)
    }

    /// The only choice there is, when all load goes to one place.
    #[inline]
    pub fn single(&self) -> Option<(usize, Availability)> {
        (self.healthy.first() == Some(&100)).then_some((0, Availability::Healthy))
    }

    /// All load to such hosts of one of so many priorities.
    pub fn only(count: usize, priority: usize, availability: Availability) -> Self {
        let mut load = PriorityLoad { healthy: vec![0; count], degraded: vec![0; count], panic: Vec::new() };
        let percents = match availability {
            Availability::Healthy => &mut load.healthy,
            Availability::Degraded => &mut load.degraded,
        };
        percents[priority] = 100;
        load
    }

    /// All load to the first priority.
    fn first_only(count: usize) -> Self {
        let healthy = (0..count).map(|priority| if priority == 0 { 100 } else { 0 }).collect();
        PriorityLoad { healthy, degraded: vec![0; count], panic: Vec::new() }
    }

    /// Load by availability, scaled so that all together are 100.
    fn spread(healthy: &[u32], degraded: &[u32], available: u32) -> Self {
        let mut rest = 100;
        let mut take = |percents: &[u32]| -> Vec<u32> {
            let share = |&percent: &u32| {
                let load = rest.min(percent * 100 / available);
                rest -= load;
                load
            };
            percents.iter().map(share).collect()
        };
        let mut load = PriorityLoad { healthy: take(healthy), degraded: take(degraded), panic: Vec::new() };
        // What rounding left over goes to the first that can take any.
        let first = |percents: &[u32]| percents.iter().position(|&percent| percent > 0);
        if let Some(priority) = first(healthy) {
            load.healthy[priority] += rest;
        } else if let Some(priority) = first(degraded) {
            load.degraded[priority] += rest;
        }
        load
    }

    /// Load by the number of hosts, whatever their health.
    fn by_host_count(&mut self, priorities: &[HealthCounts]) {
        let total: usize = priorities.iter().map(|hosts| hosts.all).sum();
        let Some(first) = priorities.iter().position(|hosts| hosts.all > 0) else {
            *self =
                PriorityLoad { panic: std::mem::take(&mut self.panic), ..Self::first_only(priorities.len()) };
            return;
        };
        self.healthy = priorities.iter().map(|hosts| (100 * hosts.all / total) as u32).collect();
        self.degraded.fill(0);
        self.healthy[first] += 100 - self.healthy.iter().sum::<u32>();
    }
}

/// A percentage of each priority.
fn percents(
    priorities: &[HealthCounts],
    overprovisioning: &[u32],
    percent: fn(&HealthCounts, u32) -> u32,
) -> Vec<u32> {
    let last = overprovisioning.last().copied().unwrap_or_default();
    let factors = overprovisioning.iter().copied().chain(std::iter::repeat(last));
    priorities.iter().zip(factors).map(|(hosts, factor)| percent(hosts, factor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Rng;

    const OVERPROVISIONING: u32 = 140;

    /// Priorities of 100 hosts each, so many of them healthy and degraded.
    fn load(hosts: &[(usize, usize)], panic_threshold: f64) -> PriorityLoad {
        let counts = |&(healthy, degraded): &(usize, usize)| HealthCounts {
            all: 100,
            healthy,
            degraded,
            weights: None,
        };
        let hosts: Vec<HealthCounts> = hosts.iter().map(counts).collect();
        PriorityLoad::new(&hosts, OVERPROVISIONING, panic_threshold)
    }

    #[test]
    fn two_priorities_follow_the_documented_table() {
        // docs/root/intro/arch_overview/upstream/load_balancing/priority.rst
        let table = [
            (100, 100, [100, 0]),
            (72, 72, [100, 0]),
            (71, 71, [99, 1]),
            (50, 50, [70, 30]),
            (25, 100, [35, 65]),
            (25, 25, [50, 50]),
        ];
        for (first, second, expected) in table {
            assert_eq!(load(&[(first, 0), (second, 0)], 0.0).healthy, expected, "{first} % and {second} %");
        }
    }

    #[test]
    fn three_priorities_follow_the_documented_table() {
        let table = [
            ([100, 100, 100], [100, 0, 0]),
            ([72, 72, 100], [100, 0, 0]),
            ([71, 71, 100], [99, 1, 0]),
            ([50, 50, 100], [70, 30, 0]),
            ([25, 100, 100], [35, 65, 0]),
            ([25, 25, 100], [35, 35, 30]),
            ([25, 25, 20], [36, 35, 29]),
        ];
        for (healthy, expected) in table {
            let hosts = healthy.map(|healthy| (healthy, 0));
            let loads = load(&hosts, 0.0).healthy;
            // The documentation's last row rounds to the nearest, the code down with the rest for the first.
            let close = loads.iter().zip(expected).all(|(&load, expected)| load.abs_diff(expected) <= 1);
            assert!(close, "{healthy:?}: {loads:?}, documented {expected:?}");
        }
    }

    #[test]
    fn degraded_hosts_take_what_healthy_ones_cannot() {
        // The comment on recalculatePerPriorityState: 10/20/10 % healthy, 20/10/0 % degraded, of 70 % in all.
        let hosts = [(10, 20), (20, 10), (10, 0)].map(|(healthy, degraded)| HealthCounts {
            all: 100,
            healthy,
            degraded,
            weights: None,
        });
        let load = PriorityLoad::new(&hosts, 100, 0.0);
        assert_eq!((load.healthy, load.degraded), (vec![16, 28, 14], vec![28, 14, 0]));
    }

    #[test]
    fn panic_is_off_while_all_load_finds_a_healthy_host() {
        assert_eq!(load(&[(1, 0), (100, 0)], 50.0).panic, [false, false]);
        assert_eq!(load(&[(1, 0), (60, 0)], 50.0).panic, [true, false]);
    }

    #[test]
    fn priorities_that_are_left_out_take_nothing() {
        let hosts =
            [100, 100, 50].map(|healthy| HealthCounts { all: 100, healthy, degraded: 0, weights: None });
        let all = PriorityLoad::new(&hosts, OVERPROVISIONING, 50.0);
        let without =
            |excluded: &[u32]| all.without(&hosts, excluded, OVERPROVISIONING).map(|load| load.healthy);
        assert_eq!(without(&[0]), Some(vec![0, 100, 0]));
        assert_eq!(without(&[1, 0, 7]), Some(vec![0, 0, 100]));
        assert_eq!(without(&[0, 1, 2]), None);
    }

    #[test]
    fn load_goes_by_host_count_when_all_panic() {
        let hosts = [30, 0, 10].map(|all| HealthCounts { all, healthy: 0, degraded: 0, weights: None });
        let load = PriorityLoad::new(&hosts, OVERPROVISIONING, 50.0);
        assert_eq!(
            load,
            PriorityLoad { healthy: vec![75, 0, 25], degraded: vec![0; 3], panic: vec![true; 3] }
        );
    }

    #[test]
    fn the_first_priority_takes_all_when_nothing_is_there() {
        for threshold in [0.0, 50.0] {
            let load = PriorityLoad::new(&[HealthCounts::default(); 2], OVERPROVISIONING, threshold);
            assert_eq!(load.single(), Some((0, Availability::Healthy)));
        }
    }

    #[test]
    fn loads_add_up_to_a_hundred_whatever_the_health() {
        let mut rng = Rng::seeded(5);
        for _ in 0..5_000 {
            let hosts: Vec<HealthCounts> = (0..rng.below(5) + 1)
                .map(|_| {
                    let all = rng.below(20) as usize;
                    let healthy = rng.below(all as u64 + 1) as usize;
                    HealthCounts {
                        all,
                        healthy,
                        degraded: rng.below((all - healthy) as u64 + 1) as usize,
                        weights: None,
                    }
                })
                .collect();
            let load = PriorityLoad::new(&hosts, rng.below(300) as u32, rng.below(101) as f64);
            let sum: u32 = load.healthy.iter().chain(&load.degraded).sum();
            assert_eq!(sum, 100, "{hosts:?}: {load:?}");
        }
    }

    #[test]
    fn hashes_choose_in_proportion_to_load() {
        let load = load(&[(25, 0), (100, 0)], 50.0);
        let first = (0..100).filter(|&hash| load.choose(hash).0 == 0).count();
        assert_eq!(first, 35);
    }
}
