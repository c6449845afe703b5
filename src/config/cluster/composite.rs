//! Composite clusters: `envoy.extensions.clusters.composite.v3.ClusterConfig`.

use envoy_types::pb::envoy::extensions::clusters::composite::v3;

use super::Discovery;
use crate::config::field::{Scope, open};

/// The names of the clusters that take the attempts of a request, the first for the first. They need not be there.
pub(super) fn from_proto(message: v3::ClusterConfig, at: &mut Scope<'_>) -> Option<Discovery> {
    use v3::cluster_config::ClusterEntry;
    open! { at, v3::ClusterConfig = message; implemented { clusters } }
    if clusters.is_empty() {
        at.field("clusters").violation("value must contain at least 1 item(s)");
        return None;
    }
    let names = at.list("clusters", clusters, |entry, at| {
        open! { at, ClusterEntry = entry; implemented { name } }
        Some(at.required_string("name", name))
    });
    Some(Discovery::Composite(names.into()))
}
