//! The task of a cluster with outlier detection, on the control thread: it hands alarms and the time to the detector,
//! and puts in force what comes of it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};

use super::count::count;
use super::detector::{Detector, Moment};
use super::event::{Action, Event, Kind, Origin, Outcome};
use super::log::EventLog;
use super::monitor::Volume;
use super::settings::Settings;
use super::{Alarm, Watch};
use crate::base::random::Rng;
use crate::config::cluster::OutlierDetection;
use crate::config::runtime::Values;
use crate::upstream::host::health_flag;
use crate::upstream::{Cluster, Host};

/// A moment that never comes, for times that are out of the clock's range.
const FAR_FUTURE: Duration = Duration::from_secs(86_400 * 365 * 30);

/// What the task of a cluster uses.
#[derive(Clone)]
pub struct Surroundings {
    /// The runtime's values in force.
    pub runtime: Rc<dyn Fn() -> Arc<Values>>,
    /// Where events are logged, if they are.
    pub log: Option<EventLog>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Detects outliers among the hosts of a cluster until dropped. Ends at once for one that is not to be watched, or is
/// already.
pub async fn run(cluster: Arc<Cluster>, surroundings: Surroundings, rng: Rng) {
    let (Some(watch), Some(config)) = (&cluster.outlier, &cluster.config.outlier_detection) else { return };
    let Some(mut alarms) = watch.listen() else { return };
    let hosts = HashMap::new();
    let mut task =
        Task { cluster: &cluster, watch, config, surroundings, rng, detector: Detector::default(), hosts };
    task.find_hosts();
    let mut next = task.next_sweep();
    loop {
        tokio::select! {
            biased;
            Some(alarm) = alarms.recv() => {
                let mut changed = task.hear(alarm);
                while let Ok(alarm) = alarms.try_recv() {
                    changed |= task.hear(alarm);
                }
                task.publish(changed);
            }
            () = sleep_until(next) => {
                let changed = task.sweep();
                task.publish(changed);
                next = task.next_sweep();
            }
        }
    }
}

struct Task<'a> {
    cluster: &'a Cluster,
    watch: &'a Watch,
    config: &'a OutlierDetection,
    surroundings: Surroundings,
    rng: Rng,
    detector: Detector,
    hosts: HashMap<u64, Arc<Host>>,
}

impl Task<'_> {
    fn next_sweep(&self) -> Instant {
        let runtime = (self.surroundings.runtime)();
        let interval = Settings::new(self.config, &runtime).interval();
        Instant::now() + interval.min(FAR_FUTURE)
    }

    /// Whether a host's health changed by what an alarm says.
    fn hear(&mut self, alarm: Alarm) -> bool {
        let runtime = (self.surroundings.runtime)();
        let settings = Settings::new(self.config, &runtime);
        let mut moment = Moment { now: Instant::now().into_std(), settings, rng: &mut self.rng };
        let event = match alarm {
            Alarm::Hosts => {
                self.find_hosts();
                None
            }
            Alarm::Failures(host, kind) => {
                let event = self.detector.failed(host, kind, &mut moment);
                if let (Some(_), Some(monitor)) = (&event, self.monitor(host)) {
                    monitor.forget(kind);
                }
                event
            }
            Alarm::Degraded(host) => self.detector.degraded(host, &moment),
            Alarm::Passed(host) if self.config.successful_active_health_check_uneject_host => {
                self.detector.passed_check(host, moment.now)
            }
            Alarm::Passed(_) => None,
        };
        event.is_some_and(|event| self.put_in_force(&event))
    }

    /// Whether a host's health changed.
    fn sweep(&mut self) -> bool {
        let runtime = (self.surroundings.runtime)();
        let settings = Settings::new(self.config, &runtime);
        let mut moment = Moment { now: Instant::now().into_std(), settings, rng: &mut self.rng };
        let hosts = &self.hosts;
        let take = |host: u64, origin| {
            let monitor = hosts.get(&host).and_then(|host| host.outlier.as_ref());
            monitor.map_or_else(Volume::default, |monitor| monitor.take(origin))
        };
        let events = self.detector.sweep(take, &mut moment);
        for origin in Origin::ALL {
            self.watch.show_rates(origin, self.detector.rates(origin));
            for (&id, host) in &self.hosts {
                if let Some(monitor) = &host.outlier {
                    monitor.show_rate(origin, self.detector.success_rate(id, origin));
                }
            }
        }
        let mut changed = false;
        for event in &events {
            changed |= self.put_in_force(event);
        }
        changed
    }

    fn monitor(&self, host: u64) -> Option<&super::Monitor> {
        self.hosts.get(&host)?.outlier.as_deref()
    }

    /// Sets flags, counts and logs; whether the host's health changed.
    fn put_in_force(&self, event: &Event) -> bool {
        count(event, &self.watch.stats);
        let Some(host) = self.hosts.get(&event.host) else { return false };
        if let Some(log) = &self.surroundings.log {
            log.write(&self.cluster.name, &host.address_text, event, SystemTime::now());
        }
        let (ejected, degraded) =
            (health_flag::FAILED_OUTLIER_CHECK, health_flag::DEGRADED_OUTLIER_DETECTION);
        match event.action {
            Action::Detected { outcome: Outcome::Ejected, .. } => {
                self.watch.stats.ejections_active().inc();
                host.failures.note();
                host.change_health_flags(ejected, 0)
            }
            Action::Detected { .. } => false,
            Action::Returned => {
                self.watch.stats.ejections_active().dec();
                // What almost was too much before must not be so again at once.
                if let Some(monitor) = &host.outlier {
                    Kind::IN_A_ROW.into_iter().for_each(|kind| monitor.forget(kind));
                }
                host.change_health_flags(0, ejected)
            }
            Action::Degraded => host.change_health_flags(degraded, 0),
            Action::Restored => host.change_health_flags(0, degraded),
        }
    }

    /// Lets workers see the health that hosts have now.
    fn publish(&self, changed: bool) {
        if changed {
            self.cluster.refresh_health();
        }
    }

    /// Looks which hosts there are now.
    fn find_hosts(&mut self) {
        let before = self.detector.ejected();
        self.hosts = self.cluster.hosts().iter().map(|host| (host.id, Arc::clone(host))).collect();
        self.detector.set_hosts(self.hosts.keys().copied());
        self.count_gone(before - self.detector.ejected());
    }

    /// Counts ejected hosts out that are gone.
    fn count_gone(&self, ejected: usize) {
        self.watch.stats.ejections_active().sub(ejected as u64);
    }
}

impl Drop for Task<'_> {
    /// The cluster that takes the place of this one has the same statistics.
    fn drop(&mut self) {
        self.count_gone(self.detector.ejected());
    }
}
