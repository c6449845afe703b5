//! Requests that are counted together: `envoy.config.route.v3.VirtualCluster`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3;

use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;

/// Requests to a virtual host that have statistics of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualCluster {
    /// Its name, part of statistics and shown in access logs.
    pub name: Arc<str>,
    /// All of these must match; at least one.
    pub headers: Vec<HeaderMatcher>,
}

impl VirtualCluster {
    pub(super) fn from_proto(message: v3::VirtualCluster, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::VirtualCluster = message; implemented { name, headers } }
        if headers.is_empty() {
            at.error("virtual clusters must define 'headers'");
        }
        let name = at.required_string("name", name).into();
        Some(VirtualCluster { name, headers: at.list("headers", headers, HeaderMatcher::from_proto) })
    }
}
