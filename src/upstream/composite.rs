//! Composite clusters: each attempt of a request has a cluster of its own, and those that follow it take the place of one
//! that has no host.

use std::sync::Arc;

use super::Cluster;
use super::manager::Clusters;
use crate::config::cluster::Discovery;

/// Composite clusters within each other; those that are deeper have no hosts. Envoy has no limit, and does not survive one
/// that holds itself.
const MAX_DEPTH: usize = 8;

/// Members that are looked at for one attempt, those within each other included.
const MAX_MEMBERS: usize = 1_000;

/// The clusters that take the attempt of this number, counted from 0, in the order in which they take each other's place;
/// none once each has had its attempt. Composite clusters among them stand for those that take it there.
pub(super) fn members(cluster: &Cluster, attempt: usize, clusters: &Clusters) -> Vec<Arc<Cluster>> {
    let mut search = Search { attempt, clusters, left: MAX_MEMBERS, found: Vec::new() };
    search.collect(cluster, MAX_DEPTH);
    search.found
}

struct Search<'c> {
    attempt: usize,
    clusters: &'c Clusters,
    /// How many more members are looked at.
    left: usize,
    found: Vec<Arc<Cluster>>,
}

impl Search<'_> {
    fn collect(&mut self, cluster: &Cluster, depth: usize) {
        let Discovery::Composite(names) = &cluster.config.discovery else { return };
        let names = names.get(self.attempt..).unwrap_or_default();
        for member in names.iter().filter_map(|name| self.clusters.get(name.as_str())) {
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
            match member.config.discovery {
                Discovery::Composite(_) if depth == 0 => {}
                Discovery::Composite(_) => self.collect(member, depth - 1),
                _ => self.found.push(Arc::clone(member)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::stats::Registry;
    use crate::upstream::testing::ClusterBuilder;

    fn composite(name: &str, members: &[&str]) -> Arc<Cluster> {
        let mut builder = ClusterBuilder::new(name);
        builder.config.discovery =
            Discovery::Composite(members.iter().map(|&name| name.to_owned()).collect());
        Arc::new(Cluster::new(Arc::new(builder.config), 1, &Registry::new(0)))
    }

    fn names(cluster: &str, attempt: usize, clusters: &Clusters) -> String {
        let found = members(&clusters[cluster], attempt, clusters);
        found.iter().map(|cluster| &*cluster.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_attempt_has_its_cluster_and_those_behind_it() {
        let plain = |name: &str| ClusterBuilder::new(name).build();
        let all = [composite("x", &["a", "gone", "b"]), composite("y", &["b", "x"]), plain("a"), plain("b")];
        let clusters: Clusters =
            all.into_iter().map(|cluster| (Arc::clone(&cluster.name), cluster)).collect();
        assert_eq!(names("x", 0, &clusters), "a b");
        assert_eq!(names("x", 1, &clusters), "b");
        assert_eq!(names("x", 3, &clusters), "");
        assert_eq!(names("y", 0, &clusters), "b a b");
        assert_eq!(names("y", 1, &clusters), "b");
        assert_eq!(names("y", 2, &clusters), "");
    }

    #[test]
    fn clusters_that_hold_themselves_come_to_an_end() {
        let all = [composite("x", &["x", "y", "x"]), composite("y", &["x", "y", "x", "y"])];
        let clusters: Clusters =
            all.into_iter().map(|cluster| (Arc::clone(&cluster.name), cluster)).collect();
        assert_eq!(names("x", 0, &clusters), "");
    }
}
