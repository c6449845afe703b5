//! Clusters and hosts in force, as `/clusters` and `/config_dump` show them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::admin::{ClusterStatus, HostStatus, OutlierStatus, Thresholds};
use crate::config::address::Address;
use crate::config::cluster::{self, Discovery};
use crate::config::endpoint::HealthStatus;
use crate::upstream::host::health_flag;
use crate::upstream::outlier::{Origin, Watch};
use crate::upstream::{Cluster, Host};

fn thresholds(limits: &cluster::Thresholds) -> Thresholds {
    Thresholds {
        max_connections: limits.max_connections,
        max_pending_requests: limits.max_pending_requests,
        max_requests: limits.max_requests,
        max_retries: limits.max_retries,
    }
}

/// A line or an element of `/clusters`.
pub(super) fn cluster_status(cluster: &Cluster, added_via_api: bool) -> ClusterStatus {
    let config = &cluster.config;
    let eds_service_name = match &config.discovery {
        Discovery::Eds { service_name, .. } if *service_name != config.name => service_name.clone(),
        _ => String::new(),
    };
    ClusterStatus {
        name: config.name.clone(),
        observability_name: config.alt_stat_name.clone().unwrap_or_else(|| config.name.clone()),
        added_via_api,
        default_priority: thresholds(&config.circuit_breakers.default),
        high_priority: thresholds(&config.circuit_breakers.high),
        outlier: cluster.outlier.as_ref().map(outlier_status),
        hosts: cluster.hosts().iter().map(|host| host_status(host)).collect(),
        eds_service_name,
    }
}

fn outlier_status(watch: &Watch) -> OutlierStatus {
    let [external, local] = Origin::ALL.map(|origin| watch.rates(origin));
    OutlierStatus {
        average: external.average,
        threshold: external.threshold,
        local_origin_average: local.average,
        local_origin_threshold: local.threshold,
    }
}

fn host_status(host: &Host) -> HostStatus {
    let rate = |origin| host.outlier.as_ref().map(|monitor| monitor.success_rate(origin));
    let [success_rate, local_origin_success_rate] =
        Origin::ALL.map(|origin| rate(origin).filter(|rate| *rate >= 0.0));
    let stats = &host.stats;
    let short = |number: &AtomicU32| u64::from(number.load(Ordering::Relaxed));
    let long = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let flags = host.health_flags();
    HostStatus {
        address: host.address_text.to_string(),
        parts: (&host.address).into(),
        hostname: host.hostname.to_string(),
        stats: vec![
            ("cx_active", short(&stats.cx_active)),
            ("cx_connect_fail", long(&stats.cx_connect_fail)),
            ("cx_total", long(&stats.cx_total)),
            ("rq_active", short(&stats.rq_active)),
            ("rq_error", long(&stats.rq_error)),
            ("rq_pending_active", short(&stats.rq_pending_active)),
            ("rq_success", long(&stats.rq_success)),
            ("rq_timeout", long(&stats.rq_timeout)),
            ("rq_total", long(&stats.rq_total)),
        ],
        health_flags: health_flag::NAMES
            .iter()
            .filter(|(flag, _)| flags & flag != 0)
            .map(|(_, name)| *name)
            .collect(),
        success_rate,
        local_origin_success_rate,
        eds_health_status: eds_health(flags),
        weight: host.weight(),
        locality: (host.locality.region.clone(), host.locality.zone.clone(), host.locality.sub_zone.clone()),
        priority: host.priority(),
        canary: host.is_canary(),
    }
}

