//! The event log: `envoy.data.core.v3.HealthCheckEvent` in JSON, a line each.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::session::{Event, Failure};
use crate::config::address::Address;
use crate::config::cluster::Checker;
use crate::observability::access_log::Sink;
use crate::observability::timestamp;
use crate::upstream::{Cluster, Host};

/// A line about a host; its fields in the order of the API, with all that is zero, as Envoy writes it.
pub(super) fn write(sinks: &[Sink], cluster: &Cluster, checker: &Checker, host: &Host, event: Event) {
    if sinks.is_empty() {
        return;
    }
    let mut line = Map::new();
    let kind = match checker {
        Checker::Http(_) => "HTTP",
        Checker::Grpc(_) => "GRPC",
        Checker::Tcp { .. } => "TCP",
        Checker::Redis(_) => "REDIS",
        Checker::Thrift(_) => "THRIFT",
        Checker::Udp { .. } => "UDP",
    };
    line.insert("health_checker_type".to_owned(), kind.into());
    line.insert("host".to_owned(), address(&host.address));
    line.insert("cluster_name".to_owned(), cluster.config.name.as_str().into());
    let (name, details, number) = described(event, matches!(checker, Checker::Http(_)));
    let mut details = Some(details);
    let mut tell = |line: &mut Map<String, Value>, from: u32, to: u32| {
        if (from..to).contains(&number) {
            line.insert(name.to_owned(), details.take().unwrap_or_default());
        }
    };
    tell(&mut line, 0, 6);
    line.insert("timestamp".to_owned(), timestamp::millisecond(SystemTime::now()).into());
    tell(&mut line, 6, 10);
    if let Some(metadata) = host.metadata() {
        let metadata = json!({ "filter_metadata": metadata.filter_metadata, "typed_filter_metadata": {} });
        line.insert("metadata".to_owned(), metadata);
    }
    let locality = &host.locality;
    let locality = json!({ "region": locality.region, "zone": locality.zone, "sub_zone": locality.sub_zone });
    line.insert("locality".to_owned(), locality);
    tell(&mut line, 10, u32::MAX);
    let line = Value::Object(line).to_string();
    for sink in sinks {
        sink.append(|text| {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        });
    }
}

/// The name of an event's field, what it says, and the number by which fields are sorted.
fn described(event: Event, is_http: bool) -> (&'static str, Value, u32) {
    let status = |failure: Failure| match failure {
        Failure::Active { status, .. } if is_http => status,
        _ => 0,
    };
    match event {
        Event::EjectUnhealthy(failure) => {
            let details = json!({ "failure_type": kind(failure), "http_status_code": status(failure) });
            ("eject_unhealthy_event", details, 4)
        }
        Event::AddHealthy { first_check } => ("add_healthy_event", json!({ "first_check": first_check }), 5),
        Event::Failure { failure, first_check } => {
            let details = json!({
                "failure_type": kind(failure), "first_check": first_check, "http_status_code": status(failure),
            });
            ("health_check_failure_event", details, 7)
        }
        Event::Degraded => ("degraded_healthy_host", json!({}), 8),
        Event::NoLongerDegraded => ("no_longer_degraded_host", json!({}), 9),
        Event::Successful => ("successful_health_check_event", json!({}), 12),
    }
}

fn kind(failure: Failure) -> &'static str {
    match failure {
        Failure::Active { .. } => "ACTIVE",
        Failure::Passive => "PASSIVE",
        Failure::Network => "NETWORK",
        Failure::Timeout => "NETWORK_TIMEOUT",
    }
}

fn address(address: &Address) -> Value {
    let socket = |address: String, port: u16| {
        json!({ "socket_address": {
            "protocol": "TCP", "address": address, "port_value": port, "resolver_name": "",
            "ipv4_compat": false, "network_namespace_filepath": "",
        } })
    };
    match address {
        Address::Ip(address) => socket(address.ip().to_string(), address.port()),
        Address::Name { host, port } => socket(host.clone(), *port),
        Address::Pipe { path, .. } => json!({ "pipe": { "path": path, "mode": 0 } }),
        Address::Internal { listener, endpoint_id } => {
            json!({ "envoy_internal_address": { "server_listener_name": listener, "endpoint_id": endpoint_id } })
        }
    }
}
