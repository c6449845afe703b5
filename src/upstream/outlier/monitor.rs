//! What workers count of one host: failures in a row, and the successes of an interval.
//!
//! Several workers write these numbers, as in Envoy: the order in which a host answered is that in which its answers
//! came, whichever worker took them. Only hosts of clusters with outlier detection have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::settings::Settings;
use super::{Alarm, Kind, Origin};
use crate::config;
use crate::config::runtime::Values;

/// How one request to a host went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// There was a connection for it.
    Connected,
    /// There was a connection for bytes, and the host will say nothing that could be judged: all is well.
    Opened,
    /// The host answered with this status; for gRPC, the HTTP status that stands for that of gRPC.
    Answered {
        /// The status.
        status: u16,
        /// Whether it called itself degraded: `x-envoy-degraded`.
        degraded: bool,
    },
    /// It could not be connected to, or its stream broke.
    Failed,
    /// It did not answer in time; the client was answered with this status.
    TimedOut(u16),
}

/// What stands for a stream that broke, where failures are not counted apart.
const BROKEN: u16 = 503;
/// What stands for a connection for bytes, likewise.
const WELL: u16 = 200;

fn is_error(status: u16) -> bool {
    (500..600).contains(&status)
}

/// The counts of one host.
#[derive(Debug)]
pub struct Monitor {
    host: u64,
    config: Arc<config::Cluster>,
    alarms: UnboundedSender<Alarm>,
    in_a_row: [AtomicU32; 3],
    windows: [Window; 2],
    /// What `/clusters` shows: rates of the interval before, as bits.
    rates: [AtomicU64; 2],
}

/// What was counted in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Requests that went well.
    pub successes: u64,
    /// All requests.
    pub requests: u64,
}

/// Requests in the lower half, successes in the upper: both are counted and taken in one step. An interval would need
/// four billion requests to one host for more than the halves hold.
#[derive(Debug, Default)]
struct Window(AtomicU64);

impl Window {
    fn count(&self, success: bool) {
        self.0.fetch_add(u64::from(success) << 32 | 1, Ordering::Relaxed);
    }

    fn take(&self) -> Volume {
        let counted = self.0.swap(0, Ordering::Relaxed);
        let requests = counted & u64::from(u32::MAX);
        Volume { successes: (counted >> 32).min(requests), requests }
    }
}

impl Monitor {
    pub(super) fn new(host: u64, config: Arc<config::Cluster>, alarms: UnboundedSender<Alarm>) -> Self {
        let none = || AtomicU64::new((-1.0_f64).to_bits());
        Monitor {
            host,
            config,
            alarms,
            in_a_row: Default::default(),
            windows: Default::default(),
            rates: [none(), none()],
        }
    }

    /// Counts how a request went, and raises the alarm at the failure that is one too many.
    pub fn report(&self, report: Report, runtime: &Values) {
        let Some(config) = &self.config.outlier_detection else { return };
        let settings = Settings::new(config, runtime);
        match (report, config.split_external_local_origin_errors) {
            (Report::Answered { status, degraded }, _) => {
                self.answered(status, settings);
                if degraded && config.detect_degraded_hosts && !is_error(status) {
                    self.raise(Alarm::Degraded(self.host));
                }
            }
            (Report::TimedOut(status), false) => self.answered(status, settings),
            (Report::Failed, false) => self.answered(BROKEN, settings),
            (Report::Connected, false) => {}
            (Report::Opened, false) => self.answered(WELL, settings),
            (Report::Connected | Report::Opened, true) => {
                self.windows[Origin::Local as usize].count(true);
                self.forget(Kind::ConsecutiveLocalOriginFailure);
            }
            (Report::Failed | Report::TimedOut(_), true) => {
                self.windows[Origin::Local as usize].count(false);
                self.again(Kind::ConsecutiveLocalOriginFailure, settings);
            }
        }
    }

    fn answered(&self, status: u16, settings: Settings<'_>) {
        let failed = is_error(status);
        self.windows[Origin::External as usize].count(!failed);
        match status {
            502..=504 => self.again(Kind::ConsecutiveGatewayFailure, settings),
            _ => self.forget(Kind::ConsecutiveGatewayFailure),
        }
        if failed {
            self.again(Kind::Consecutive5xx, settings);
        } else {
            self.forget(Kind::Consecutive5xx);
        }
    }

    /// One more in a row.
    fn again(&self, kind: Kind, settings: Settings<'_>) {
        let Some(count) = self.in_a_row(kind) else { return };
        let count = count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if u64::from(count) == settings.consecutive(kind) {
            self.raise(Alarm::Failures(self.host, kind));
        }
    }

    fn raise(&self, alarm: Alarm) {
        // Without anybody who listens the cluster is gone.
        self.alarms.send(alarm).unwrap_or_default();
    }

    /// Begins to count failures in a row anew.
    pub(super) fn forget(&self, kind: Kind) {
        // Most answers are no failures, and a store would take the line from other workers.
        if let Some(count) = self.in_a_row(kind)
            && count.load(Ordering::Relaxed) != 0
        {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn in_a_row(&self, kind: Kind) -> Option<&AtomicU32> {
        match kind {
            Kind::Consecutive5xx => Some(&self.in_a_row[0]),
            Kind::ConsecutiveGatewayFailure => Some(&self.in_a_row[1]),
            Kind::ConsecutiveLocalOriginFailure => Some(&self.in_a_row[2]),
            _ => None,
        }
    }

    /// Takes what was counted since the last time.
    pub(super) fn take(&self, origin: Origin) -> Volume {
        self.windows[origin as usize].take()
    }

    /// The success rate of the interval before in percent; -1 where there were too few requests.
    pub fn success_rate(&self, origin: Origin) -> f64 {
        f64::from_bits(self.rates[origin as usize].load(Ordering::Relaxed))
    }

    pub(super) fn show_rate(&self, origin: Origin, rate: f64) {
        self.rates[origin as usize].store(rate.to_bits(), Ordering::Relaxed);
    }
}
