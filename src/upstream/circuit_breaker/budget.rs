//! A budget of retries: how many there may be, by what is in flight.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::config::cluster::RetryBudget;
use crate::config::runtime::Values;

/// A budget of retries as it is in force: that of the configuration, or what the runtime says in its place.
#[derive(Debug)]
pub(super) struct Budget {
    configured: Option<RetryBudget>,
    is_there: AtomicBool,
    /// The bits of a number.
    percent: AtomicU64,
    least: AtomicU32,
}

impl Budget {
    /// As configured.
    pub(super) fn new(configured: Option<RetryBudget>) -> Self {
        let budget = configured.unwrap_or_default();
        Budget {
            configured,
            is_there: AtomicBool::new(configured.is_some()),
            percent: AtomicU64::new(budget.budget_percent.to_bits()),
            least: AtomicU32::new(budget.min_retry_concurrency),
        }
    }

    /// Retries that it allows, as a percentage of what is in flight.
    pub(super) fn percent(&self) -> f64 {
        f64::from_bits(self.percent.load(Ordering::Relaxed))
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// Retries that it allows however few requests there are.
    pub(super) fn least(&self) -> u32 {
        self.least.load(Ordering::Relaxed)
    }

    /// Takes over what the runtime says, which may also make a budget where none is configured.
    pub(super) fn follow(&self, prefix: &str, runtime: &Values) {
        let configured = self.configured.unwrap_or_default();
        let (percent, least) = (format!("{prefix}budget_percent"), format!("{prefix}min_retry_concurrency"));
        let is_there = self.configured.is_some() || runtime.has(&percent) || runtime.has(&least);
        let percent = runtime.double(&percent, configured.budget_percent);
        let least = runtime.integer(&least, configured.min_retry_concurrency.into());
        self.percent.store(percent.to_bits(), Ordering::Relaxed);
        self.least.store(u32::try_from(least).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.is_there.store(is_there, Ordering::Relaxed);
    }
}
