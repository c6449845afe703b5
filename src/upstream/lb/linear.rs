//! The priorities of several clusters one after the other, as an aggregate cluster has them.
//!
//! As in Envoy priorities without hosts are left out, and so are clusters without any, aggregate ones among them: of
//! those within each other only the outermost has hosts.

use std::sync::Arc;

use super::health::HealthCounts;
use super::priority::{Availability, PriorityLoad};
use crate::upstream::Cluster;

/// All load to one priority of a cluster.
#[derive(Debug)]
pub struct Place {
    /// Index of the cluster among the members.
    pub member: usize,
    /// Which of its priorities, and of the hosts of that.
    pub load: PriorityLoad,
    /// The number of the priority among all.
    pub priority: u32,
}

/// Priorities in a row.
#[derive(Debug)]
pub struct Linear {
    members: Vec<Arc<Cluster>>,
    /// Versions of the members' hosts that were looked at.
    versions: Vec<u64>,
    counts: Vec<HealthCounts>,
    /// Percents of healthiness that count as whole.
    overprovisioning: Vec<u32>,
    load: PriorityLoad,
    /// Those of healthy hosts, then those of degraded ones.
    places: [Vec<Place>; 2],
}

impl Linear {
    /// The priorities of these clusters as they are now.
    pub fn new(members: Vec<Arc<Cluster>>, panic_threshold: f64) -> Self {
        let mut linear = Linear {
            versions: Vec::with_capacity(members.len()),
            counts: Vec::new(),
            overprovisioning: Vec::new(),
            load: PriorityLoad::default(),
            places: Default::default(),
            members: Vec::new(),
        };
        for (index, member) in members.iter().enumerate() {
            linear.add(index, member);
        }
        linear.members = members;
        linear.load = PriorityLoad::each(&linear.counts, &linear.overprovisioning, panic_threshold);
        linear
    }

    fn add(&mut self, member: usize, cluster: &Cluster) {
        let hosts = cluster.hosts();
        self.versions.push(hosts.version);
        let levels = hosts.priorities.len();
        for (index, level) in hosts.priorities.iter().enumerate().filter(|(_, level)| !level.all.is_empty()) {
            let priority = self.counts.len() as u32;
            self.counts.push(HealthCounts::of(level, hosts.weighted_priority_health));
            self.overprovisioning.push(hosts.overprovisioning_factor);
            for availability in [Availability::Healthy, Availability::Degraded] {
                let load = PriorityLoad::only(levels, index, availability);
                self.places[availability as usize].push(Place { member, load, priority });
            }
        }
    }

    /// Whether the hosts of all are still those that were looked at.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.members.iter().zip(&self.versions).all(|(member, version)| member.hosts_version() == *version)
    }

    /// The clusters.
    pub fn members(&self) -> &[Arc<Cluster>] {
        &self.members
    }

    /// The place for a random number, by `load` instead of that of all if there is one; `None` without hosts.
    pub fn choose(&self, random: u64, load: Option<&PriorityLoad>) -> Option<&Place> {
        let (priority, availability) = load.unwrap_or(&self.load).choose(random);
        self.places[availability as usize].get(priority)
    }

    /// The load without some priorities; `None` when no other has a host that may be used.
    pub fn load_without(&self, excluded: &[u32]) -> Option<PriorityLoad> {
        self.load.each_without(&self.counts, excluded, &self.overprovisioning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::endpoint::HealthStatus;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    fn chosen(linear: &Linear, random: u64) -> Option<(usize, Vec<u32>, u32)> {
        linear.choose(random, None).map(|place| (place.member, place.load.healthy.clone(), place.priority))
    }

    #[test]
    fn priorities_with_hosts_follow_one_another() {
        let empty = ClusterBuilder::new("empty").build();
        let first = ClusterBuilder::new("first")
            .group(0, "", None, [endpoint(1).health(HealthStatus::Unhealthy)])
            .group(2, "", None, [endpoint(2)])
            .build();
        let second = ClusterBuilder::new("second").hosts([endpoint(3)]).build();
        let linear = Linear::new(vec![empty, first, second], 0.0);
        assert_eq!(chosen(&linear, 0), Some((1, vec![0, 0, 100], 1)));
        let rest = linear.load_without(&[1]).expect("the second has a host");
        assert_eq!(linear.choose(0, Some(&rest)).map(|place| (place.member, place.priority)), Some((2, 2)));
        assert!(linear.load_without(&[1, 2]).is_none());
    }

    #[test]
    fn without_hosts_there_is_no_place() {
        assert_eq!(chosen(&Linear::new(Vec::new(), 50.0), 7), None);
        assert_eq!(chosen(&Linear::new(vec![ClusterBuilder::new("c").build()], 50.0), 7), None);
    }

    #[test]
    fn a_change_of_hosts_is_noticed() {
        let member = ClusterBuilder::new("c").hosts([endpoint(1)]).build();
        let linear = Linear::new(vec![Arc::clone(&member)], 50.0);
        assert!(linear.is_current());
        member.update_endpoints(&ClusterBuilder::assignment([endpoint(2)]));
        assert!(!linear.is_current());
    }
}
