//! How a cluster's hosts are found: `Cluster.type` and `Cluster.cluster_type`.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::extensions::clusters::aggregate::v3 as aggregate_v3;
use envoy_types::pb::envoy::extensions::clusters::composite::v3 as composite_v3;
use envoy_types::pb::envoy::extensions::clusters::dns::v3 as dns_v3;
use envoy_types::pb::google::protobuf as pb;

use super::{
    DEFAULT_DNS_REFRESH_RATE, Discovery, Dns, DnsFamily, LbPolicy, aggregate, composite,
    dynamic_forward_proxy, original_dst,
};
use crate::config::address::Address;
use crate::config::dns_resolver::{self, DnsResolver};
use crate::config::endpoint::LoadAssignment;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::source::ConfigSource;

/// Envoy's name of what makes clusters of this kind.
const EDS_FACTORY: &str = "envoy.cluster.eds";

/// Every interval of resolutions must be greater than this.
const DNS_INTERVAL_FLOOR: Duration = Duration::from_millis(1);

/// What is said of hosts given as a name where names are not resolved.
const HINT: &str = "Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'";

/// Fields of a cluster that one kind of discovery or another reads.
pub(super) struct Given {
    pub(super) eds_cluster_config: Option<v3::cluster::EdsClusterConfig>,
    pub(super) load_assignment: Option<ClusterLoadAssignment>,
    pub(super) dns: ClusterDns,
    pub(super) original_dst: original_dst::Given,
    /// Whether hosts have to be who requests ask for.
    pub(super) verifies_names: bool,
    /// The cluster as it came, where hosts have the names that requests bring.
    pub(super) whole: Option<Box<v3::Cluster>>,
}

/// The fields of a cluster about DNS.
pub(in crate::config) struct ClusterDns {
    pub(in crate::config) refresh_rate: Option<pb::Duration>,
    pub(in crate::config) jitter: Option<pb::Duration>,
    pub(in crate::config) failure_refresh_rate: Option<v3::cluster::RefreshRate>,
    pub(in crate::config) respect_ttl: bool,
    pub(in crate::config) lookup_family: i32,
    pub(in crate::config) resolver: dns_resolver::Given,
}

/// The kinds that are served.
enum Kind {
    Static,
    StrictDns(Dns),
    LogicalDns(Dns),
    Eds,
    OriginalDst(original_dst::Said),
    /// One that an extension makes.
    Made(Discovery),
}

/// The discovery of the cluster of this name.
pub(super) fn from_proto(
    specifier: Option<v3::cluster::ClusterDiscoveryType>,
    name: &str,
    given: Given,
    at: &mut Scope<'_>,
) -> Option<Discovery> {
    let named = dynamic_forward_proxy::Given { verifies_names: given.verifies_names, whole: given.whole };
    let kind = kind(specifier, given.dns, named, at)?;
    if !matches!(kind, Kind::Eds) && given.eds_cluster_config.is_some() {
        at.field("eds_cluster_config").error("eds_cluster_config set in a non-EDS cluster");
    }
    let assigned = given.load_assignment.is_some();
    if !matches!(kind, Kind::OriginalDst(_)) {
        given.original_dst.ignore(at);
    }
    // A cluster without an assignment has no hosts, as in Envoy.
    let assignment = at.message("load_assignment", given.load_assignment, LoadAssignment::from_proto);
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
        Kind::Eds => eds(given.eds_cluster_config, name, at)?,
        Kind::OriginalDst(said) => Discovery::OriginalDst(given.original_dst.read(said, assigned, at)),
        Kind::Made(discovery) => discovery,
    })
}

