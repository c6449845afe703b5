//! The detector over simulated time.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::config::cluster::OutlierDetection;
use crate::config::runtime::Values;
use crate::upstream::testing::outlier_detection;

const SECOND: Duration = Duration::from_secs(1);

/// A detector and its surroundings.
struct World {
    config: OutlierDetection,
    runtime: Values,
    detector: Detector,
    now: Instant,
    rng: Rng,
    volumes: HashMap<(u64, Origin), Volume>,
}

impl World {
    fn new(hosts: u64, change: impl FnOnce(&mut OutlierDetection)) -> Self {
        let mut config = outlier_detection();
        change(&mut config);
        let mut detector = Detector::default();
        detector.set_hosts(0..hosts);
        let (now, rng) = (Instant::now(), Rng::seeded(7));
        World { config, runtime: Values::default(), detector, now, rng, volumes: HashMap::new() }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Detector, &mut Moment<'_>) -> T) -> T {
        let settings = Settings::new(&self.config, &self.runtime);
        act(&mut self.detector, &mut Moment { now: self.now, settings, rng: &mut self.rng })
    }

    fn failed(&mut self, host: u64, kind: Kind) -> Option<Outcome> {
        let event = self.with(|detector, moment| detector.failed(host, kind, moment));
        event.map(|event| outcome(&event).expect("something was detected").1)
    }

    /// Lets a host have some of `requests` go well until the next sweep.
    fn requests(&mut self, host: u64, origin: Origin, successes: u64, requests: u64) {
        self.volumes.insert((host, origin), Volume { successes, requests });
    }

    fn sweep(&mut self) -> Vec<Event> {
        self.now += self.config.interval;
        let mut volumes = std::mem::take(&mut self.volumes);
        let take = |host, origin| volumes.remove(&(host, origin)).unwrap_or_default();
        self.with(|detector, moment| detector.sweep(take, moment))
    }

    /// Sweeps until a host comes back; how long that took.
    fn until_back(&mut self, host: u64) -> Duration {
        let begun = self.now;
        loop {
            let events = self.sweep();
            if events.iter().any(|event| event.host == host && event.action == Action::Returned) {
                return self.now - begun;
            }
            assert!(self.now - begun < 10_000 * SECOND, "host {host} stays out");
        }
    }
}

fn outcome(event: &Event) -> Option<(Kind, Outcome)> {
    match event.action {
        Action::Detected { kind, outcome, .. } => Some((kind, outcome)),
        _ => None,
    }
}

fn found(events: &[Event]) -> Vec<(u64, Kind, Outcome)> {
    let found = events.iter().filter_map(|event| Some((event.host, outcome(event)?)));
    found.map(|(host, (kind, outcome))| (host, kind, outcome)).collect()
}

#[test]
fn ejections_grow_up_to_the_maximum_and_shrink_with_time() {
    let mut world = World::new(2, |config| config.max_ejection_time = 100 * SECOND);
    let mut times = Vec::new();
    for _ in 0..6 {
        assert_eq!(world.failed(0, Kind::Consecutive5xx), Some(Outcome::Ejected));
        times.push(world.until_back(0).as_secs());
    }
    assert_eq!(times, [30, 60, 90, 100, 100, 100]);
    for _ in 0..3 {
        world.sweep();
    }
    assert_eq!(world.failed(0, Kind::Consecutive5xx), Some(Outcome::Ejected));
    assert_eq!(world.until_back(0).as_secs(), 90, "the product went from 5 to 2, and then up by one");
}

#[test]
fn a_host_that_does_well_for_long_begins_anew() {
    let mut world = World::new(1, |_| {});
    for _ in 0..5 {
        world.failed(0, Kind::Consecutive5xx);
        world.until_back(0);
    }
    (0..10).for_each(|_| drop(world.sweep()));
    world.failed(0, Kind::Consecutive5xx);
    assert_eq!(world.until_back(0).as_secs(), 30);
}

#[test]
fn ejected_hosts_are_no_more_than_the_percentage() {
    let mut world = World::new(10, |config| config.max_ejection_percent = 20);
    let outcomes: Vec<_> = (0..4).filter_map(|host| world.failed(host, Kind::Consecutive5xx)).collect();
    assert_eq!(outcomes, [Outcome::Ejected, Outcome::Ejected, Outcome::Overflow, Outcome::Overflow]);
    world.until_back(0);
    assert_eq!(world.failed(2, Kind::Consecutive5xx), Some(Outcome::Ejected));
}

#[test]
fn one_host_may_be_ejected_whatever_the_percentage_where_that_is_so_configured() {
    let outcomes = |always| {
        let mut world = World::new(5, |config| {
            (config.max_ejection_percent, config.always_eject_one_host) = (10, always);
        });
        [0, 1].map(|host| world.failed(host, Kind::Consecutive5xx))
    };
    assert_eq!(outcomes(false), [Some(Outcome::Overflow); 2]);
    assert_eq!(outcomes(true), [Some(Outcome::Ejected), Some(Outcome::Overflow)]);
}

