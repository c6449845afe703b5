//! When the next check of a host is due.

use std::time::Duration;

use super::session::Transition;
use crate::base::random::Rng;
use crate::config::cluster::Intervals;
use crate::config::runtime::Values;

/// Time to the next check after one that passed or failed, in a cluster that has had traffic or not.
pub(super) fn next(
    intervals: &Intervals,
    (passed, transition): (bool, Transition),
    had_traffic: bool,
    runtime: &Values,
    rng: &mut Rng,
) -> Duration {
    let edge = transition == Transition::Pending;
    let base = match (had_traffic, passed) {
        (true, false) if edge => intervals.unhealthy_edge,
        (true, false) => intervals.unhealthy,
        (true, true) if edge => intervals.healthy_edge,
        (true, true) => intervals.interval,
        (false, true) if !edge => intervals.no_traffic_healthy,
        (false, _) => intervals.no_traffic,
    };
    jittered(base, intervals.jitter, intervals.jitter_percent, runtime, rng)
}

/// Time to the first check; `None` for at once.
pub(super) fn first(intervals: &Intervals, runtime: &Values, rng: &mut Rng) -> Option<Duration> {
    let jitter = intervals.initial_jitter;
    (jitter.as_millis() > 0).then(|| jittered(Duration::ZERO, jitter, 0, runtime, rng))
}

/// In whole milliseconds, as Envoy counts, between what the runtime allows at least and at most.
fn jittered(base: Duration, jitter: Duration, percent: u32, runtime: &Values, rng: &mut Rng) -> Duration {
    let base = base.as_millis() as u64;
    let share = base.saturating_mul(percent.into()) / 100;
    let time = base.saturating_add(rng.below(share)).saturating_add(rng.below(jitter.as_millis() as u64));
    let least = runtime.integer("health_check.min_interval", 0);
    let most = runtime.integer("health_check.max_interval", u64::MAX);
    Duration::from_millis(time.min(most).max(least).max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn intervals() -> Intervals {
        let [interval, unhealthy, unhealthy_edge, healthy_edge, no_traffic, no_traffic_healthy] =
            [1, 2, 3, 4, 5, 6].map(Duration::from_secs);
        Intervals {
            interval,
            unhealthy,
            unhealthy_edge,
            healthy_edge,
            no_traffic,
            no_traffic_healthy,
            initial_jitter: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_percent: 0,
        }
    }

    #[test]
    fn each_state_has_its_interval() {
        let mut rng = Rng::seeded(1);
        let mut seconds = |passed, transition, had_traffic| {
            let next = next(&intervals(), (passed, transition), had_traffic, &Values::default(), &mut rng);
            next.as_secs()
        };
        let states =
            [(true, Transition::Unchanged), (false, Transition::Changed), (false, Transition::Pending)];
        assert_eq!(states.map(|(passed, transition)| seconds(passed, transition, true)), [1, 2, 3]);
        assert_eq!(seconds(true, Transition::Pending, true), 4);
        assert_eq!(states.map(|(passed, transition)| seconds(passed, transition, false)), [6, 5, 5]);
        assert_eq!(seconds(true, Transition::Pending, false), 5);
    }

    #[test]
    fn jitter_is_added_and_the_runtime_has_the_last_word() {
        let mut rng = Rng::seeded(2);
        let mut intervals = intervals();
        (intervals.jitter, intervals.jitter_percent) = (Duration::from_millis(100), 50);
        let unchanged = (true, Transition::Unchanged);
        let times: Vec<_> = (0..1000)
            .map(|_| next(&intervals, unchanged, true, &Values::default(), &mut rng).as_millis())
            .collect();
        assert!(times.iter().all(|time| (1000..1600).contains(time)));
        assert!(times.iter().max() > Some(&1500) && times.iter().min() < Some(&1050));
        let (low, high) = (json!(7000), json!(30));
        let runtime: Values = [("health_check.min_interval", &low)].into_iter().collect();
        assert_eq!(next(&intervals, unchanged, true, &runtime, &mut rng), Duration::from_secs(7));
        let runtime: Values = [("health_check.max_interval", &high)].into_iter().collect();
        assert_eq!(next(&intervals, unchanged, true, &runtime, &mut rng), Duration::from_millis(30));
    }

    #[test]
    fn the_first_check_waits_only_for_its_jitter() {
        let mut rng = Rng::seeded(3);
        assert_eq!(first(&intervals(), &Values::default(), &mut rng), None);
        let jittered = Intervals { initial_jitter: Duration::from_secs(1), ..intervals() };
        assert!(first(&jittered, &Values::default(), &mut rng) < Some(Duration::from_secs(1)));
    }
}
