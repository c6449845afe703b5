//! Clusters that have no hosts of their own and lead to others: composite ones, and those that have others made for names.

use std::sync::Arc;

use super::manager::Clusters;
use super::{Cluster, composite, sub_clusters};
use crate::config::cluster::Discovery;

/// The clusters that take an attempt for such a cluster, in the order in which they take each other's place; none for one
/// that has hosts of its own.
///
/// Attempts are counted from 0. `name` tells what the host is called that the attempt is for, if it is for any.
pub fn others(
    cluster: &Cluster,
    attempt: usize,
    clusters: &Clusters,
    name: impl FnOnce() -> Option<String>,
) -> Vec<Arc<Cluster>> {
    match cluster.config.discovery {
        Discovery::Composite(_) => composite::members(cluster, attempt, clusters),
        Discovery::SubClusters(_) => {
            let made = |name: String| sub_clusters::made_for(clusters, &name, cluster.default_port());
            name().and_then(made).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
