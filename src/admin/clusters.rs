//! `/clusters`: the clusters in force, their circuit breakers and hosts.

use std::fmt::Write;
use std::iter::Peekable;

use bytes::Bytes;
use serde_json::{Value, json};

use super::listeners::address;
use super::reply::indented;
use super::{ClusterStatus, HostStatus, Reply, Request, Thresholds, pattern};

/// In text or, with `format=json`, as `envoy.admin.v3.Clusters`.
pub(super) fn clusters(request: &Request<'_>) -> Reply {
    let filter = match request.query.value("filter").map(pattern::compile).transpose() {
        Ok(filter) => filter,
        Err(_) => return Reply::text(400, "Invalid re2 regex"),
    };
    let wanted =
        move |cluster: &ClusterStatus| filter.as_ref().is_none_or(|filter| filter.is_match(&cluster.name));
    let clusters = request.admin.program.clusters().filter(wanted);
    match request.query.get("format") {
        Some("json") => {
            Reply::json_pieces(JsonPieces { clusters: clusters.peekable(), begun: false, ended: false })
        }
        _ => Reply::text_pieces(clusters.map(|cluster| Bytes::from(text(&cluster)))),
    }
}

/// `envoy.admin.v3.Clusters`, a cluster at a time.
struct JsonPieces<I: Iterator<Item = ClusterStatus>> {
    clusters: Peekable<I>,
    begun: bool,
    ended: bool,
}

impl<I: Iterator<Item = ClusterStatus>> Iterator for JsonPieces<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if let Some(cluster) = self.clusters.next() {
            let opening =
                if std::mem::replace(&mut self.begun, true) { "" } else { "{\n \"cluster_statuses\": [\n" };
            let comma = if self.clusters.peek().is_some() { "," } else { "" };
            return Some(format!("{opening}  {}{comma}\n", indented(&json_status(&cluster), 2)).into());
        }
        let closing = if self.begun { " ]\n}\n" } else { "{}\n" };
        (!std::mem::replace(&mut self.ended, true)).then(|| closing.into())
    }
}

fn text(cluster: &ClusterStatus) -> String {
    let mut text = String::new();
    let name = &cluster.name;
    let mut line = |rest: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        writeln!(text, "{name}::{rest}").unwrap_or_default();
    };
    line(format_args!("observability_name::{}", cluster.observability_name));
    if let Some(outlier) = &cluster.outlier {
        line(format_args!("outlier::success_rate_average::{}", general(outlier.average)));
        line(format_args!("outlier::success_rate_ejection_threshold::{}", general(outlier.threshold)));
        let (average, threshold) = (outlier.local_origin_average, outlier.local_origin_threshold);
        line(format_args!("outlier::local_origin_success_rate_average::{}", general(average)));
        line(format_args!("outlier::local_origin_success_rate_ejection_threshold::{}", general(threshold)));
    }
    for (priority, limits) in [("default", &cluster.default_priority), ("high", &cluster.high_priority)] {
        line(format_args!("{priority}_priority::max_connections::{}", limits.max_connections));
        line(format_args!("{priority}_priority::max_pending_requests::{}", limits.max_pending_requests));
        line(format_args!("{priority}_priority::max_requests::{}", limits.max_requests));
        line(format_args!("{priority}_priority::max_retries::{}", limits.max_retries));
    }
    line(format_args!("added_via_api::{}", cluster.added_via_api));
    if !cluster.eds_service_name.is_empty() {
        line(format_args!("eds_service_name::{}", cluster.eds_service_name));
    }
    for host in &cluster.hosts {
        let at = &host.address;
        for (stat, value) in &host.stats {
            line(format_args!("{at}::{stat}::{value}"));
        }
        let flags = if host.health_flags.is_empty() { "healthy" } else { &host.health_flags.concat() };
        let (region, zone, sub_zone) = &host.locality;
        line(format_args!("{at}::hostname::{}", host.hostname));
        line(format_args!("{at}::health_flags::{flags}"));
        line(format_args!("{at}::weight::{}", host.weight));
        line(format_args!("{at}::region::{region}"));
        line(format_args!("{at}::zone::{zone}"));
        line(format_args!("{at}::sub_zone::{sub_zone}"));
        line(format_args!("{at}::canary::{}", host.canary));
        line(format_args!("{at}::priority::{}", host.priority));
        line(format_args!("{at}::success_rate::{}", host.success_rate.unwrap_or(-1.0)));
        let local = host.local_origin_success_rate.unwrap_or(-1.0);
        line(format_args!("{at}::local_origin_success_rate::{local}"));
    }
    text
}

