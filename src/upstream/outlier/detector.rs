//! Which hosts are taken out, and when they come back: a state machine without clock, sockets or statistics.
//!
//! What workers noticed, what was counted and the time go in, [`Event`]s come out, in the order in which things
//! happen. Who has them puts them in force.
//!
//! As in Envoy, a host is ejected for the base time times a number that grows by one with each ejection, up to the
//! maximum, and shrinks by one with each sweep in which the host is not ejected; ejections end at a sweep. Where we
//! differ: a host that a sweep has ejected for its success rate is found, but not ejected, once more by the same sweep
//! for its failures. Envoy ejects it twice and takes that back once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::event::{Action, Event, Kind, Origin, Outcome};
use super::monitor::Volume;
use super::rates::{HostRate, Rates};
use super::settings::Settings;
use super::term::Term;
use crate::base::random::Rng;

/// What the detector goes by at one moment.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The time.
    pub now: Instant,
    /// The settings in force.
    pub settings: Settings<'a>,
    /// For shares that are enforced, and for jitter.
    pub rng: &'a mut Rng,
}

/// The hosts of a cluster, as far as outlier detection is concerned.
#[derive(Debug)]
pub struct Detector {
    /// By number, which is the order in which they came.
    hosts: BTreeMap<u64, Record>,
    ejected: usize,
    rates: [Rates; 2],
}

/// What is known of one host.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    ejections: u32,
    ejection: Term,
    degradation: Term,
    success_rates: [Option<f64>; 2],
}

impl Default for Detector {
    fn default() -> Self {
        Detector { hosts: BTreeMap::new(), ejected: 0, rates: [Rates::NONE; 2] }
    }
}

impl Detector {
    /// The hosts are these now. Those that are new have a clean record, those that are gone have none.
    pub fn set_hosts(&mut self, hosts: impl IntoIterator<Item = u64>) {
        let hosts: BTreeSet<u64> = hosts.into_iter().collect();
        self.hosts.retain(|host, _| hosts.contains(host));
        for host in hosts {
            self.hosts.entry(host).or_default();
        }
        self.ejected = self.hosts.values().filter(|host| host.ejection.is_active()).count();
    }

    /// How many hosts are ejected.
    pub fn ejected(&self) -> usize {
        self.ejected
    }

    /// What the hosts' rates came to in the interval before.
    pub fn rates(&self, origin: Origin) -> Rates {
        self.rates[origin as usize]
    }

    /// The success rate of a host in the interval before; -1 where there were too few requests.
    pub fn success_rate(&self, host: u64, origin: Origin) -> f64 {
        self.hosts.get(&host).map_or(-1.0, |host| host.success_rate(origin))
    }

    /// A host failed too often in a row. `None` for a host that is gone or ejected already.
    pub fn failed(&mut self, host: u64, kind: Kind, moment: &mut Moment<'_>) -> Option<Event> {
        self.hosts.get(&host).filter(|host| !host.ejection.is_active())?;
        self.detected(host, kind, moment)
    }

    /// A host sticks out: what comes of it. `None` if it is gone.
    fn detected(&mut self, host: u64, kind: Kind, moment: &mut Moment<'_>) -> Option<Event> {
        let may_eject = moment.settings.may_eject(self.ejected, self.hosts.len());
        let record = self.hosts.get_mut(&host)?;
        let outcome = match may_eject {
            false => Outcome::Overflow,
            true if record.ejection.is_active() => Outcome::NotEnforced,
            true if moment.settings.enforces(kind, moment.rng) => Outcome::Ejected,
            true => Outcome::NotEnforced,
        };
        if outcome == Outcome::Ejected {
            record.ejections = record.ejections.saturating_add(1);
            let jitter = moment.settings.jitter(moment.rng);
            record.ejection.begin(moment.now, jitter, moment.settings);
            self.ejected += 1;
        }
        let origin = kind.origin();
        let (rate, rates) = (record.success_rate(origin), self.rates[origin as usize]);
        let action = Action::Detected { kind, outcome, rate, rates };
        Some(record.event(host, action, moment.now))
    }

    /// A host said that it is degraded. `None` for a host that is gone or degraded already.
    pub fn degraded(&mut self, host: u64, moment: &Moment<'_>) -> Option<Event> {
        let record = self.hosts.get_mut(&host).filter(|host| !host.degradation.is_active())?;
        record.degradation.begin(moment.now, std::time::Duration::ZERO, moment.settings);
        Some(record.event(host, Action::Degraded, moment.now))
    }

