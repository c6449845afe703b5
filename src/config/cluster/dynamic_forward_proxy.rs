//! Clusters whose hosts have the names that requests bring:
//! `envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig`.

use envoy_types::pb::envoy::config::cluster::v3 as cluster_v3;
use envoy_types::pb::envoy::extensions::clusters::dynamic_forward_proxy::v3;

use super::{Discovery, SubClusters};
use crate::config::dns_cache::DnsCache;
use crate::config::field::{Scope, open};

/// The full name of the message.
pub(super) const TYPE: &str = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";

/// What the rest of the cluster says of it.
pub(super) struct Given {
    /// Whether hosts have to be who requests ask for.
    pub(super) verifies_names: bool,
    /// The cluster as it came.
    pub(super) whole: Option<Box<cluster_v3::Cluster>>,
}

/// A copy of a cluster whose hosts have the names that requests bring: it may make clusters after itself.
pub(super) fn whole(message: &cluster_v3::Cluster) -> Option<Box<cluster_v3::Cluster>> {
    let specifier = message.cluster_discovery_type.as_ref();
    super::discovery::is_named_by_requests(specifier).then(|| Box::new(message.clone()))
}

/// The cache whose names are the hosts, or how clusters are made for names.
pub(super) fn from_proto(message: v3::ClusterConfig, given: Given, at: &mut Scope<'_>) -> Option<Discovery> {
    use v3::cluster_config::ClusterImplementationSpecifier as Specifier;
    open! { at, v3::ClusterConfig = message;
        implemented { allow_insecure_cluster_options, cluster_implementation_specifier }
        ignored { allow_coalesced_connections: "a connection serves the name that it was made for" }
    }
    if !given.verifies_names && !allow_insecure_cluster_options {
        at.error(
            "dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless \
             allow_insecure_cluster_options is set.",
        );
    }
    Some(match cluster_implementation_specifier {
        Some(Specifier::DnsCacheConfig(message)) => {
            let cache = DnsCache::from_proto(message, &mut at.field("dns_cache_config"))?;
            Discovery::DynamicForwardProxy(Box::new(cache))
        }
        Some(Specifier::SubClustersConfig(message)) => {
            let mut at = at.field("sub_clusters_config");
            let whole = *given.whole.unwrap_or_default();
            Discovery::SubClusters(Box::new(SubClusters::from_proto(message, whole, &mut at)?))
        }
        None => Discovery::DynamicForwardProxy(Box::new(DnsCache::unnamed(at)?)),
    })
}