/// `envoy.admin.v3.ClusterStatus`; fields with default values are left out, as in Envoy.
fn json_status(cluster: &ClusterStatus) -> Value {
    let mut status = json!({ "name": cluster.name });
    if cluster.added_via_api {
        status["added_via_api"] = true.into();
    }
    let thresholds_found = cluster.outlier.map(|outlier| (outlier.threshold, outlier.local_origin_threshold));
    let (threshold, local_threshold) = thresholds_found.unwrap_or_default();
    if threshold > 0.0 {
        status["success_rate_ejection_threshold"] = percent(threshold);
    }
    if !cluster.hosts.is_empty() {
        status["host_statuses"] = cluster.hosts.iter().map(json_host).collect();
    }
    if local_threshold > 0.0 {
        status["local_origin_success_rate_ejection_threshold"] = percent(local_threshold);
    }
    status["circuit_breakers"] = json!({ "thresholds": [
        thresholds(None, &cluster.default_priority),
        thresholds(Some("HIGH"), &cluster.high_priority),
    ] });
    status["observability_name"] = cluster.observability_name.as_str().into();
    if !cluster.eds_service_name.is_empty() {
        status["eds_service_name"] = cluster.eds_service_name.as_str().into();
    }
    status
}

fn thresholds(priority: Option<&str>, limits: &Thresholds) -> Value {
    let mut message = json!({});
    if let Some(priority) = priority {
        message["priority"] = priority.into();
    }
    message["max_connections"] = limits.max_connections.into();
    message["max_pending_requests"] = limits.max_pending_requests.into();
    message["max_requests"] = limits.max_requests.into();
    message["max_retries"] = limits.max_retries.into();
    message
}

fn json_host(host: &HostStatus) -> Value {
    let is_gauge = |stat: &str| stat.ends_with("_active");
    let (gauges, counters): (Vec<_>, Vec<_>) = host.stats.iter().partition(|(stat, _)| is_gauge(stat));
    let stat = |(name, value): &(&str, u64)| {
        let mut message = json!({});
        if is_gauge(name) {
            message["type"] = "GAUGE".into();
        }
        if *value > 0 {
            message["value"] = value.to_string().into();
        }
        message["name"] = (*name).into();
        message
    };
    let mut status = json!({ "address": address(&host.parts) });
    status["stats"] = counters.iter().chain(&gauges).map(stat).collect();
    status["health_status"] = health_status(host);
    if let Some(rate) = host.success_rate {
        status["success_rate"] = percent(rate);
    }
    status["weight"] = host.weight.into();
    if !host.hostname.is_empty() {
        status["hostname"] = host.hostname.as_str().into();
    }
    if host.priority > 0 {
        status["priority"] = host.priority.into();
    }
    if let Some(rate) = host.local_origin_success_rate {
        status["local_origin_success_rate"] = percent(rate);
    }
    status["locality"] = locality(&host.locality);
    status
}

fn health_status(host: &HostStatus) -> Value {
    // In the order of the API, in which the health by EDS is the third.
    const BEFORE_EDS: [(&str, &str); 2] = [
        ("/failed_active_hc", "failed_active_health_check"),
        ("/failed_outlier_check", "failed_outlier_check"),
    ];
    const AFTER_EDS: [(&str, &str); 6] = [
        ("/degraded_active_hc", "failed_active_degraded_check"),
        ("/pending_dynamic_removal", "pending_dynamic_removal"),
        ("/pending_active_hc", "pending_active_hc"),
        ("/excluded_via_immediate_hc_fail", "excluded_via_immediate_hc_fail"),
        ("/active_hc_timeout", "active_hc_timeout"),
        ("/degraded_outlier_detection", "failed_degraded_outlier_detection"),
    ];
    let is_set = |flag: &str| host.health_flags.contains(&flag);
    let mut status = json!({});
    for (_, name) in BEFORE_EDS.into_iter().filter(|(flag, _)| is_set(flag)) {
        status[name] = true.into();
    }
    status["eds_health_status"] = host.eds_health_status.into();
    for (_, name) in AFTER_EDS.into_iter().filter(|(flag, _)| is_set(flag)) {
        status[name] = true.into();
    }
    status
}

/// `envoy.type.v3.Percent`, in which zero is nothing.
fn percent(value: f64) -> Value {
    if value == 0.0 { json!({}) } else { json!({ "value": number(value) }) }
}

/// A whole number without a fraction, as protobuf writes it.
fn number(value: f64) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or_default()
}

/// A number with six digits that count, as C's `%g` writes it.
fn general(value: f64) -> String {
    let digits_before = if value.abs() < 1.0 { 1.0 } else { value.abs().log10().floor() + 1.0 };
    let text = format!("{value:.*}", (6.0 - digits_before).max(0.0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn locality((region, zone, sub_zone): &(String, String, String)) -> Value {
    let mut message = json!({});
    for (name, value) in [("region", region), ("zone", zone), ("sub_zone", sub_zone)] {
        if !value.is_empty() {
            message[name] = value.as_str().into();
        }
    }
    message
}
