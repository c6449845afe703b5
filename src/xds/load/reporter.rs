//! What a load report says: what happened since the one before.
//!
//! The counts of hosts only grow. What was told of them stands here, so that a report says the difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_stats::DroppedRequests;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterStats, EndpointLoadMetricStats, UpstreamEndpointStats, UpstreamLocalityStats,
};
use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsResponse;
use envoy_types::pb::google::protobuf as pb;

use crate::config::address::Address;
use crate::config::cluster::Discovery;
use crate::config::endpoint::Locality;
use crate::upstream::host_set::Hosts;
use crate::upstream::manager::Clusters;
use crate::upstream::orca::Metrics;
use crate::upstream::{Cluster, Host};

/// What a server wants to know, and what it was told.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    wanted: Option<LoadStatsResponse>,
    /// The clusters that are reported, and since when.
    since: BTreeMap<String, Instant>,
    /// What was told of hosts, by their ids.
    hosts: HashMap<u64, Counts>,
    /// What was told of dropped requests, by the ids of clusters.
    drops: HashMap<u64, Drops>,
}

/// Requests to a host.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    success: u64,
    error: u64,
    issued: u64,
    active: u64,
}

/// Requests that were not sent to any host.
#[derive(Clone, Copy, Debug, Default)]
struct Drops {
    all: u64,
    by_policy: u64,
}

impl Reporter {
    /// How often the server wants a report; `None` before it said so, or where it makes no sense.
    pub(super) fn interval(&self) -> Option<Duration> {
        let interval = self.wanted.as_ref()?.load_reporting_interval.unwrap_or_default();
        let seconds = u64::try_from(interval.seconds).ok()?;
        Some(Duration::new(seconds, u32::try_from(interval.nanos).unwrap_or(0)))
    }

    /// Takes what the server wants to know from now on. Of clusters that it wanted to know about before nothing is lost.
    pub(super) fn ask(&mut self, wanted: LoadStatsResponse, clusters: &Clusters, now: Instant) {
        self.wanted = Some(wanted);
        self.begin(clusters, now);
    }

    /// What happened since the last report.
    pub(super) fn report(&mut self, clusters: &Clusters, now: Instant) -> Vec<ClusterStats> {
        let by_endpoint = self.wanted.as_ref().is_some_and(|wanted| wanted.report_endpoint_granularity);
        let known: Vec<_> = self
            .since
            .iter()
            .filter_map(|(name, since)| Some((clusters.get(name.as_str())?, *since)))
            .collect();
        let (mut hosts, mut drops) = (HashMap::new(), HashMap::new());
        let mut reports = Vec::with_capacity(known.len());
        for (cluster, since) in known {
            let mut told = Told { before: &self.hosts, after: &mut hosts, by_endpoint };
            let dropped = Drops::of(cluster);
            let before = self.drops.get(&cluster.id).copied().unwrap_or_default();
            drops.insert(cluster.id, dropped);
            reports.push(ClusterStats {
                cluster_name: cluster.name.to_string(),
                cluster_service_name: service_name(cluster),
                upstream_locality_stats: told.localities(cluster),
                total_dropped_requests: dropped.all - before.all,
                dropped_requests: by_category(cluster, dropped.by_policy - before.by_policy),
                load_report_interval: Some(duration(now.saturating_duration_since(since))),
            });
            self.since.insert(cluster.name.to_string(), now);
        }
        (self.hosts, self.drops) = (hosts, drops);
        self.begin(clusters, now);
        reports
    }

    /// Settles which clusters the next report is about. What happened to one that is new is left out.
    fn begin(&mut self, clusters: &Clusters, now: Instant) {
        let Some(wanted) = &self.wanted else { return };
        let names: BTreeSet<String> = match wanted.send_all_clusters {
            true => clusters.keys().map(|name| name.to_string()).collect(),
            false => wanted.clusters.iter().cloned().collect(),
        };
        let before = std::mem::take(&mut self.since);
        for name in names {
            let since = before.get(&name).copied();
            if since.is_none()
                && let Some(cluster) = clusters.get(name.as_str())
            {
                self.forget(cluster);
            }
            self.since.insert(name, since.unwrap_or(now));
        }
    }

    fn forget(&mut self, cluster: &Cluster) {
        self.drops.insert(cluster.id, Drops::of(cluster));
        self.hosts.extend(cluster.hosts().iter().map(|host| (host.id, Counts::of(host))));
        cluster.hosts().iter().filter_map(|host| host.ledger.as_ref()).for_each(|ledger| {
            ledger.take_metrics();
        });
    }
}

/// What was told before, and what is told now.
struct Told<'t> {
    before: &'t HashMap<u64, Counts>,
    after: &'t mut HashMap<u64, Counts>,
    by_endpoint: bool,
}

