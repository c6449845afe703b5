//! How a cluster's hosts are found: `Cluster.type` and `Cluster.cluster_type`.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;

use super::dns::{Dns, Resolving};
use super::kind::{Kind, kind};
use super::{LbPolicy, OriginalDst, SubClusters, dynamic_forward_proxy, original_dst};
use crate::config::address::Address;
use crate::config::dns_cache::DnsCache;
use crate::config::endpoint::LoadAssignment;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::source::ConfigSource;

/// What is said of hosts given as a name where names are not resolved.
const HINT: &str = "Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'";

/// How a cluster's hosts are found: `Cluster.type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// `STATIC`: the hosts of `load_assignment`, all literal addresses.
    Static(LoadAssignment),
    /// `STRICT_DNS`: every address of every name.
    StrictDns(LoadAssignment, Dns),
    /// `LOGICAL_DNS`: one host with all addresses that the name resolves to.
    LogicalDns(LoadAssignment, Dns),
    /// `EDS`
    Eds {
        /// Name of the `ClusterLoadAssignment` to ask for: `service_name`, or else the cluster's name.
        service_name: String,
        /// Where it comes from.
        source: ConfigSource,
    },
    /// `ORIGINAL_DST`: where each request says it goes.
    OriginalDst(OriginalDst),
    /// `envoy.clusters.aggregate`: the hosts of the clusters of these names, the first choice first.
    Aggregate(Box<[String]>),
    /// `envoy.clusters.composite`: a cluster of its own for each attempt of a request, by these names.
    Composite(Box<[String]>),
    /// `envoy.clusters.dynamic_forward_proxy`: the names that requests bring, which this cache holds.
    DynamicForwardProxy(Box<DnsCache>),
    /// The same with a cluster of its own for each of the names.
    SubClusters(Box<SubClusters>),
}

impl Discovery {
    /// Whether other clusters take the requests.
    #[inline]
    pub fn leads_to_others(&self) -> bool {
        matches!(self, Discovery::Composite(_) | Discovery::SubClusters(_))
    }

    /// Whether names are resolved for it.
    pub fn resolves_names(&self) -> bool {
        matches!(self, Discovery::StrictDns(..) | Discovery::LogicalDns(..))
    }

    /// Whether clusters of this kind choose their hosts themselves, and no policy does.
    pub fn provides_hosts(&self) -> bool {
        matches!(
            self,
            Discovery::OriginalDst(_)
                | Discovery::Aggregate(_)
                | Discovery::Composite(_)
                | Discovery::DynamicForwardProxy(_)
                | Discovery::SubClusters(_)
        )
    }
}

/// Fields of a cluster that one kind of discovery or another reads.
pub(super) struct Given {
    pub(super) cluster_discovery_type: Option<v3::cluster::ClusterDiscoveryType>,
    pub(super) eds_cluster_config: Option<v3::cluster::EdsClusterConfig>,
    pub(super) load_assignment: Option<ClusterLoadAssignment>,
}

impl Given {
    /// The discovery of the cluster of this name.
    pub(super) fn read(
        self,
        name: &str,
        dns: Resolving,
        original_dst: original_dst::Given,
        named: dynamic_forward_proxy::Given,
        at: &mut Scope<'_>,
    ) -> Option<Discovery> {
        use v3::cluster::{ClusterDiscoveryType as Specifier, DiscoveryType};
        let has_type_eds = self.cluster_discovery_type == Some(Specifier::Type(DiscoveryType::Eds.into()));
        let kind = kind(self.cluster_discovery_type, dns, named, at)?;
        // As in Envoy `cluster_type` does not make it one, whatever it names: there the factory of EDS has nothing to read.
        if !has_type_eds && self.eds_cluster_config.is_some() {
            at.field("eds_cluster_config").error("eds_cluster_config set in a non-EDS cluster");
        }
        let assigned = self.load_assignment.is_some();
        if !matches!(kind, Kind::OriginalDst(_)) {
            original_dst.ignore(at);
        }
        // A cluster without an assignment has no hosts, as in Envoy.
        let assignment = at.message("load_assignment", self.load_assignment, LoadAssignment::from_proto);
        Some(match kind {
            Kind::Static => {
                let assignment = assignment.unwrap_or_default();
                require_literal_addresses(&assignment, at);
                Discovery::Static(assignment)
            }
            Kind::StrictDns(dns) => Discovery::StrictDns(assignment.unwrap_or_default(), dns),
            Kind::LogicalDns(dns) => {
                let assignment = assignment.unwrap_or_default();
                require_single_endpoint(&assignment, at);
                Discovery::LogicalDns(assignment, dns)
            }
            Kind::Eds => eds(self.eds_cluster_config, name, at)?,
            Kind::OriginalDst(said) => Discovery::OriginalDst(original_dst.read(said, assigned, at)),
            Kind::Made(discovery) => discovery,
        })
    }
}