impl Discovery {
    /// Whether the hosts of a cluster come from a management server, as its message says.
    pub(in crate::config) fn is_eds(cluster: &v3::Cluster) -> bool {
        use v3::cluster::{ClusterDiscoveryType as Specifier, DiscoveryType};
        match &cluster.cluster_discovery_type {
            Some(Specifier::Type(kind)) => *kind == DiscoveryType::Eds as i32,
            Some(Specifier::ClusterType(custom)) => {
                custom.typed_config.is_none() && custom.name == EDS_FACTORY
            }
            None => false,
        }
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

fn kind(
    specifier: Option<v3::cluster::ClusterDiscoveryType>,
    dns: ClusterDns,
    named: dynamic_forward_proxy::Given,
    at: &mut Scope<'_>,
) -> Option<Kind> {
    use v3::cluster::{ClusterDiscoveryType as Specifier, DiscoveryType};
    let discovery_type = match specifier {
        // STATIC is the enumeration's first.
        None => DiscoveryType::Static,
        Some(Specifier::Type(value)) => at.enumeration("type", value),
        Some(Specifier::ClusterType(custom)) => {
            return custom_kind(custom, dns, named, &mut at.field("cluster_type"));
        }
    };
    match discovery_type {
        DiscoveryType::Static => Some(Kind::Static),
        DiscoveryType::StrictDns => dns.read(at).map(Kind::StrictDns),
        DiscoveryType::LogicalDns => dns.read(at).map(Kind::LogicalDns),
        DiscoveryType::Eds => Some(Kind::Eds),
        DiscoveryType::OriginalDst => Some(Kind::OriginalDst(original_dst::Said::Type)),
    }
}

/// The kinds by the names of Envoy's cluster factories.
fn custom_kind(
    message: v3::cluster::CustomClusterType,
    dns: ClusterDns,
    named: dynamic_forward_proxy::Given,
    at: &mut Scope<'_>,
) -> Option<Kind> {
    use v3::cluster::CustomClusterType;
    const KNOWN: &str = "envoy.cluster.static, envoy.cluster.strict_dns, envoy.cluster.logical_dns, envoy.cluster.eds, \
        envoy.cluster.original_dst, envoy.cluster.dns, envoy.clusters.aggregate, envoy.clusters.composite";
    const TYPES: &str = "envoy.extensions.clusters.dns.v3.DnsCluster, \
        envoy.extensions.clusters.aggregate.v3.ClusterConfig, \
        envoy.extensions.clusters.composite.v3.ClusterConfig, \
        envoy.extensions.clusters.original_dst.v3.OriginalDstCluster, \
        envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
    open! { at, CustomClusterType = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    if let Some(any) = typed_config {
        let mut at = at.field("typed_config");
        let (type_name, bytes) = extension::unwrap(any, &mut at)?;
        return match type_name.as_str() {
            "envoy.extensions.clusters.dns.v3.DnsCluster" => dns_cluster(at.decode(&bytes)?, &mut at),
            "envoy.extensions.clusters.aggregate.v3.ClusterConfig" => {
                aggregate::from_proto(at.decode(&bytes)?, &mut at).map(Kind::Made)
            }
            "envoy.extensions.clusters.composite.v3.ClusterConfig" => {
                composite::from_proto(at.decode(&bytes)?, &mut at).map(Kind::Made)
            }
            original_dst::TYPE => at.decode(&bytes).map(original_dst::Said::Config).map(Kind::OriginalDst),
            dynamic_forward_proxy::TYPE => {
                let message = at.decode(&bytes)?;
                dynamic_forward_proxy::from_proto(message, named, &mut at).map(Kind::Made)
            }
            _ => {
                at.unsupported(format!("no cluster type takes {type_name}; known: {TYPES}"));
                None
            }
        };
    }
    match name.as_str() {
        "envoy.cluster.static" => Some(Kind::Static),
        "envoy.cluster.strict_dns" => dns.read(at).map(Kind::StrictDns),
        "envoy.cluster.logical_dns" => dns.read(at).map(Kind::LogicalDns),
        EDS_FACTORY => Some(Kind::Eds),
        original_dst::FACTORY => Some(Kind::OriginalDst(original_dst::Said::Name)),
        // As if there were a configuration without anything in it.
        "envoy.clusters.aggregate" => {
            aggregate::from_proto(aggregate_v3::ClusterConfig::default(), &mut at.field("typed_config"))
                .map(Kind::Made)
        }
        "envoy.clusters.composite" => {
            composite::from_proto(composite_v3::ClusterConfig::default(), &mut at.field("typed_config"))
                .map(Kind::Made)
        }
        _ => {
            at.unsupported(format!(
                "Didn't find a registered cluster factory implementation for name: '{name}'; known: {KNOWN}"
            ));
            None
        }
    }
}

fn dns_cluster(message: dns_v3::DnsCluster, at: &mut Scope<'_>) -> Option<Kind> {
    use envoy_types::pb::envoy::extensions::clusters::common::dns::v3::DnsLookupFamily as Family;
    open! { at, dns_v3::DnsCluster = message;
        implemented {
            dns_refresh_rate, dns_failure_refresh_rate, respect_dns_ttl, dns_jitter, dns_lookup_family,
            all_addresses_in_single_endpoint, typed_dns_resolver_config, dns_min_refresh_rate,
        }
    }
    let family = match at.enumeration("dns_lookup_family", dns_lookup_family) {
        Family::Unspecified | Family::Auto => DnsFamily::Auto,
        Family::V4Only => DnsFamily::V4Only,
        Family::V6Only => DnsFamily::V6Only,
        Family::V4Preferred => DnsFamily::V4Preferred,
        Family::All => DnsFamily::All,
    };
    let failure_refresh = at.message("dns_failure_refresh_rate", dns_failure_refresh_rate, |message, at| {
        open! { at, dns_v3::dns_cluster::RefreshRate = message; implemented { base_interval, max_interval } }
        failure_refresh(base_interval, max_interval, at)
    });
    let dns = Dns {
        refresh_rate: interval("dns_refresh_rate", dns_refresh_rate, at).unwrap_or(DEFAULT_DNS_REFRESH_RATE),
        failure_refresh,
        respect_ttl: respect_dns_ttl,
        least_ttl: at.duration("dns_min_refresh_rate", dns_min_refresh_rate).unwrap_or_default(),
        jitter: at.duration("dns_jitter", dns_jitter).unwrap_or_default(),
        family,
        resolver: at.message("typed_dns_resolver_config", typed_dns_resolver_config, DnsResolver::typed),
    };
    Some(if all_addresses_in_single_endpoint { Kind::LogicalDns(dns) } else { Kind::StrictDns(dns) })
}

impl ClusterDns {
    pub(in crate::config) fn read(self, at: &mut Scope<'_>) -> Option<Dns> {
        use v3::cluster::DnsLookupFamily as Family;
        let family = match at.enumeration("dns_lookup_family", self.lookup_family) {
            Family::Auto => DnsFamily::Auto,
            Family::V4Only => DnsFamily::V4Only,
            Family::V6Only => DnsFamily::V6Only,
            Family::V4Preferred => DnsFamily::V4Preferred,
            Family::All => DnsFamily::All,
        };
        let failure_refresh =
            at.message("dns_failure_refresh_rate", self.failure_refresh_rate, |message, at| {
                open! { at, v3::cluster::RefreshRate = message; implemented { base_interval, max_interval } }
                failure_refresh(base_interval, max_interval, at)
            });
        Some(Dns {
            refresh_rate: interval("dns_refresh_rate", self.refresh_rate, at)
                .unwrap_or(DEFAULT_DNS_REFRESH_RATE),
            failure_refresh,
            respect_ttl: self.respect_ttl,
            least_ttl: Duration::ZERO,
            jitter: at.duration("dns_jitter", self.jitter).unwrap_or_default(),
            family,
            resolver: DnsResolver::from_fields(self.resolver, at),
        })
    }
}

/// An interval of resolutions.
fn interval(name: &str, value: Option<pb::Duration>, at: &mut Scope<'_>) -> Option<Duration> {
    let interval = at.duration(name, value)?;
    if interval <= DNS_INTERVAL_FLOOR {
        at.field(name).violation("value must be greater than 1ms");
        return None;
    }
    Some(interval)
}

/// Base and cap of the back-off. Without a cap it is ten times the base.
fn failure_refresh(
    base_interval: Option<pb::Duration>,
    max_interval: Option<pb::Duration>,
    at: &mut Scope<'_>,
) -> Option<(Duration, Duration)> {
    let base_interval = at.required("base_interval", base_interval);
    let base = interval("base_interval", base_interval, at)?;
    let cap = interval("max_interval", max_interval, at).unwrap_or(base * 10);
    if cap < base {
        at.error(
            "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval",
        );
    }
    Some((base, cap))
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
