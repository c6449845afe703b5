//! What hosts report of themselves: the Open Request Cost Aggregation of xDS, in headers or trailers of responses.
//!
//! A cluster asks for it by a policy that weighs its hosts by it (`client_side_weighted_round_robin`), or by metrics that
//! reports of load tell (`lrs_report_endpoint_metrics`). Then each of its hosts has a [`Ledger`], in which workers note
//! what they hear; on the control thread [`run`] makes weights of it, and the load reporter takes the metrics.
//!
//! - `report`: a report and what its headers say; `text`: the form that is none of protobuf's;
//! - `weight`: what weights come of it; `metrics`: what the load reporter is told; `run`: the task of a cluster.

mod metrics;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod text;
mod weight;

use std::sync::Arc;
use std::time::Duration;

pub use metrics::{Metric, Metrics};
pub use report::Report;
pub use run::run;

use super::HostSet;
use crate::config;
use metrics::Collected;
use weight::Reported;

/// What one host reported.
#[derive(Debug)]
pub struct Ledger {
    config: Arc<config::Cluster>,
    weight: Reported,
    metrics: Collected,
}

impl Ledger {
    /// For a host of a cluster that asks for any of it.
    pub(super) fn new(config: &Arc<config::Cluster>) -> Option<Box<Self>> {
        let asks = config.lb.client_side.is_some() || !config.reported_metrics.is_empty();
        asks.then(|| {
            let (weight, metrics) = Default::default();
            Box::new(Ledger { config: Arc::clone(config), weight, metrics })
        })
    }

    /// Notes a report that came so long into the cluster's life.
    pub fn note(&self, report: &Report, now: Duration) {
        if !self.config.reported_metrics.is_empty() {
            self.metrics.add(&self.config.reported_metrics, report);
        }
        if let Some(config) = &self.config.lb.client_side
            && let Some(weight) = weight::of(report, config)
        {
            self.weight.note(weight, now);
        }
    }

    /// Whether the host's weight comes of what it reports.
    pub fn weighs(&self) -> bool {
        self.config.lb.client_side.is_some()
    }

    /// Takes the metrics that came since this was done before.
    pub fn take_metrics(&self) -> Metrics {
        self.metrics.take()
    }
}

/// Gives the hosts the weights that come of what they have reported so long into the cluster's life; whether any changed.
pub(super) fn weigh(hosts: &HostSet, config: &config::cluster::ClientSideWeights, now: Duration) -> bool {
    let mut changed = false;
    for priority in &hosts.priorities {
        let reported = |host: &Arc<super::Host>| host.ledger.as_ref()?.weight.valid(config, now);
        let reported: Vec<Option<u32>> = priority.all.iter().map(reported).collect();
        let default = weight::default(reported.iter().flatten().copied().collect());
        for (host, weight) in priority.all.iter().zip(reported) {
            changed |= host.set_weight(weight.unwrap_or(default));
        }
    }
    changed
}
