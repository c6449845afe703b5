//! Where connections go: `TcpProxy.cluster_specifier`.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3;
use v3::tcp_proxy::WeightedCluster;
use v3::tcp_proxy::weighted_cluster::ClusterWeight;

use crate::config::field::{Scope, open};
use crate::config::metadata::{Labels, Metadata};

/// `TcpProxy.cluster_specifier`, with what is asked of the metadata of hosts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// One cluster.
    Cluster(Destination),
    /// One of several, each with its weight.
    Weighted(Vec<(Destination, u32)>),
}

/// A cluster, and hosts in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Destination {
    /// The cluster's name.
    pub(super) cluster: String,
    /// What the metadata of its hosts has to be.
    pub(super) metadata_match: Option<Labels>,
}

/// What is asked of the metadata of hosts.
pub(super) fn labels(message: core::Metadata, at: &mut Scope<'_>) -> Option<Labels> {
    Labels::of(&Metadata::from_proto(message, at)?)
}

impl Route {
    /// From its proto; `metadata_match` is that of the proxy.
    pub(super) fn from_proto(
        specifier: Option<v3::tcp_proxy::ClusterSpecifier>,
        metadata_match: Option<Labels>,
        at: &mut Scope<'_>,
    ) -> Option<Route> {
        use v3::tcp_proxy::ClusterSpecifier;
        match at.required("cluster_specifier", specifier)? {
            ClusterSpecifier::Cluster(cluster) => Some(Route::Cluster(Destination { cluster, metadata_match })),
            ClusterSpecifier::WeightedClusters(message) => {
                weighted(message, metadata_match, &mut at.field("weighted_clusters")).map(Route::Weighted)
            }
        }
    }

    /// The destination that a random number falls on.
    pub(super) fn choose(&self, draw: u64) -> &Destination {
        match self {
            Route::Cluster(destination) => destination,
            Route::Weighted(entries) => {
                let total: u64 = entries.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let mut point = draw % total.max(1);
                let falls_on = |(_, weight): &&(Destination, u32)| match point.checked_sub((*weight).into()) {
                    None => true,
                    Some(rest) => {
                        point = rest;
                        false
                    }
                };
                &entries.iter().find(falls_on).unwrap_or(&entries[0]).0
            }
        }
    }
}

/// Clusters with their weights, and what is asked of their hosts beside what the proxy asks.
fn weighted(
    message: WeightedCluster,
    of_proxy: Option<Labels>,
    at: &mut Scope<'_>,
) -> Option<Vec<(Destination, u32)>> {
    open! { at, WeightedCluster = message; implemented { clusters } }
    if clusters.is_empty() {
        at.field("clusters").violation("value must contain at least 1 item(s)");
        return None;
    }
    Some(at.list("clusters", clusters, |message, at| {
        open! { at, ClusterWeight = message; implemented { name, weight, metadata_match } }
        if weight == 0 {
            at.field("weight").violation("value must be greater than or equal to 1");
        }
        let own = at.message("metadata_match", metadata_match, labels);
        let metadata_match = match (of_proxy.clone(), own) {
            (Some(of_proxy), Some(own)) => Some(of_proxy.merged(&own)),
            (of_proxy, own) => own.or(of_proxy),
        };
        Some((Destination { cluster: at.required_string("name", name), metadata_match }, weight))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_cluster_is_chosen_by_the_interval_that_the_number_falls_into() {
        let destination = |name: &str| Destination { cluster: name.to_owned(), metadata_match: None };
        let route = Route::Weighted(vec![(destination("a"), 1), (destination("b"), 3)]);
        let chosen: String = (0..8).map(|draw| route.choose(draw).cluster.clone()).collect();
        assert_eq!(chosen, "abbbabbb");
    }
}