    /// An active health check says that a host is well: its ejection ends.
    pub fn passed_check(&mut self, host: u64, now: Instant) -> Option<Event> {
        let record = self.hosts.get_mut(&host).filter(|host| host.ejection.is_active())?;
        self.ejected -= 1;
        record.ejection.end(now);
        Some(record.event(host, Action::Returned, now))
    }

    /// The interval is over; `take` gives what was counted of a host in it.
    pub fn sweep(
        &mut self,
        mut take: impl FnMut(u64, Origin) -> Volume,
        moment: &mut Moment<'_>,
    ) -> Vec<Event> {
        let (now, settings) = (moment.now, moment.settings);
        let mut events = Vec::new();
        let mut volumes = [Vec::new(), Vec::new()];
        for (&host, record) in &mut self.hosts {
            if record.ejection.is_over(now, settings) {
                self.ejected -= 1;
                record.ejection.end(now);
                events.push(record.event(host, Action::Returned, now));
            }
            if record.degradation.is_over(now, settings) {
                record.degradation.end(now);
                events.push(record.event(host, Action::Restored, now));
            }
            record.success_rates = [None; 2];
            for origin in Origin::ALL {
                volumes[origin as usize].push((host, take(host, origin)));
            }
        }
        for origin in Origin::ALL {
            self.compare(origin, &volumes[origin as usize], moment, &mut events);
        }
        for record in self.hosts.values_mut() {
            record.ejection.shrink(now, settings);
            record.degradation.shrink(now, settings);
        }
        events
    }

    /// Looks for hosts that stick out by their success rate or their failures.
    fn compare(
        &mut self,
        origin: Origin,
        volumes: &[(u64, Volume)],
        moment: &mut Moment<'_>,
        events: &mut Vec<Event>,
    ) {
        let settings = moment.settings;
        self.rates[origin as usize] = Rates::NONE;
        let (least, least_failing) = (settings.success_rate_hosts(), settings.failure_percentage_hosts());
        if (self.hosts.len() as u64) < least.min(least_failing) {
            return;
        }
        let (rated, failing) = self.rate(origin, volumes, settings);
        if !rated.is_empty() && rated.len() as u64 >= least {
            let rates = Rates::of(&rated, settings.stdev_factor());
            self.rates[origin as usize] = rates;
            for found in rated.iter().filter(|host| host.rate < rates.threshold) {
                events.extend(self.detected(found.host, origin.success_rate(), moment));
            }
        }
        if !failing.is_empty() && failing.len() as u64 >= least_failing {
            let threshold = settings.failure_percentage_threshold();
            for found in failing.iter().filter(|host| 100.0 - host.rate >= threshold) {
                events.extend(self.detected(found.host, origin.failure_percentage(), moment));
            }
        }
    }

    /// The hosts with enough requests for their success rates to count, and for their failures.
    fn rate(
        &mut self,
        origin: Origin,
        volumes: &[(u64, Volume)],
        settings: Settings<'_>,
    ) -> (Vec<HostRate>, Vec<HostRate>) {
        let (by_rate, by_failures) = (settings.success_rate_volume(), settings.failure_percentage_volume());
        let (mut rated, mut failing) = (Vec::new(), Vec::new());
        for &(host, volume) in volumes {
            let record = self.hosts.get_mut(&host).filter(|record| !record.ejection.is_active());
            let (Some(record), Some(rate)) = (record, volume.success_rate()) else { continue };
            if volume.requests >= by_rate.min(by_failures) {
                record.success_rates[origin as usize] = Some(rate);
            }
            if volume.requests >= by_rate {
                rated.push(HostRate { host, rate });
            }
            if volume.requests >= by_failures {
                failing.push(HostRate { host, rate });
            }
        }
        (rated, failing)
    }
}

impl Record {
    fn success_rate(&self, origin: Origin) -> f64 {
        self.success_rates[origin as usize].unwrap_or(-1.0)
    }

    fn event(&self, host: u64, action: Action, now: Instant) -> Event {
        let since = match action {
            Action::Detected { .. } | Action::Degraded => self.ejection.since_end(now),
            Action::Returned | Action::Restored => self.ejection.since_begin(now),
        };
        Event { host, action, since, ejections: self.ejections }
    }
}

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