#[test]
fn what_is_not_enforced_is_detected_all_the_same() {
    let mut world = World::new(2, |_| {});
    assert_eq!(world.failed(0, Kind::ConsecutiveGatewayFailure), Some(Outcome::NotEnforced));
    let mut world = World::new(1000, |config| config.consecutive_5xx.enforcing = 30);
    let ejected =
        (0..1000).filter(|host| world.failed(*host, Kind::Consecutive5xx) == Some(Outcome::Ejected));
    let ejected = ejected.count();
    assert!((240..360).contains(&ejected), "{ejected} of 1000 at 30 %");
}

#[test]
fn the_host_whose_success_rate_sticks_out_is_ejected() {
    let mut world = World::new(5, |_| {});
    (0..5).for_each(|host| world.requests(host, Origin::External, if host == 3 { 50 } else { 100 }, 100));
    let events = world.sweep();
    assert_eq!(found(&events), [(3, Kind::SuccessRate, Outcome::Ejected)]);
    assert_eq!(world.detector.rates(Origin::External), Rates { average: 90.0, threshold: 52.0 });
    assert_eq!(world.detector.success_rate(3, Origin::External), 50.0);
    world.sweep();
    assert_eq!(world.detector.success_rate(3, Origin::External), -1.0);
    assert_eq!(world.detector.rates(Origin::External), Rates::NONE);
}

#[test]
fn rates_count_from_so_many_hosts_with_so_many_requests_on() {
    let ejected = |hosts, requests| {
        let mut world = World::new(hosts, |_| {});
        (0..hosts).for_each(|host| {
            world.requests(host, Origin::External, if host == 0 { 0 } else { requests }, requests);
        });
        found(&world.sweep()).len()
    };
    assert_eq!([ejected(5, 100), ejected(4, 100), ejected(5, 99), ejected(5, 50)], [2, 0, 1, 1]);
    assert_eq!(ejected(5, 49), 0, "neither by its rate nor by its failures");
}

#[test]
fn failures_count_whatever_other_hosts_do() {
    let mut world = World::new(5, |config| config.failure_percentage.enforcing = 100);
    (0..5).for_each(|host| world.requests(host, Origin::External, if host < 4 { 15 } else { 16 }, 100));
    let expected: Vec<_> = (0..4).map(|host| (host, Kind::FailurePercentage, Outcome::Ejected)).collect();
    assert_eq!(found(&world.sweep()), expected);
}

#[test]
fn a_host_ejected_for_its_rate_is_not_ejected_again_for_its_failures() {
    let mut world = World::new(5, |config| config.failure_percentage.enforcing = 100);
    (0..5).for_each(|host| world.requests(host, Origin::External, if host == 0 { 0 } else { 100 }, 100));
    let expected =
        [(0, Kind::SuccessRate, Outcome::Ejected), (0, Kind::FailurePercentage, Outcome::NotEnforced)];
    assert_eq!(found(&world.sweep()), expected);
    assert_eq!(world.detector.ejected(), 1);
    assert_eq!(world.until_back(0).as_secs(), 30);
    assert_eq!(world.detector.ejected(), 0);
}

#[test]
fn failures_of_this_proxy_are_compared_apart() {
    let mut world = World::new(5, |_| {});
    (0..5).for_each(|host| world.requests(host, Origin::Local, if host == 1 { 0 } else { 100 }, 100));
    let expected = [
        (1, Kind::SuccessRateLocalOrigin, Outcome::Ejected),
        (1, Kind::FailurePercentageLocalOrigin, Outcome::NotEnforced),
    ];
    assert_eq!(found(&world.sweep()), expected);
}

#[test]
fn jitter_makes_ejections_end_at_different_times() {
    let mut world = World::new(50, |config| config.max_ejection_time_jitter = 100 * SECOND);
    assert_eq!((0..50).filter_map(|host| world.failed(host, Kind::Consecutive5xx)).count(), 50);
    let returned = |events: &[Event]| events.iter().filter(|event| event.action == Action::Returned).count();
    let by_sweep: Vec<_> = (0..13).map(|_| returned(&world.sweep())).collect();
    assert_eq!(by_sweep[..2], [0, 0]);
    assert!(by_sweep[2..].iter().filter(|count| **count > 0).count() > 8, "{by_sweep:?}");
    assert_eq!(by_sweep.iter().sum::<usize>(), 50);
}

