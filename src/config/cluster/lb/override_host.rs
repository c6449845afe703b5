//! Hosts that requests name: `envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost`.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::extensions::load_balancing_policies::override_host::v3 as policy;
use envoy_types::pb::envoy::r#type::metadata::v3 as metadata;

use crate::config::field::{Scope, open};

/// Where requests name their hosts, before the policy beside it chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideHost {
    /// All of them count, in this order; none where the host that is chosen is noted, and that alone.
    pub sources: Vec<HostSource>,
    /// Where the address of the host that is chosen is noted, in the dynamic metadata: name and keys.
    pub selected_host_key: Option<Vec<String>>,
}

/// `OverrideHostSource`: addresses with ports, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostSource {
    /// The first value of a request header; its name in lower case.
    Header(String),
    /// A text of the dynamic metadata: name and keys.
    Metadata(Vec<String>),
}

impl OverrideHost {
    /// From its proto, and the policy for requests that name no host that there is.
    pub(super) fn from_proto(
        message: policy::OverrideHost,
        at: &mut Scope<'_>,
    ) -> Option<(Box<Self>, v3::LoadBalancingPolicy)> {
        use policy::OverrideHost as Message;
        open! { at, Message = message; implemented { override_host_sources, selected_host_key, fallback_policy } }
        if override_host_sources.is_empty() {
            at.field("override_host_sources").violation("value must contain at least 1 item(s)");
        }
        let sources = at.list("override_host_sources", override_host_sources, source);
        let selected_host_key = at.message("selected_host_key", selected_host_key, metadata_key);
        let policy = at.required("fallback_policy", fallback_policy)?;
        Some((Box::new(OverrideHost { sources, selected_host_key }), policy))
    }
}

fn source(message: policy::override_host::OverrideHostSource, at: &mut Scope<'_>) -> Option<HostSource> {
    use policy::override_host::OverrideHostSource as Message;
    open! { at, Message = message; implemented { header, metadata } }
    match (header.is_empty(), metadata) {
        (true, None) => {
            at.error("Empty override source");
            None
        }
        (false, Some(_)) => {
            at.error("Only one override source must be set");
            None
        }
        (false, None) => {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                at.field("header").violation(format!("not the name of a header: {header:?}"));
            }
            Some(HostSource::Header(header.to_ascii_lowercase()))
        }
        (true, Some(metadata)) => {
            at.message("metadata", Some(metadata), metadata_key).map(HostSource::Metadata)
        }
    }
}

/// The name and the keys that lead to a value.
pub(in crate::config::cluster) fn metadata_key(
    message: metadata::MetadataKey,
    at: &mut Scope<'_>,
) -> Option<Vec<String>> {
    use metadata::metadata_key::path_segment::Segment;
    open! { at, metadata::MetadataKey = message; implemented { key, path } }
    if path.is_empty() {
        at.field("path").violation("value must contain at least 1 item(s)");
    }
    let keys = at.list("path", path, |segment, at| {
        open! { at, metadata::metadata_key::PathSegment = segment; implemented { segment } }
        match at.required("segment", segment)? {
            Segment::Key(key) => Some(at.required_string("key", key)),
            Segment::Index(_) => {
                at.reject("index", "values are found by keys");
                None
            }
        }
    });
    Some(std::iter::once(at.required_string("key", key)).chain(keys).collect())
}
