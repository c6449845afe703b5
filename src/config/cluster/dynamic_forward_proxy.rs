//! Clusters whose hosts have the names that requests bring:
//! `envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig`.

use envoy_types::pb::envoy::extensions::clusters::dynamic_forward_proxy::v3;

use super::Discovery;
use crate::config::dns_cache::DnsCache;
use crate::config::field::{Scope, open};

/// The full name of the message.
pub(super) const TYPE: &str = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";

/// The cache whose names are the hosts. `verifies_names` says that hosts have to be who requests ask for.
pub(super) fn from_proto(
    message: v3::ClusterConfig,
    verifies_names: bool,
    at: &mut Scope<'_>,
) -> Option<Discovery> {
    use v3::cluster_config::ClusterImplementationSpecifier as Specifier;
    open! { at, v3::ClusterConfig = message;
        implemented { allow_insecure_cluster_options, cluster_implementation_specifier }
        ignored { allow_coalesced_connections: "a connection serves the name that it was made for" }
    }
    if !verifies_names && !allow_insecure_cluster_options {
        at.error(
            "dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless \
             allow_insecure_cluster_options is set.",
        );
    }
    match cluster_implementation_specifier {
        Some(Specifier::DnsCacheConfig(message)) => {
            let cache = DnsCache::from_proto(message, &mut at.field("dns_cache_config"))?;
            Some(Discovery::DynamicForwardProxy(Box::new(cache)))
        }
        Some(Specifier::SubClustersConfig(_)) => {
            at.reject("sub_clusters_config", "no cluster is made for a name; dns_cache_config is served");
            None
        }
        None => {
            at.field("dns_cache_config")
                .field("name")
                .violation("value length must be at least 1 characters");
            None
        }
    }
}