impl Discovery {
    /// Whether the hosts of a cluster come from a management server, as its message says.
    pub(in crate::config) fn is_eds(cluster: &v3::Cluster) -> bool {
        use v3::cluster::{ClusterDiscoveryType as Specifier, DiscoveryType};
        cluster.cluster_discovery_type == Some(Specifier::Type(DiscoveryType::Eds.into()))
    }
}

/// Whether hosts have the names that requests bring.
pub(super) fn is_named_by_requests(specifier: Option<&v3::cluster::ClusterDiscoveryType>) -> bool {
    use v3::cluster::ClusterDiscoveryType as Specifier;
    let Some(Specifier::ClusterType(custom)) = specifier else { return false };
    custom
        .typed_config
        .as_ref()
        .is_some_and(|any| extension::contained_type(any) == dynamic_forward_proxy::TYPE)
}

/// Notes it where nobody chooses hosts, or where both the cluster and a policy would.
pub(super) fn check_provided(
    name: &str,
    discovery: Option<&Discovery>,
    policy: &LbPolicy,
    at: &mut Scope<'_>,
) {
    let Some(provides) = discovery.map(Discovery::provides_hosts) else { return };
    match (provides, matches!(policy, LbPolicy::ClusterProvided)) {
        (false, true) => at.error(format!(
            "cluster manager: cluster provided LB specified but cluster '{name}' did not provide one. Check cluster \
             documentation."
        )),
        (true, false) => at.error(format!(
            "cluster manager: cluster provided LB not specified but cluster '{name}' provided one. Check cluster \
             documentation."
        )),
        (true, true) | (false, false) => {}
    }
}

fn eds(config: Option<v3::cluster::EdsClusterConfig>, name: &str, at: &mut Scope<'_>) -> Option<Discovery> {
    use v3::cluster::EdsClusterConfig;
    let Some(config) = config else {
        at.error("cannot create an EDS cluster without an EDS config");
        return None;
    };
    let mut at = at.field("eds_cluster_config");
    open! { at, EdsClusterConfig = config; implemented { eds_config, service_name } }
    let Some(eds_config) = eds_config else {
        at.error("cannot create an EDS cluster without an EDS config");
        return None;
    };
    let source = at.message("eds_config", Some(eds_config), ConfigSource::of_known_server)?;
    let service_name = if service_name.is_empty() { name.to_owned() } else { service_name };
    Some(Discovery::Eds { service_name, source })
}

/// Nothing resolves the names of a static cluster.
fn require_literal_addresses(assignment: &LoadAssignment, at: &mut Scope<'_>) {
    let mut at = at.field("load_assignment");
    for (index, locality) in assignment.localities.iter().enumerate() {
        let mut at = at.index("endpoints", index);
        for (index, endpoint) in locality.endpoints.iter().enumerate() {
            if let Address::Name { host, .. } = &endpoint.address {
                at.index("lb_endpoints", index).error(format!("malformed IP address: {host}. {HINT}"));
            }
        }
    }
}

/// A logical host has one name.
fn require_single_endpoint(assignment: &LoadAssignment, at: &mut Scope<'_>) {
    match assignment.localities.as_slice() {
        [locality] if locality.endpoints.len() == 1 => {}
        [] => at.error("LOGICAL_DNS clusters must have a single host"),
        _ => {
            at.error("LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint")
        }
    }
}
