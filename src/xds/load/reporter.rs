//! What a load report says: what happened since the one before.
//!
//! The counts of hosts only grow. What was told of them stands here, so that a report says the difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_stats::DroppedRequests;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterStats, UpstreamEndpointStats, UpstreamLocalityStats,
};
use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsResponse;
use envoy_types::pb::google::protobuf as pb;

use crate::config::address::Address;
use crate::config::cluster::Discovery;
use crate::config::endpoint::Locality;
use crate::upstream::host_set::Hosts;
use crate::upstream::manager::Clusters;
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
        let mut endpoints = Vec::new();
        for host in hosts {
            let now = Counts::of(host);
            let since = now.since(self.before.get(&host.id).copied().unwrap_or_default());
            self.after.insert(host.id, now);
            sum.add(since);
            if self.by_endpoint && since.is_any() {
                endpoints.push(endpoint(host, since));
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

fn endpoint(host: &Host, counts: Counts) -> UpstreamEndpointStats {
    UpstreamEndpointStats {
        address: Some(address(&host.address)),
        total_successful_requests: counts.success,
        total_requests_in_progress: counts.active,
        total_error_requests: counts.error,
        total_issued_requests: counts.issued,
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
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    fn wanted(clusters: &[&str], by_endpoint: bool) -> LoadStatsResponse {
        LoadStatsResponse {
            clusters: clusters.iter().map(|name| (*name).to_owned()).collect(),
            load_reporting_interval: Some(pb::Duration { seconds: 2, nanos: 0 }),
            report_endpoint_granularity: by_endpoint,
            send_all_clusters: clusters.is_empty(),
        }
    }

    /// A cluster with hosts in two localities.
    fn clusters() -> (Clusters, Arc<Cluster>) {
        let cluster = ClusterBuilder::new("a")
            .group(0, "west", None, [endpoint(1)])
            .group(0, "east", None, [endpoint(2), endpoint(3)])
            .build();
        ([(Arc::clone(&cluster.name), Arc::clone(&cluster))].into_iter().collect(), cluster)
    }

    fn hosts(cluster: &Cluster) -> Vec<Arc<Host>> {
        cluster.hosts().iter().cloned().collect()
    }

    #[test]
    fn a_report_says_what_happened_since_the_one_before() {
        let (clusters, cluster) = clusters();
        let hosts = hosts(&cluster);
        let (mut reporter, start) = (Reporter::default(), Instant::now());
        drop(hosts[0].begin_request());
        assert!(reporter.report(&clusters, start).is_empty(), "nothing was asked for");
        reporter.ask(wanted(&[], false), &clusters, start);
        assert_eq!(reporter.interval(), Some(Duration::from_secs(2)));
        let active = hosts[1].begin_request();
        drop(hosts[2].begin_request());
        hosts[2].stats.count_response(false);
        cluster.drops.drop_one();
        let later = start + Duration::from_millis(1500);
        let report = reporter.report(&clusters, later).remove(0);
        assert_eq!((report.cluster_name.as_str(), report.total_dropped_requests), ("a", 1));
        assert_eq!(report.load_report_interval, Some(pb::Duration { seconds: 1, nanos: 500_000_000 }));
        let [east] = &report.upstream_locality_stats[..] else { panic!("{report:?}") };
        assert_eq!(east.locality.as_ref().map(|locality| locality.region.as_str()), Some("east"));
        let counts = (east.total_issued_requests, east.total_error_requests, east.total_requests_in_progress);
        assert_eq!(counts, (2, 1, 1));
        hosts[1].stats.count_response(true);
        drop(active);
        let report = reporter.report(&clusters, later).remove(0);
        assert_eq!(report.upstream_locality_stats[0].total_successful_requests, 1, "of one begun before");
        let report = reporter.report(&clusters, later).remove(0);
        assert!(report.upstream_locality_stats.is_empty(), "{report:?}");
        assert_eq!(report.total_dropped_requests, 0);
    }

    #[test]
    fn hosts_are_told_apart_where_that_is_wanted() {
        let (clusters, cluster) = clusters();
        let (mut reporter, start) = (Reporter::default(), Instant::now());
        reporter.ask(wanted(&["a", "b"], true), &clusters, start);
        drop(hosts(&cluster)[2].begin_request());
        let report = reporter.report(&clusters, start).remove(0);
        let endpoints = &report.upstream_locality_stats[0].upstream_endpoint_stats;
        assert_eq!((endpoints.len(), endpoints[0].total_issued_requests), (1, 1));
        assert!(endpoints[0].address.is_some());
    }

    #[test]
    fn what_is_asked_for_again_loses_nothing_and_what_is_new_begins_now() {
        let (clusters, cluster) = clusters();
        let host = hosts(&cluster).remove(0);
        let (mut reporter, start) = (Reporter::default(), Instant::now());
        reporter.ask(wanted(&["a"], false), &clusters, start);
        drop(host.begin_request());
        reporter.ask(wanted(&["a"], false), &clusters, start);
        let report = reporter.report(&clusters, start).remove(0);
        assert_eq!(report.upstream_locality_stats.len(), 1);
        reporter.ask(wanted(&["b"], false), &clusters, start);
        drop(host.begin_request());
        assert!(reporter.report(&clusters, start).is_empty());
        reporter.ask(wanted(&["a"], false), &clusters, start);
        let report = reporter.report(&clusters, start).remove(0);
        assert!(report.upstream_locality_stats.is_empty());
    }
}
