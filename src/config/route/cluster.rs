//! Which cluster a route leads to: `RouteAction.cluster_specifier`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3;

use super::FilterConfigs;
use super::cluster_plugins::{ClusterPlugins, cluster_plugin};
use super::headers::{Header, HeaderMutations, mutations};
use super::priority_groups::PriorityGroups;
use crate::config::field::{Scope, open};
use crate::config::match_tree::MatchTree;
use crate::config::metadata::{Labels, Metadata};

/// `RouteAction.cluster_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterSpecifier {
    /// One cluster.
    Cluster(String),
    /// One of several, by weight.
    Weighted(WeightedClusters),
    /// The cluster that this request header names.
    Header(String),
    /// The cluster that a tree of conditions leads to.
    Matcher(Arc<MatchTree<String>>),
    /// One of a group of clusters, each attempt of the next group.
    Groups(Arc<PriorityGroups>),
}

/// `envoy.config.route.v3.WeightedCluster`
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedClusters {
    /// The clusters.
    pub clusters: Vec<WeightedCluster>,
    /// Header that holds the number to choose by, instead of a random one.
    pub header_name: Option<String>,
    /// Choose by the route's hash, where a request has one, instead of a random number.
    pub use_hash_policy: bool,
}

/// `WeightedCluster.ClusterWeight`
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedCluster {
    /// The cluster, or the request header that names it.
    pub cluster: ClusterSpecifier,
    /// Its share of the sum of weights, where the runtime says nothing.
    pub weight: u32,
    /// The weight's key in the runtime, `<runtime_key_prefix>.<name>`; `None` without a prefix.
    pub runtime_key: Option<String>,
    /// Changes to requests and responses that go there.
    pub headers: HeaderMutations,
    /// For HTTP filters (`typed_per_filter_config`).
    pub filter_configs: FilterConfigs,
    /// Host put in; the route's own rewrite otherwise.
    pub host_rewrite_literal: Option<String>,
    /// What the metadata of hosts has to be, that of the route included; `None` leaves it to the route.
    pub metadata_match: Option<Labels>,
}

impl ClusterSpecifier {
    /// Of a route that asks for hosts with this metadata, which holds for members of weighted clusters as well.
    ///
    /// `None` without an error for an optional plugin that is not known: as in Envoy its route takes no request.
    pub(super) fn from_proto(
        specifier: v3::route_action::ClusterSpecifier,
        plugins: &ClusterPlugins,
        of_route: Option<&Labels>,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::route_action::ClusterSpecifier as Message;
        match specifier {
            Message::Cluster(name) => Some(ClusterSpecifier::Cluster(at.required_string("cluster", name))),
            Message::ClusterHeader(name) => {
                Header::name(name, &mut at.field("cluster_header")).map(ClusterSpecifier::Header)
            }
            Message::WeightedClusters(message) => {
                let mut weighted = weighted_clusters(message, &mut at.field("weighted_clusters"))?;
                if let Some(of_route) = of_route {
                    weighted.merge_labels(of_route);
                }
                Some(ClusterSpecifier::Weighted(weighted))
            }
            Message::ClusterSpecifierPlugin(name) => {
                plugins.get(&name, &mut at.field("cluster_specifier_plugin"))
            }
            Message::InlineClusterSpecifierPlugin(message) => {
                cluster_plugin(message, &mut at.field("inline_cluster_specifier_plugin"))
            }
        }
    }
}

impl WeightedClusters {
    fn merge_labels(&mut self, of_route: &Labels) {
        for labels in self.clusters.iter_mut().filter_map(|member| member.metadata_match.as_mut()) {
            *labels = of_route.merged(labels);
        }
    }
}

fn weighted_clusters(message: v3::WeightedCluster, at: &mut Scope<'_>) -> Option<WeightedClusters> {
    use v3::weighted_cluster::RandomValueSpecifier;
    open! { at, v3::WeightedCluster = message;
        implemented { clusters, random_value_specifier, runtime_key_prefix }
        ignored { total_weight: "as in Envoy the sum of the weights counts" }
    }
    let (header_name, use_hash_policy) = match random_value_specifier {
        Some(RandomValueSpecifier::HeaderName(name)) => {
            (Header::name(name, &mut at.field("header_name")), false)
        }
        Some(RandomValueSpecifier::UseHashPolicy(wanted)) => (None, wanted.value),
        None => (None, false),
    };
    if clusters.is_empty() {
        at.field("clusters").violation("value must contain at least 1 item(s)");
    }
    let clusters =
        at.list("clusters", clusters, |message, at| weighted_cluster(message, &runtime_key_prefix, at));
    match clusters.iter().map(|cluster| u64::from(cluster.weight)).sum::<u64>() {
        0 => at.error("Sum of weights in the weighted_cluster must be greater than 0."),
        sum if sum > u64::from(u32::MAX) => {
            let max = u32::MAX;
            at.error(format!("The sum of weights of all weighted clusters of route exceeds {max}"));
        }
        _ => {}
    }
    Some(WeightedClusters { clusters, header_name, use_hash_policy })
}

fn weighted_cluster(
    message: v3::weighted_cluster::ClusterWeight,
    runtime_key_prefix: &str,
    at: &mut Scope<'_>,
) -> Option<WeightedCluster> {
    use v3::weighted_cluster::ClusterWeight;
    use v3::weighted_cluster::cluster_weight::HostRewriteSpecifier;
    open! { at, ClusterWeight = message;
        implemented {
            name, cluster_header, weight, request_headers_to_add, request_headers_to_remove,
            response_headers_to_add, response_headers_to_remove, typed_per_filter_config,
            host_rewrite_specifier, metadata_match,
        }
    }
    let filter_configs = FilterConfigs::from_proto(typed_per_filter_config, at);
    let runtime_key = (!runtime_key_prefix.is_empty()).then(|| format!("{runtime_key_prefix}.{name}"));
    let cluster = match (name.is_empty(), cluster_header.is_empty()) {
        (false, true) => ClusterSpecifier::Cluster(name),
        (true, false) => {
            ClusterSpecifier::Header(Header::name(cluster_header, &mut at.field("cluster_header"))?)
        }
        (true, true) => {
            at.error("At least one of name or cluster_header need to be specified");
            return None;
        }
        (false, false) => {
            at.error("Only one of name or cluster_header can be specified");
            return None;
        }
    };
    let Some(weight) = weight else {
        at.error("Field 'weight' is missing");
        return None;
    };
    let headers = mutations(
        [request_headers_to_add, response_headers_to_add],
        [request_headers_to_remove, response_headers_to_remove],
        at,
    );
    let host_rewrite_literal =
        host_rewrite_specifier.map(|HostRewriteSpecifier::HostRewriteLiteral(host)| host);
    Some(WeightedCluster {
        cluster,
        weight: weight.value,
        runtime_key,
        headers,
        filter_configs,
        host_rewrite_literal,
        metadata_match: labels(metadata_match, at),
    })
}

/// What metadata asks of hosts; `None` where that is nothing.
pub(super) fn labels(message: Option<core::Metadata>, at: &mut Scope<'_>) -> Option<Labels> {
    let metadata = at.message("metadata_match", message, Metadata::from_proto)?;
    Labels::of(&metadata)
}
