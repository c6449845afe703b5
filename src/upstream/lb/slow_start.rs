//! Slow start: a host that is new has only a part of its weight, which grows with time.

use crate::config::cluster::SlowStart;
use crate::config::runtime::Values;
use crate::upstream::host::Health;
use crate::upstream::{Host, HostSet};

/// What slow start comes to at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Milliseconds of the cluster's life.
    now: u64,
    window: u64,
    /// One by the aggression.
    exponent: f64,
    least: f64,
}

impl Moment {
    /// So many milliseconds into the cluster's life.
    pub(super) fn new(config: &SlowStart, now: u64, runtime: Option<&Values>) -> Self {
        let configured = config.aggression.default_value;
        let aggression = runtime.map_or(configured, |runtime| config.aggression.value(runtime));
        // As in Envoy what makes no sense is as if it were not there.
        let aggression = if aggression > 0.0 { aggression } else { 1.0 };
        Moment {
            now,
            window: u64::try_from(config.window.as_millis()).unwrap_or(u64::MAX),
            exponent: 1.0 / aggression,
            least: config.min_weight_percent / 100.0,
        }
    }

    /// Whether the host is new.
    pub(super) fn concerns(&self, host: &Host) -> bool {
        self.age(host).is_some_and(|age| age <= self.window)
    }

    /// The part of `weight` that the host has.
    pub(super) fn weigh(&self, weight: f64, host: &Host) -> f64 {
        let Some(age) = self.age(host).filter(|age| *age < self.window) else { return weight };
        let passed = age.max(1) as f64 / self.window as f64;
        weight * passed.powf(self.exponent).max(self.least)
    }

    /// For how long the host has been healthy.
    fn age(&self, host: &Host) -> Option<u64> {
        let since = host.healthy_since().filter(|_| host.health() == Health::Healthy)?;
        Some(self.now.saturating_sub(since))
    }
}

/// Notes of hosts that are healthy for the first time that it is from now.
pub fn note_healthy(hosts: &HostSet, now: u64) {
    let healthy = hosts.priorities.iter().flat_map(|priority| priority.healthy.iter());
    healthy.filter(|host| host.healthy_since().is_none()).for_each(|host| host.set_healthy_since(now));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{Balancer, Choice};
    use super::*;
    use crate::base::random::Rng;
    use crate::config::cluster::LbPolicy;
    use crate::config::runtime::RuntimeDouble;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    fn config(aggression: f64, min_weight_percent: f64) -> SlowStart {
        let aggression = RuntimeDouble { default_value: aggression, runtime_key: String::new() };
        SlowStart { window: Duration::from_secs(100), aggression, min_weight_percent }
    }

    /// The share, in percent, of a host that came after 1,000 s, so many seconds later.
    fn share(config: &SlowStart, policy: &LbPolicy, seconds: u64) -> u32 {
        let cluster = ClusterBuilder::new("c")
            .policy(policy.clone())
            .lb(|lb| lb.slow_start = Some(config.clone()))
            .hosts([endpoint(1), endpoint(2)])
            .build();
        let hosts = Arc::clone(&cluster.hosts());
        for (host, since) in hosts.iter().zip([0, 1_000_000]) {
            host.set_healthy_since(since);
        }
        let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(2));
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for _ in 0..10_000 {
            let now = Some(Duration::from_secs(1_000 + seconds));
            let choice = Choice { now, ..Choice::default() };
            let host = balancer.choose(&cluster, &mut rng, &choice).expect("both are healthy");
            *counts.entry(host.id).or_default() += 1;
        }
        let new = hosts.iter().nth(1).and_then(|host| counts.get(&host.id)).copied().unwrap_or(0);
        (new + 50) / 100
    }

    #[test]
    fn the_share_of_a_new_host_grows_to_its_whole() {
        let least = LbPolicy::LeastRequest(crate::config::cluster::LeastRequest::default());
        for policy in [LbPolicy::RoundRobin, least] {
            let config = config(1.0, 10.0);
            assert_eq!(share(&config, &policy, 0), 9, "10 % of its weight: 0.1 of 1.1");
            assert_eq!(share(&config, &policy, 50), 33, "0.5 of 1.5");
            assert_eq!(share(&config, &policy, 100), 50);
            assert_eq!(share(&config, &policy, 1_000), 50);
        }
    }

    #[test]
    fn aggression_makes_it_grow_faster_at_first() {
        assert_eq!(share(&config(2.0, 10.0), &LbPolicy::RoundRobin, 25), 33, "the root of 0.25");
        assert_eq!(share(&config(0.5, 1.0), &LbPolicy::RoundRobin, 50), 20, "0.5 squared of 1.25");
        assert_eq!(share(&config(-1.0, 10.0), &LbPolicy::RoundRobin, 50), 33, "as if it were 1");
    }
}
