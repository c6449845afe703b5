//! Names of route configurations and secrets that exist nowhere.

use std::collections::HashSet;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use hcm::http_connection_manager::RouteSpecifier;
use tls::common_tls_context::ValidationContextType as Validation;

use super::set::{self, Located, Set};
use crate::check::finding::Finding;

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
pub(super) fn missing<'n>(kind: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    match dragoman_proto::nearest(name, known) {
        Some(nearest) => format!("there is no {kind} \"{name}\"; did you mean '{nearest}'?"),
        None => format!("there is no {kind} \"{name}\""),
    }
}
