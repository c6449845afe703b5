//! Outlier detection: hosts that answer badly are taken out for a while. `Cluster.outlier_detection`
//!
//! Workers count how requests went in a host's [`Monitor`] and raise an [`Alarm`] at the failure that is one too many;
//! that is all that happens where requests pass, and only in clusters that ask for it. On the control thread [`run`]
//! hands alarms and the time to the [`Detector`], which decides, and puts in force what comes of it: flags of hosts,
//! statistics, lines of the event log. Ejected hosts leave the set of healthy ones that all workers see.
//!
//! - `monitor`: what workers count; `settings`: the configuration and the runtime;
//! - `detector`: what is decided; `term`, `rates`: parts of that; `event`: what comes of it;
//! - `run`: the task of a cluster; `count`: its statistics; `log`: its lines.

mod count;
mod detector;
mod event;
mod log;
mod monitor;
mod rates;
mod run;
mod settings;
mod term;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::config;
use crate::observability::stats::{OutlierStats, Registry};

pub use detector::{Detector, Moment};
pub use event::{Action, Event, Kind, Origin, Outcome};
pub use log::EventLog;
pub use monitor::{Monitor, Report, Volume};
pub use rates::Rates;
pub use run::{Surroundings, run};
pub use settings::Settings;

/// Something for the detector of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A host failed too often in a row.
    Failures(u64, Kind),
    /// A host said that it is degraded.
    Degraded(u64),
    /// An active health check of a host passed.
    Passed(u64),
    /// Hosts came or went.
    Hosts,
}

/// What a cluster with outlier detection has.
#[derive(Debug)]
pub struct Watch {
    /// What it did.
    pub stats: OutlierStats,
    alarms: UnboundedSender<Alarm>,
    /// Until the task of the cluster begins.
    heard: Mutex<Option<UnboundedReceiver<Alarm>>>,
    /// What `/clusters` shows: averages and thresholds by origin, as bits.
    rates: [[AtomicU64; 2]; 2],
}

impl Watch {
    /// For a cluster whose statistics have this prefix, if it is configured to have one.
    pub(super) fn new(config: &config::Cluster, registry: &Registry, prefix: &str) -> Option<Self> {
        config.outlier_detection.as_ref()?;
        let (alarms, heard) = unbounded_channel();
        let watch = Watch {
            stats: OutlierStats::new(registry, &format!("{prefix}outlier_detection.")),
            alarms,
            heard: Mutex::new(Some(heard)),
            rates: Default::default(),
        };
        Origin::ALL.into_iter().for_each(|origin| watch.show_rates(origin, Rates::NONE));
        Some(watch)
    }

    /// What a new host's requests are counted in.
    pub(super) fn monitor(&self, host: u64, config: &Arc<config::Cluster>) -> Monitor {
        Monitor::new(host, Arc::clone(config), self.alarms.clone())
    }

    /// Tells the detector of something.
    pub fn alarm(&self, alarm: Alarm) {
        // It may have ended already, or never have begun.
        self.alarms.send(alarm).unwrap_or_default();
    }

    /// What the rates of all hosts came to in the interval before.
    pub fn rates(&self, origin: Origin) -> Rates {
        let [average, threshold] =
            [0, 1].map(|index| f64::from_bits(self.rates[origin as usize][index].load(Ordering::Relaxed)));
        Rates { average, threshold }
    }

    fn show_rates(&self, origin: Origin, rates: Rates) {
        let [average, threshold] = &self.rates[origin as usize];
        average.store(rates.average.to_bits(), Ordering::Relaxed);
        threshold.store(rates.threshold.to_bits(), Ordering::Relaxed);
    }

    /// What the detector hears; `None` if another hears it already.
    fn listen(&self) -> Option<UnboundedReceiver<Alarm>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
