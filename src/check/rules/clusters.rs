//! Names of clusters that exist nowhere.

use std::collections::HashSet;

use dragoman_proto::{FieldName, Mention, mentions};
use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;

use super::references::missing;
use super::set::{Located, Set};
use crate::check::finding::{Finding, Severity};
use crate::check::resource::Resource;

const ID: &str = "unknown-cluster";

/// Every field that names a cluster, but for those of what no program of this kind has: other protocols than those served.
const NAMES: [FieldName<'static>; 18] = [
    ("envoy.config.route.v3.RouteAction", "cluster"),
    ("envoy.config.route.v3.RouteAction.RequestMirrorPolicy", "cluster"),
    ("envoy.config.route.v3.WeightedCluster.ClusterWeight", "name"),
    ("envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction", "cluster"),
    ("envoy.extensions.router.cluster_specifiers.priority_group.v3.ClusterWeight", "cluster_name"),
    ("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "cluster"),
    ("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight", "name"),
    ("envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig", "cluster"),
    ("envoy.extensions.filters.udp.udp_proxy.v3.Route", "cluster"),
    ("envoy.extensions.clusters.aggregate.v3.ClusterConfig", "clusters"),
    ("envoy.extensions.clusters.composite.v3.ClusterConfig.ClusterEntry", "name"),
    // Requests to it have faults.
    ("envoy.extensions.filters.http.fault.v3.HTTPFault", "upstream_cluster"),
    // Services that filters call, that take logs and spans, and management servers.
    ("envoy.config.core.v3.GrpcService.EnvoyGrpc", "cluster_name"),
    ("envoy.config.core.v3.HttpUri", "cluster"),
    (MANAGEMENT_SERVER, "cluster_names"),
    ("envoy.config.trace.v3.ZipkinConfig", "collector_cluster"),
    ("envoy.config.trace.v3.DatadogConfig", "collector_cluster"),
    ("envoy.config.trace.v3.LightstepConfig", "collector_cluster"),
];

/// What names a management server: a cluster of the bootstrap, always.
const MANAGEMENT_SERVER: &str = "envoy.config.core.v3.ApiConfigSource";

/// Looks for them.
pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let known: HashSet<&str> = set.clusters.iter().map(|cluster| cluster.message.name.as_str()).collect();
    // A management server may have more of them; when some of what it has is here, all of it is taken to be.
    if known.is_empty() && set.is_dynamic(has_cds) || only_static(set) && set.is_dynamic(has_cds) {
        return;
    }
    for resource in &set.resources {
        for Mention { path, text } in unknown(set, resource, &known) {
            let Some(severity) = severity(set, resource, &path) else { continue };
            let reason = missing("cluster", &text, known.iter().copied());
            let finding = resource.finding(severity, ID, &path, reason);
            // Of some the conversion of the bootstrap says it.
            let is_told = |other: &Finding| other.severity == Severity::Error && other.is_at(&finding);
            if !findings.iter().any(is_told) {
                findings.push(finding);
            }
        }
    }
}

/// What a resource names and is not known.
fn unknown(set: &Set<'_>, resource: &Resource<'_>, known: &HashSet<&str>) -> Vec<Mention> {
    // Without a bootstrap nothing is known of the clusters that it has.
    let skipped = if set.bootstraps.is_empty() { &[MANAGEMENT_SERVER][..] } else { &[] };
    // What cannot be read has findings already.
    let mut found = mentions(&resource.bytes, &resource.message, &NAMES, skipped).unwrap_or_default();
    found.retain(|found| !known.contains(found.text.as_str()));
    found
}

/// How much it weighs that a cluster is missing that stands at this path; `None` where it has been said.
fn severity(set: &Set<'_>, resource: &Resource<'_>, path: &str) -> Option<Severity> {
    match set.routes.iter().find(|table| table.has(resource, path)) {
        // Of the static listeners' own tables the conversion of the bootstrap says it.
        Some(table) if table.is_inline() && table.is_static() && is_checked(table) => None,
        Some(table) if is_checked(table) => Some(Severity::Error),
        Some(_) | None => Some(Severity::Warning),
    }
}

/// Whether a table is refused when a cluster is missing: one inside a listener unless it says otherwise.
fn is_checked(table: &Located<'_, RouteConfiguration>) -> bool {
    table.message.validate_clusters.map_or(table.is_inline(), |validate| validate.value)
}

/// Whether all clusters here are part of a bootstrap.
fn only_static(set: &Set<'_>) -> bool {
    let of_bootstraps =
        set.bootstraps.iter().filter_map(|bootstrap| bootstrap.message.static_resources.as_ref());
    !set.bootstraps.is_empty()
        && of_bootstraps.map(|all| all.clusters.len()).sum::<usize>() == set.clusters.len()
}

fn has_cds(bootstrap: &Bootstrap) -> bool {
    bootstrap
        .dynamic_resources
        .as_ref()
        .is_some_and(|dynamic| dynamic.cds_config.is_some() || !dynamic.cds_resources_locator.is_empty())
}
