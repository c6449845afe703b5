//! What hosts report of themselves: the Open Request Cost Aggregation of xDS, in headers or trailers of responses.
//!
//! A cluster asks for it by a policy that weighs its hosts by it (`client_side_weighted_round_robin`) or chooses among
//! their localities (`load_aware_locality`), or by metrics that reports of load tell (`lrs_report_endpoint_metrics`). Then each of its hosts has a [`Ledger`], in which workers note
//! what they hear; on the control thread [`run`] makes weights and shares of it, and the load reporter takes the metrics.
//!
//! Hosts may be asked for reports beside their responses too: [`Streams`].
//!
//! - `report`: a report and what its headers say; `text`: the form that is none of protobuf's;
//! - `out_of_band`: reports that hosts are asked for;
//! - `weight`: what weights come of it; `utilization`: how busy it says that hosts are; `metrics`: what the load reporter is told; `run`: the task of a cluster.

mod metrics;
mod out_of_band;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod text;
mod utilization;
mod weight;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use metrics::{Metric, Metrics};
pub use out_of_band::Streams;
pub use report::Report;
pub use run::run;

use super::HostSet;
use super::lb::subset::Index;
use crate::config;
use metrics::Collected;
use utilization::Utilization;
use weight::Reported;

/// What one host reported.
#[derive(Debug)]
pub struct Ledger {
    config: Arc<config::Cluster>,
    weight: Reported,
    utilization: Utilization,
    metrics: Collected,
}

impl Ledger {
    /// For a host of a cluster that asks for any of it.
    pub(super) fn new(config: &Arc<config::Cluster>) -> Option<Box<Self>> {
        let asks = config.lb.asks_for_reports() || !config.reported_metrics.is_empty();
        asks.then(|| {
            let (weight, utilization, metrics) = Default::default();
            Box::new(Ledger { config: Arc::clone(config), weight, utilization, metrics })
        })
    }

    /// Notes a report that came so long into the cluster's life.
    pub fn note(&self, report: &Report, now: Duration) {
        if !self.config.reported_metrics.is_empty() {
            self.metrics.add(&self.config.reported_metrics, report);
        }
        self.note_told(report, now);
    }

    /// Notes one that the host was asked for; whether it says a weight where it should. As in Envoy reports of load tell none
    /// of its metrics.
    pub(super) fn note_told(&self, report: &Report, now: Duration) -> bool {
        if let Some(config) = &self.config.lb.load_aware {
            self.utilization.note(utilization::of(report, &config.utilization_metrics), now);
        }
        let Some(config) = &self.config.lb.client_side else { return true };
        let weight = weight::of(report, config);
        if let Some(weight) = weight {
            self.weight.note(weight, now);
        }
        weight.is_some()
    }

    /// How busy the host was by its last report so long into the cluster's life, where that still counts.
    pub(super) fn utilization(&self, now: Duration) -> Option<f64> {
        let config = self.config.lb.load_aware.as_ref()?;
        self.utilization.valid(config.weight_expiration_period, now)
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
///
/// A host that has reported none gets the median of those of its subset that have, or else of its priority.
pub(super) fn weigh(
    hosts: &HostSet,
    subsets: Option<&Index>,
    config: &config::cluster::ClientSideWeights,
    now: Duration,
) -> bool {
    let reported = |host: &Arc<super::Host>| host.ledger.as_ref()?.weight.valid(config, now);
    let of_subsets = subsets.map(|subsets| defaults(subsets, reported)).unwrap_or_default();
    let mut changed = false;
    for priority in &hosts.priorities {
        let reported: Vec<Option<u32>> = priority.all.iter().map(reported).collect();
        let default = weight::default(reported.iter().flatten().copied().collect());
        for (host, weight) in priority.all.iter().zip(reported) {
            let default = || of_subsets.get(&host.id).copied().unwrap_or(default);
            changed |= host.set_weight(weight.unwrap_or_else(default));
        }
    }
    changed
}

/// The weights of hosts in whose subset others have reported some: of several subsets the first that there was.
fn defaults(subsets: &Index, reported: impl Fn(&Arc<super::Host>) -> Option<u32>) -> HashMap<u64, u32> {
    let mut defaults = HashMap::new();
    for hosts in subsets.sets() {
        for priority in &hosts.priorities {
            let weights: Vec<u32> = priority.all.iter().filter_map(&reported).collect();
            if !weights.is_empty() {
                let default = weight::default(weights);
                priority.all.iter().for_each(|host| {
                    defaults.entry(host.id).or_insert(default);
                });
            }
        }
    }
    defaults
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}
