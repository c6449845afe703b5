//! Aggregate clusters: `envoy.extensions.clusters.aggregate.v3.ClusterConfig`.

use envoy_types::pb::envoy::extensions::clusters::aggregate::v3;

use super::Discovery;
use crate::config::field::{Scope, open};

/// The names of the clusters whose hosts it has, the first choice first. They need not be there.
pub(super) fn from_proto(message: v3::ClusterConfig, at: &mut Scope<'_>) -> Option<Discovery> {
    open! { at, v3::ClusterConfig = message; implemented { clusters } }
    if clusters.is_empty() {
        at.field("clusters").violation("value must contain at least 1 item(s)");
        return None;
    }
    Some(Discovery::Aggregate(clusters.into()))
}
