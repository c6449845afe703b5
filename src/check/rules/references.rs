//! Names of resources that exist nowhere.

use std::collections::HashSet;

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{RouteAction, RouteConfiguration};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp_proxy;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use hcm::http_connection_manager::RouteSpecifier;
use tls::common_tls_context::ValidationContextType as Validation;

use super::set::{self, Located, Set};
use crate::check::finding::{Finding, Severity};

/// Clusters that routes and TCP proxies name.
pub(super) fn clusters(set: &Set<'_>, findings: &mut Vec<Finding>) {
    const ID: &str = "unknown-cluster";
    let known: HashSet<&str> = set.clusters.iter().map(|cluster| cluster.message.name.as_str()).collect();
    // A management server may have more of them; when some of what it has is here, all of it is taken to be.
    if known.is_empty() && set.is_dynamic(has_cds) || only_static(set) && set.is_dynamic(has_cds) {
        return;
    }
    let say = |name: &str| missing("cluster", name, known.iter().copied());
    for table in &set.routes {
        // Of the static listeners' own tables the conversion of the bootstrap says it.
        if table.is_inline() && table.is_static() && is_checked(table) {
            continue;
        }
        let severity = if is_checked(table) { Severity::Error } else { Severity::Warning };
        for (route, _) in set::routes_of(table) {
            let Some(Action::Route(action)) = &route.message.action else { continue };
            let unknown = named(action).into_iter().filter(|(_, name)| !known.contains(name));
            findings.extend(unknown.map(|(path, name)| route.finding(severity, ID, &path, say(name))));
        }
    }
    for filter in set.listeners.iter().flat_map(set::filters) {
        let Some(proxy) = set::config::<tcp_proxy::TcpProxy>(&filter) else { continue };
        if let Some(tcp_proxy::tcp_proxy::ClusterSpecifier::Cluster(name)) = &proxy.message.cluster_specifier
            && !known.contains(name.as_str())
        {
            findings.push(proxy.warning(ID, "cluster", say(name)));
        }
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

/// The clusters that an action names, each with its path.
fn named(action: &RouteAction) -> Vec<(String, &str)> {
    let mut named = Vec::new();
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => named.push(("route.cluster".to_owned(), name.as_str())),
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            let clusters =
                weighted.clusters.iter().enumerate().filter(|(_, cluster)| !cluster.name.is_empty());
            named.extend(clusters.map(|(index, cluster)| {
                (format!("route.weighted_clusters.clusters[{index}].name"), cluster.name.as_str())
            }));
        }
        _ => {}
    }
    let mirrors = action.request_mirror_policies.iter().enumerate();
    named.extend(mirrors.filter(|(_, mirror)| !mirror.cluster.is_empty()).map(|(index, mirror)| {
        (format!("route.request_mirror_policies[{index}].cluster"), mirror.cluster.as_str())
    }));
    named
}

/// Route configurations that connection managers ask for.
pub(super) fn route_configurations(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let known: HashSet<&str> = set.routes.iter().map(|routes| routes.message.name.as_str()).collect();
    let asked = |manager: &hcm::HttpConnectionManager| match &manager.route_specifier {
        Some(RouteSpecifier::Rds(rds)) => Some(rds.route_config_name.clone()),
        _ => None,
    };
    // Nothing is known of what the management server has when nothing of it is here.
    if !set
        .managers
        .iter()
        .filter_map(|manager| asked(&manager.message))
        .any(|name| known.contains(name.as_str()))
    {
        return;
    }
    for manager in &set.managers {
        if let Some(name) = asked(&manager.message)
            && !known.contains(name.as_str())
        {
            let reason = missing("route configuration", &name, known.iter().copied());
            findings.push(manager.warning("unknown-route-configuration", "rds.route_config_name", reason));
        }
    }
}

/// Secrets without a source of their own have to stand in the bootstrap.
pub(super) fn secrets(set: &Set<'_>, findings: &mut Vec<Finding>) {
    if set.bootstraps.is_empty() {
        return;
    }
    let known: HashSet<&str> = set.secrets.iter().map(|secret| secret.message.name.as_str()).collect();
    for cluster in &set.clusters {
        let context =
            cluster.message.transport_socket.as_ref().and_then(set::socket::<tls::UpstreamTlsContext>);
        findings.extend(absent(cluster, context.and_then(|context| context.common_tls_context), &known));
    }
    for chain in set.listeners.iter().flat_map(set::filter_chains) {
        let context =
            chain.message.transport_socket.as_ref().and_then(set::socket::<tls::DownstreamTlsContext>);
        findings.extend(absent(&chain, context.and_then(|context| context.common_tls_context), &known));
    }
}

/// The secrets that a context of a cluster or filter chain asks for and that are not known.
fn absent<M>(
    holder: &Located<'_, M>,
    context: Option<tls::CommonTlsContext>,
    known: &HashSet<&str>,
) -> Vec<Finding> {
    let path = "transport_socket.typed_config.common_tls_context";
    let Some(context) = context else { return Vec::new() };
    let absent = asked_of_bootstrap(&context).filter(|config| !known.contains(config.name.as_str()));
    let reasons = absent.map(|config| missing("secret", &config.name, known.iter().copied()));
    reasons.map(|reason| holder.error("unknown-secret", path, reason)).collect()
}

/// The secrets that a context asks for by name alone.
fn asked_of_bootstrap(context: &tls::CommonTlsContext) -> impl Iterator<Item = &tls::SdsSecretConfig> {
    let validation = match &context.validation_context_type {
        Some(Validation::ValidationContextSdsSecretConfig(config)) => Some(config),
        Some(Validation::CombinedValidationContext(combined)) => {
            combined.validation_context_sds_secret_config.as_ref()
        }
        _ => None,
    };
    let certificates = &context.tls_certificate_sds_secret_configs;
    certificates.iter().chain(validation).filter(|config| config.sds_config.is_none())
}

/// `there is no cluster "ap"; did you mean 'app'?`
fn missing<'n>(kind: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    match dragoman_proto::nearest(name, known) {
        Some(nearest) => format!("there is no {kind} \"{name}\"; did you mean '{nearest}'?"),
        None => format!("there is no {kind} \"{name}\""),
    }
}
