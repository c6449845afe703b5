//! What the runtime says of a cluster in place of its configuration, as the data path reads it.
//!
//! Envoy asks the runtime each time. Here the control thread hands over what it says when that changes, so that a request
//! pays for a load, not for a look-up.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::Cluster;
use crate::config::runtime::Values;

/// Percent of healthy hosts below which health is disregarded, of all clusters.
const PANIC_THRESHOLD: &str = "upstream.healthy_panic_threshold";

/// Percent of requests to a cluster that are answered with 503; the cluster's name follows.
const MAINTENANCE_MODE: &str = "upstream.maintenance_mode.";

/// What the runtime says of a cluster.
#[derive(Debug)]
pub struct Steering {
    panic_threshold: AtomicU32,
    maintenance: AtomicU32,
}

impl Steering {
    /// The configuration's own values.
    pub(super) fn new(config: &Cluster) -> Self {
        Steering { panic_threshold: AtomicU32::new(configured(config)), maintenance: AtomicU32::new(0) }
    }

    /// Percent of healthy hosts below which health is disregarded; from 0 to 100, a whole number as in Envoy.
    #[inline]
    pub fn panic_threshold(&self) -> f64 {
        self.panic_threshold.load(Ordering::Relaxed).into()
    }

    /// Percent of requests that are answered with 503; from 0 to 100.
    #[inline]
    pub fn maintenance(&self) -> u32 {
        self.maintenance.load(Ordering::Relaxed)
    }

    /// Takes over what the runtime says; whether the threshold is another one.
    pub(super) fn follow(&self, config: &Cluster, runtime: &Values) -> bool {
        let maintenance = percent(runtime.integer(&format!("{MAINTENANCE_MODE}{}", config.name), 0));
        self.maintenance.store(maintenance, Ordering::Relaxed);
        let threshold = percent(runtime.integer(PANIC_THRESHOLD, configured(config).into()));
        self.panic_threshold.swap(threshold, Ordering::Relaxed) != threshold
    }
}

fn configured(config: &Cluster) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
    let threshold = config.lb.healthy_panic_threshold.clamp(0.0, 100.0) as u32;
    threshold
}

fn percent(number: u64) -> u32 {
    number.min(100) as u32
}