impl Told<'_> {
    fn localities(&mut self, cluster: &Cluster) -> Vec<UpstreamLocalityStats> {
        let mut reports = Vec::new();
        for (priority, level) in (0..).zip(&cluster.hosts().priorities) {
            for (locality, hosts) in by_locality(&level.all) {
                reports.extend(self.locality(locality, priority, &hosts));
            }
        }
        reports
    }

    /// The report of a locality; `None` where nothing happened in it.
    fn locality(
        &mut self,
        locality: &Locality,
        priority: u32,
        hosts: &[&Host],
    ) -> Option<UpstreamLocalityStats> {
        let mut sum = Counts::default();
        let (mut endpoints, mut metrics) = (Vec::new(), Metrics::new());
        for host in hosts {
            let now = Counts::of(host);
            let since = now.since(self.before.get(&host.id).copied().unwrap_or_default());
            self.after.insert(host.id, now);
            sum.add(since);
            if !since.is_any() {
                continue;
            }
            let own = host.ledger.as_ref().map(|ledger| ledger.take_metrics()).unwrap_or_default();
            if self.by_endpoint {
                endpoints.push(endpoint(host, since, &own));
            }
            for (name, metric) in own {
                metrics.entry(name).or_default().add(metric);
            }
        }
        // Envoy tells it only where a request was begun or is in progress, and what else ended is told never.
        sum.is_any().then(|| UpstreamLocalityStats {
            locality: Some(core::Locality {
                region: locality.region.clone(),
                zone: locality.zone.clone(),
                sub_zone: locality.sub_zone.clone(),
            }),
            total_successful_requests: sum.success,
            total_requests_in_progress: sum.active,
            total_error_requests: sum.error,
            total_issued_requests: sum.issued,
            upstream_endpoint_stats: endpoints,
            load_metric_stats: told(&metrics),
            priority,
            ..UpstreamLocalityStats::default()
        })
    }
}

impl Counts {
    fn of(host: &Host) -> Self {
        use std::sync::atomic::Ordering::Relaxed;
        let stats = &host.stats;
        Counts {
            success: stats.rq_success.load(Relaxed),
            error: stats.rq_error.load(Relaxed),
            issued: stats.rq_total.load(Relaxed),
            active: host.active_requests().into(),
        }
    }

    fn since(self, before: Counts) -> Self {
        Counts {
            success: self.success - before.success,
            error: self.error - before.error,
            issued: self.issued - before.issued,
            active: self.active,
        }
    }

    fn add(&mut self, other: Counts) {
        self.success += other.success;
        self.error += other.error;
        self.issued += other.issued;
        self.active += other.active;
    }

    fn is_any(self) -> bool {
        self.success + self.error + self.issued + self.active > 0
    }
}

impl Drops {
    fn of(cluster: &Cluster) -> Self {
        Drops { all: cluster.drops.all(), by_policy: cluster.drops.by_policy() }
    }
}

/// The hosts of a priority by their localities, those in order.
fn by_locality(hosts: &Hosts) -> Vec<(&Locality, Vec<&Host>)> {
    let mut groups: Vec<(&Locality, Vec<&Host>)> = Vec::new();
    for host in hosts.iter() {
        match groups.iter_mut().find(|(locality, _)| *locality == &*host.locality) {
            Some((_, group)) => group.push(host),
            None => groups.push((&host.locality, vec![host])),
        }
    }
    groups.sort_by_key(|(locality, _)| (&locality.region, &locality.zone, &locality.sub_zone));
    groups
}

fn told(metrics: &Metrics) -> Vec<EndpointLoadMetricStats> {
    let told = metrics.iter().map(|(name, metric)| EndpointLoadMetricStats {
        metric_name: name.to_string(),
        num_requests_finished_with_metric: metric.count,
        total_metric_value: metric.sum,
    });
    told.collect()
}

fn endpoint(host: &Host, counts: Counts, metrics: &Metrics) -> UpstreamEndpointStats {
    UpstreamEndpointStats {
        address: Some(address(&host.address)),
        total_successful_requests: counts.success,
        total_requests_in_progress: counts.active,
        total_error_requests: counts.error,
        total_issued_requests: counts.issued,
        load_metric_stats: told(metrics),
        ..UpstreamEndpointStats::default()
    }
}

fn address(address: &Address) -> core::Address {
    use core::address::Address as Kind;
    use core::socket_address::PortSpecifier;
    let socket = |address: String, port: u16| {
        let port_specifier = Some(PortSpecifier::PortValue(port.into()));
        Kind::SocketAddress(core::SocketAddress { address, port_specifier, ..core::SocketAddress::default() })
    };
    let kind = match address {
        Address::Ip(address) => socket(address.ip().to_string(), address.port()),
        Address::Name { host, port } => socket(host.to_string(), *port),
        Address::Pipe { path, mode } => {
            let path = path.to_string_lossy().into_owned();
            Kind::Pipe(core::Pipe { path, mode: *mode })
        }
        Address::Internal { listener, endpoint_id } => {
            use core::envoy_internal_address::AddressNameSpecifier::ServerListenerName;
            Kind::EnvoyInternalAddress(core::EnvoyInternalAddress {
                endpoint_id: endpoint_id.clone(),
                address_name_specifier: Some(ServerListenerName(listener.clone())),
            })
        }
    };
    core::Address { address: Some(kind) }
}

/// What EDS is asked for, where that is not the cluster's name.
fn service_name(cluster: &Cluster) -> String {
    match &cluster.config.discovery {
        Discovery::Eds { service_name, .. } if **service_name != *cluster.name => service_name.clone(),
        _ => String::new(),
    }
}

fn by_category(cluster: &Cluster, count: u64) -> Vec<DroppedRequests> {
    let category = || cluster.hosts().drop_category.to_string();
    let dropped = (count > 0).then(|| DroppedRequests { category: category(), dropped_count: count });
    dropped.into_iter().collect()
}

/// As in Envoy in whole microseconds.
fn duration(time: Duration) -> pb::Duration {
    pb::Duration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: (time.subsec_micros() * 1000).cast_signed(),
    }
}

#[cfg(test)]
mod tests;
