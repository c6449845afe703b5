//! The kinds of discovery, by `type` or by the extension that `cluster_type` names.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::extensions::clusters::aggregate::v3 as aggregate_v3;
use envoy_types::pb::envoy::extensions::clusters::composite::v3 as composite_v3;
use envoy_types::pb::google::protobuf::Any;

use super::dns::{Dns, Resolving, dns_cluster};
use super::{Discovery, aggregate, composite, dynamic_forward_proxy, original_dst};
use crate::config::extension;
use crate::config::field::{Scope, open};

/// The kinds that are served.
pub(super) enum Kind {
    Static,
    StrictDns(Dns),
    LogicalDns(Dns),
    Eds,
    OriginalDst(original_dst::Said),
    /// One that an extension makes.
    Made(Discovery),
}

/// The kind that a cluster says; `dns` and `named` are what concerns some of them.
pub(super) fn kind(
    specifier: Option<v3::cluster::ClusterDiscoveryType>,
    dns: Resolving,
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

/// The kind that an extension makes: by the type of its configuration, or by its name where there is none.
fn custom_kind(
    message: v3::cluster::CustomClusterType,
    dns: Resolving,
    named: dynamic_forward_proxy::Given,
    at: &mut Scope<'_>,
) -> Option<Kind> {
    use v3::cluster::CustomClusterType;
    open! { at, CustomClusterType = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    match typed_config {
        Some(any) => configured(any, named, &mut at.field("typed_config")),
        None => by_name(&name, dns, at),
    }
}

/// The kinds by the types of their configurations.
fn configured(any: Any, named: dynamic_forward_proxy::Given, at: &mut Scope<'_>) -> Option<Kind> {
    const TYPES: &str = "envoy.extensions.clusters.dns.v3.DnsCluster, \
        envoy.extensions.clusters.aggregate.v3.ClusterConfig, \
        envoy.extensions.clusters.composite.v3.ClusterConfig, \
        envoy.extensions.clusters.original_dst.v3.OriginalDstCluster, \
        envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
    let (type_name, bytes) = extension::unwrap(any, at)?;
    match type_name.as_str() {
        "envoy.extensions.clusters.dns.v3.DnsCluster" => dns_cluster(at.decode(&bytes)?, at),
        "envoy.extensions.clusters.aggregate.v3.ClusterConfig" => {
            aggregate::from_proto(at.decode(&bytes)?, at).map(Kind::Made)
        }
        "envoy.extensions.clusters.composite.v3.ClusterConfig" => {
            composite::from_proto(at.decode(&bytes)?, at).map(Kind::Made)
        }
        original_dst::TYPE => at.decode(&bytes).map(original_dst::Said::Config).map(Kind::OriginalDst),
        dynamic_forward_proxy::TYPE => {
            dynamic_forward_proxy::from_proto(at.decode(&bytes)?, named, at).map(Kind::Made)
        }
        _ => {
            at.unsupported(format!("no cluster type takes {type_name}; known: {TYPES}"));
            None
        }
    }
}

/// The kinds by the names of Envoy's cluster factories.
fn by_name(name: &str, dns: Resolving, at: &mut Scope<'_>) -> Option<Kind> {
    const KNOWN: &str = "envoy.cluster.static, envoy.cluster.strict_dns, envoy.cluster.logical_dns, envoy.cluster.eds, \
        envoy.cluster.original_dst, envoy.cluster.dns, envoy.clusters.aggregate, envoy.clusters.composite";
    match name {
        "envoy.cluster.static" => Some(Kind::Static),
        "envoy.cluster.strict_dns" => dns.read(at).map(Kind::StrictDns),
        "envoy.cluster.logical_dns" => dns.read(at).map(Kind::LogicalDns),
        "envoy.cluster.eds" => Some(Kind::Eds),
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
