//! Clusters that a route table refers to by name.

use super::{Action, ClusterSpecifier, RouteConfiguration};

impl RouteConfiguration {
    /// Checks that every cluster named in the table is known, where the table is to be checked: inline ones are
    /// unless `validate_clusters` is false, those from RDS only if it is true.
    ///
    /// # Errors
    /// Names the first cluster that is not known, in Envoy's words.
    pub fn check_clusters(&self, inline: bool, known: impl Fn(&str) -> bool) -> Result<(), String> {
        if !self.validate_clusters.unwrap_or(inline) {
            return Ok(());
        }
        match self.cluster_names().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, false)) => Err(format!("route: unknown cluster '{name}'")),
            Some((name, true)) => Err(format!("route: unknown weighted cluster '{name}'")),
        }
    }

    /// The names, and whether they stand in `weighted_clusters`.
    fn cluster_names(&self) -> impl Iterator<Item = (&str, bool)> {
        let routes = self.virtual_hosts.iter().flat_map(|host| &host.routes);
        routes.flat_map(|route| match &route.action {
            Action::Route(action) => action.cluster.names(),
            Action::Redirect(_) | Action::DirectResponse(_) | Action::NonForwarding => Vec::new(),
        })
    }
}

impl ClusterSpecifier {
    fn names(&self) -> Vec<(&str, bool)> {
        match self {
            ClusterSpecifier::Cluster(name) => vec![(name, false)],
            ClusterSpecifier::Header(_) => Vec::new(),
            ClusterSpecifier::Weighted(weighted) => {
                let names = weighted.clusters.iter().flat_map(|cluster| cluster.cluster.names());
                names.map(|(name, _)| (name, true)).collect()
            }
        }
    }
}