fn eds_health(flags: u32) -> &'static str {
    let status = match flags {
        flags if flags & health_flag::EDS_STATUS_DRAINING != 0 => HealthStatus::Draining,
        flags if flags & health_flag::FAILED_EDS_HEALTH != 0 => HealthStatus::Unhealthy,
        flags if flags & health_flag::DEGRADED_EDS_HEALTH != 0 => HealthStatus::Degraded,
        _ => HealthStatus::Healthy,
    };
    match status {
        HealthStatus::Draining => "DRAINING",
        HealthStatus::Unhealthy | HealthStatus::Timeout => "UNHEALTHY",
        HealthStatus::Degraded => "DEGRADED",
        HealthStatus::Healthy | HealthStatus::Unknown => "HEALTHY",
    }
}

/// The hosts of a cluster as `envoy.config.endpoint.v3.ClusterLoadAssignment`, with the defaults that Envoy fills in.
pub(super) fn load_assignment(cluster: &Cluster) -> Value {
    let hosts = cluster.hosts();
    let mut groups: BTreeMap<_, Vec<&Arc<Host>>> = BTreeMap::new();
    for host in hosts.iter() {
        let locality = &host.locality;
        let key = (host.priority(), &locality.region, &locality.zone, &locality.sub_zone);
        groups.entry(key).or_default().push(host);
    }
    let weight = |host: &Host| {
        let localities = hosts.priorities.iter().flat_map(|priority| priority.localities.iter());
        localities.clone().find(|group| *group.locality == *host.locality).map_or(0, |group| group.weight)
    };
    let endpoints: Vec<Value> = groups
        .into_iter()
        .map(|((priority, region, zone, sub_zone), hosts)| {
            let mut group = json!({ "locality": locality(region, zone, sub_zone) });
            group["lb_endpoints"] = hosts.iter().map(|host| endpoint(cluster, host)).collect();
            if !matches!(cluster.config.discovery, Discovery::OriginalDst(_)) {
                group["load_balancing_weight"] = hosts.first().map_or(0, |host| weight(host)).into();
            }
            if priority > 0 {
                group["priority"] = priority.into();
            }
            group
        })
        .collect();
    let mut assignment = json!({ "cluster_name": service_name(cluster) });
    if !endpoints.is_empty() {
        assignment["endpoints"] = endpoints.into();
    }
    assignment["policy"] = json!({ "overprovisioning_factor": hosts.overprovisioning_factor });
    assignment
}

/// The name under which a cluster's endpoints are known.
pub(super) fn service_name(cluster: &Cluster) -> &str {
    match &cluster.config.discovery {
        Discovery::Eds { service_name, .. } if !service_name.is_empty() => service_name,
        _ => &cluster.name,
    }
}

fn endpoint(cluster: &Cluster, host: &Host) -> Value {
    let mut endpoint = json!({ "address": address(&host.address), "health_check_config": {} });
    if !host.hostname.is_empty() {
        endpoint["hostname"] = (*host.hostname).into();
    }
    let mut shown = json!({ "endpoint": endpoint, "health_status": eds_health(host.health_flags()) });
    let discovery = &cluster.config.discovery;
    if discovery.resolves_names() || matches!(discovery, Discovery::DynamicForwardProxy(_)) {
        shown["metadata"] = json!({});
    }
    shown["load_balancing_weight"] = host.weight().into();
    shown
}

fn address(address: &Address) -> Value {
    match address {
        Address::Ip(address) => {
            json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
        }
        Address::Name { host, port } => json!({ "socket_address": { "address": host, "port_value": port } }),
        Address::Pipe { path, .. } => json!({ "pipe": { "path": path } }),
        Address::Internal { listener, endpoint_id } => {
            let mut shown = json!({ "server_listener_name": listener });
            if !endpoint_id.is_empty() {
                shown["endpoint_id"] = endpoint_id.as_str().into();
            }
            json!({ "envoy_internal_address": shown })
        }
    }
}

fn locality(region: &str, zone: &str, sub_zone: &str) -> Value {
    let mut message = json!({});
    for (name, value) in [("region", region), ("zone", zone), ("sub_zone", sub_zone)] {
        if !value.is_empty() {
            message[name] = value.into();
        }
    }
    message
}
