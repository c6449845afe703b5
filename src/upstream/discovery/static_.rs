//! `STATIC`: the configured endpoints are the hosts.

use crate::config::cluster::Discovery;
use crate::upstream::{Change, Cluster};

/// Puts the configured endpoints into a new cluster; `None` when its hosts come from elsewhere.
pub fn populate(cluster: &Cluster) -> Option<Change> {
    match &cluster.config.discovery {
        Discovery::Static(assignment) => Some(cluster.update_endpoints(assignment)),
        Discovery::StrictDns(..)
        | Discovery::LogicalDns(..)
        | Discovery::Eds { .. }
        | Discovery::OriginalDst(_)
        | Discovery::Aggregate(_)
        | Discovery::Composite(_)
        | Discovery::DynamicForwardProxy(_)
        | Discovery::SubClusters(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observability::stats::Registry;
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    #[test]
    fn configured_endpoints_become_hosts() {
        let config = ClusterBuilder::new("c").hosts([endpoint(1), endpoint(2)]).config();
        let cluster = Arc::new(Cluster::new(config, 1, &Registry::new(0)));
        assert_eq!(populate(&cluster), Some(Change::Membership(1)));
        assert_eq!(cluster.hosts().len(), 2);
    }
}
