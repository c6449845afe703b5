//! Whom a cluster talks to, and how sure of it it is.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use tls::common_tls_context::ValidationContextType as Validation;

use super::set::{self, Set};
use crate::check::finding::Finding;

/// Where TLS is spoken.
const HTTPS: u32 = 443;

/// A plain connection to port 443 is most likely a transport socket forgotten.
pub(super) fn cleartext_upstream(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for cluster in &set.clusters {
        let plain =
            cluster.message.transport_socket.is_none() && cluster.message.transport_socket_matches.is_empty();
        if plain && addresses(&cluster.message).any(|address| port(address) == Some(HTTPS)) {
            let reason =
                "its hosts listen at port 443, and it speaks without TLS: there is no transport_socket";
            findings.push(cluster.warning("cleartext-upstream", "", reason.to_owned()));
        }
    }
}

/// Encryption towards nobody in particular is open to whoever is in between.
pub(super) fn unverified_peer(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for cluster in &set.clusters {
        let Some(socket) = &cluster.message.transport_socket else { continue };
        let Some(context) = set::socket::<tls::UpstreamTlsContext>(socket) else { continue };
        if let Some(reason) = gap(&context) {
            let path = "transport_socket.typed_config";
            findings.push(cluster.warning("unverified-peer", path, reason.to_owned()));
        }
    }
}

/// What is missing for knowing the peer.
fn gap(context: &tls::UpstreamTlsContext) -> Option<&'static str> {
    let by_name = context.auto_sni_san_validation;
    let validation =
        context.common_tls_context.as_ref().and_then(|common| common.validation_context_type.as_ref());
    let own = match validation {
        None => return Some("any certificate is taken: there is no validation context"),
        Some(Validation::ValidationContext(own)) => own,
        Some(Validation::CombinedValidationContext(combined)) => match &combined.default_validation_context {
            Some(own) if !names_peer(own) && !by_name => return Some(NO_NAME),
            _ => return None,
        },
        // What it holds comes from elsewhere.
        Some(_) => return None,
    };
    let has_roots = own.trusted_ca.is_some() || own.system_root_certs.is_some();
    let pinned = !own.verify_certificate_spki.is_empty() || !own.verify_certificate_hash.is_empty();
    if own.custom_validator_config.is_some() || pinned {
        return None;
    }
    if !has_roots {
        return Some("any certificate is taken: the validation context trusts no authority in particular");
    }
    (!names_peer(own) && !by_name).then_some(NO_NAME)
}

const NO_NAME: &str = "any certificate of a trusted authority is taken, whoever it names: there is neither \
                       match_typed_subject_alt_names nor auto_sni_san_validation";

fn names_peer(context: &tls::CertificateValidationContext) -> bool {
    #[expect(deprecated, reason = "older forms are still in use")]
    let older = !context.match_subject_alt_names.is_empty();
    older || !context.match_typed_subject_alt_names.is_empty()
}

fn addresses(cluster: &Cluster) -> impl Iterator<Item = &SocketAddress> {
    let localities = cluster.load_assignment.iter().flat_map(|assignment| &assignment.endpoints);
    localities.flat_map(|locality| &locality.lb_endpoints).filter_map(|endpoint| {
        let Some(HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier else { return None };
        match endpoint.address.as_ref()?.address.as_ref()? {
            Address::SocketAddress(address) => Some(address),
            _ => None,
        }
    })
}

fn port(address: &SocketAddress) -> Option<u32> {
    match address.port_specifier {
        Some(PortSpecifier::PortValue(port)) => Some(port),
        _ => None,
    }
}
