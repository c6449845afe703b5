//! Metrics of a host's reports until the load reporter takes them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::report::Report;

/// Names that are kept of one host: it is the host that gives them.
const MAX_NAMES: usize = 1_000;

/// One metric, over all the responses that told it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metric {
    /// How many responses told it.
    pub count: u64,
    /// All values together.
    pub sum: f64,
}

impl Metric {
    /// This and another of the same name.
    pub fn add(&mut self, other: Metric) {
        self.count += other.count;
        self.sum += other.sum;
    }
}

/// Metrics by their names.
pub type Metrics = BTreeMap<Box<str>, Metric>;

/// What came since the load reporter was here.
///
/// Names are the host's, so there are no counters to make ahead. The lock is taken once for each response that reports,
/// and by nobody else but the load reporter.
#[derive(Debug, Default)]
pub(super) struct Collected(Mutex<Metrics>);

impl Collected {
    /// Adds those metrics of a report that have one of these names.
    pub(super) fn add(&self, names: &[String], report: &Report) {
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        report.each(names, |name, value| {
            let told = Metric { count: 1, sum: value };
            if let Some(metric) = metrics.get_mut(name) {
                metric.add(told);
            } else if metrics.len() < MAX_NAMES {
                metrics.insert(name.into(), told);
            }
        });
    }

    /// Takes all of it.
    pub(super) fn take(&self) -> Metrics {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
