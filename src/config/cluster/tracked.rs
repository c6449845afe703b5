//! Statistics that a cluster keeps only where they are asked for: `envoy.config.cluster.v3.TrackClusterStats`.

use envoy_types::pb::envoy::config::cluster::v3;

use crate::config::field::{Scope, open};

/// Which of them are kept; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackedStats {
    /// How much of their time requests used: `timeout_budgets`, or the older `track_timeout_budgets` of the cluster.
    pub timeout_budgets: bool,
    /// How large requests and responses are: `request_response_sizes`.
    pub request_response_sizes: bool,
    /// Statistics of each host: `per_endpoint_stats`.
    pub per_endpoint_stats: bool,
}

/// The two fields of a cluster as they came.
pub(super) struct Given {
    pub(super) track_cluster_stats: Option<v3::TrackClusterStats>,
    pub(super) track_timeout_budgets: bool,
}

impl Given {
    /// What they ask for together.
    pub(super) fn read(self, at: &mut Scope<'_>) -> TrackedStats {
        let tracked =
            at.or_default("track_cluster_stats", self.track_cluster_stats, TrackedStats::from_proto);
        TrackedStats { timeout_budgets: tracked.timeout_budgets || self.track_timeout_budgets, ..tracked }
    }
}

impl TrackedStats {
    fn from_proto(message: v3::TrackClusterStats, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TrackClusterStats = message;
            implemented { timeout_budgets, request_response_sizes, per_endpoint_stats }
        }
        Some(TrackedStats { timeout_budgets, request_response_sizes, per_endpoint_stats })
    }
}