#[test]
fn the_runtime_takes_the_place_of_the_configuration() {
    let mut world = World::new(2, |_| {});
    let values = [
        ("outlier_detection.base_ejection_time_ms", serde_json::json!(5000)),
        ("outlier_detection.enforcing_consecutive_gateway_failure", serde_json::json!(100)),
        ("outlier_detection.max_ejection_percent", serde_json::json!(50)),
    ];
    world.runtime = values.iter().map(|(key, value)| (*key, value)).collect();
    assert_eq!(world.failed(0, Kind::ConsecutiveGatewayFailure), Some(Outcome::Ejected));
    assert_eq!(world.failed(1, Kind::Consecutive5xx), Some(Outcome::Overflow));
    assert_eq!(world.until_back(0).as_secs(), 10);
}

#[test]
fn an_absurd_runtime_does_no_harm() {
    let mut world = World::new(2, |_| {});
    let most = serde_json::json!(u64::MAX);
    let keys =
        ["base_ejection_time_ms", "max_ejection_time_ms", "max_ejection_time_jitter_ms", "interval_ms"];
    let keys = keys.map(|key| format!("outlier_detection.{key}"));
    world.runtime = keys.iter().map(|key| (key.as_str(), &most)).collect();
    for _ in 0..3 {
        world.failed(0, Kind::Consecutive5xx);
        world.sweep();
        world.with(|detector, moment| detector.passed_check(0, moment.now));
    }
    assert_eq!(world.detector.ejected(), 0);
}

#[test]
fn a_degraded_host_is_restored_as_one_that_is_ejected_returns() {
    let mut world = World::new(1, |_| {});
    let degrade = |world: &mut World| world.with(|detector, moment| detector.degraded(0, moment));
    assert!(degrade(&mut world).is_some_and(|event| event.action == Action::Degraded));
    assert_eq!(degrade(&mut world), None);
    let events: Vec<_> = (0..3).flat_map(|_| world.sweep()).map(|event| event.action).collect();
    assert_eq!(events, [Action::Restored]);
}

#[test]
fn events_tell_how_long_ago_the_opposite_was() {
    let mut world = World::new(1, |_| {});
    let failed =
        |world: &mut World| world.with(|detector, moment| detector.failed(0, Kind::Consecutive5xx, moment));
    let first = failed(&mut world).expect("an ejection");
    assert_eq!((first.since, first.ejections), (None, 1));
    let back = (0..3).flat_map(|_| world.sweep()).next().expect("a return");
    assert_eq!((back.since, back.ejections), (Some(30 * SECOND), 1));
    world.now += 7 * SECOND;
    let second = failed(&mut world).expect("an ejection");
    assert_eq!((second.since, second.ejections), (Some(7 * SECOND), 2));
}

#[test]
fn whatever_happens_the_books_are_straight() {
    let mut world = World::new(0, |config| {
        (config.max_ejection_percent, config.failure_percentage.enforcing) = (40, 60);
    });
    let mut hosts: Vec<u64> = Vec::new();
    let mut out: HashMap<u64, bool> = HashMap::new();
    let mut draw = Rng::seeded(11);
    for step in 0..20_000_u64 {
        let events = match draw.below(12) {
            0 => {
                hosts.retain(|_| draw.below(4) > 0);
                hosts.extend((0..draw.below(5)).map(|index| step * 10 + index));
                world.detector.set_hosts(hosts.iter().copied());
                out.retain(|host, _| hosts.contains(host));
                Vec::new()
            }
            1..=3 => {
                for &host in &hosts {
                    let requests = draw.below(150);
                    let successes = requests - draw.below(requests + 1).min(draw.below(200));
                    world.requests(host, Origin::External, successes, requests);
                }
                world.sweep()
            }
            4 if !hosts.is_empty() => {
                let host = hosts[draw.below(hosts.len() as u64) as usize];
                world.with(|detector, moment| detector.passed_check(host, moment.now)).into_iter().collect()
            }
            _ => {
                world.now += SECOND;
                let host = hosts.get(draw.below(20) as usize).copied().unwrap_or(u64::MAX);
                let kind = Kind::IN_A_ROW[draw.below(3) as usize];
                world.with(|detector, moment| detector.failed(host, kind, moment)).into_iter().collect()
            }
        };
        for event in events {
            let is_out = out.entry(event.host).or_default();
            match event.action {
                Action::Detected { outcome, .. } => {
                    assert!(outcome != Outcome::Ejected || !*is_out, "host {} is out already", event.host);
                    *is_out |= outcome == Outcome::Ejected;
                    let ejected = out.values().filter(|out| **out).count();
                    let is_few = ejected as f64 * 100.0 <= 40.0 * hosts.len() as f64;
                    assert!(outcome != Outcome::Ejected || is_few, "{ejected} of {} are out", hosts.len());
                }
                Action::Returned => assert!(std::mem::take(is_out), "host {} was not out", event.host),
                Action::Degraded | Action::Restored => panic!("nobody said so"),
            }
        }
        assert_eq!(world.detector.ejected(), out.values().filter(|out| **out).count());
    }
}
