//! Load reports (LRS): clients tell how many of their requests went where.
//!
//! Envoy has `cluster_manager.load_stats_config` for it. Each report says what happened since the one before; here they are
//! summed up for each client, for as long as the server runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use envoy_types::pb::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};
use serde::Serialize;
use tokio::sync::watch;

/// What clients are asked for.
#[derive(Clone, Copy, Debug)]
pub struct LoadReports {
    /// How often they report.
    pub interval: Duration,
    /// Whether they tell hosts apart.
    pub by_endpoint: bool,
}

/// What all clients told so far.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    by_node: Mutex<BTreeMap<String, NodeLoad>>,
    changed: watch::Sender<()>,
}

/// What one client told: the sums of its reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeLoad {
    /// How many reports came with anything in them.
    pub reports: u64,
    /// By cluster.
    pub clusters: BTreeMap<String, ClusterLoad>,
}

/// Requests to a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClusterLoad {
    /// What its endpoints are asked for by; empty for its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// Requests that were sent to no host.
    pub dropped: u64,
    /// Those of them that `drop_overloads` dropped, by category.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_by_category: BTreeMap<String, u64>,
    /// By locality, as `region/zone/sub_zone`, and priority.
    pub localities: BTreeMap<String, Load>,
    /// By the address of the host, from clients that were asked for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Load>,
    /// What hosts reported of themselves, by the names of the metrics, over all localities.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Metric>,
}

/// A metric that responses told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Metric {
    /// How many responses told it.
    pub count: u64,
    /// All values together.
    pub sum: f64,
}

/// Requests to some hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Requests that were sent.
    pub issued: u64,
    /// Those that were answered well.
    pub successful: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those in progress at the last report.
    pub in_progress: u64,
}

impl Reports {
    /// What each client told, by its `node.id`.
    pub(crate) fn all(&self) -> BTreeMap<String, NodeLoad> {
        self.lock().clone()
    }

    /// Hears of reports from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Adds a report of the client with this `node.id`.
    pub(crate) fn take(&self, node: &str, clusters: Vec<ClusterStats>) {
        if clusters.is_empty() {
            return;
        }
        let mut all = self.lock();
        let load = all.entry(node.to_owned()).or_default();
        load.reports += 1;
        for cluster in clusters {
            load.clusters.entry(cluster.cluster_name.clone()).or_default().add(cluster);
        }
        drop(all);
        self.changed.send_replace(());
    }

    /// A panic elsewhere leaves nothing half done that would matter here.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, NodeLoad>> {
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClusterLoad {
    fn add(&mut self, report: ClusterStats) {
        self.service_name = report.cluster_service_name;
        self.dropped += report.total_dropped_requests;
        for dropped in report.dropped_requests {
            *self.dropped_by_category.entry(dropped.category).or_default() += dropped.dropped_count;
        }
        // What a report does not mention has nothing in progress.
        self.localities.values_mut().chain(self.endpoints.values_mut()).for_each(|load| load.in_progress = 0);
        for locality in report.upstream_locality_stats {
            self.add_locality(locality);
        }
    }

    fn add_locality(&mut self, report: UpstreamLocalityStats) {
        let place = report.locality.unwrap_or_default();
        let key = format!("{}/{}/{} priority {}", place.region, place.zone, place.sub_zone, report.priority);
        self.localities.entry(key).or_default().add(Load {
            issued: report.total_issued_requests,
            successful: report.total_successful_requests,
            failed: report.total_error_requests,
            in_progress: report.total_requests_in_progress,
        });
        for told in report.load_metric_stats {
            let metric = self.metrics.entry(told.metric_name).or_default();
            metric.count += told.num_requests_finished_with_metric;
            metric.sum += told.total_metric_value;
        }
        for endpoint in report.upstream_endpoint_stats {
            let address = endpoint.address.map(|address| shown(&address)).unwrap_or_default();
            self.endpoints.entry(address).or_default().add(Load {
                issued: endpoint.total_issued_requests,
                successful: endpoint.total_successful_requests,
                failed: endpoint.total_error_requests,
                in_progress: endpoint.total_requests_in_progress,
            });
        }
    }
}

impl Load {
    fn add(&mut self, more: Load) {
        self.issued += more.issued;
        self.successful += more.successful;
        self.failed += more.failed;
        self.in_progress = more.in_progress;
    }
}

fn shown(address: &envoy_types::pb::envoy::config::core::v3::Address) -> String {
    use envoy_types::pb::envoy::config::core::v3::address::Address;
    use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
    match &address.address {
        Some(Address::SocketAddress(socket)) => match socket.port_specifier {
            Some(PortSpecifier::PortValue(port)) => format!("{}:{port}", socket.address),
            _ => socket.address.clone(),
        },
        Some(Address::Pipe(pipe)) => pipe.path.clone(),
        _ => String::new(),
    }
}
