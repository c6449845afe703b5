//! Extensions of clusters of which there is the usual one alone: what requests wait in, and what makes their pools.

use envoy_types::pb::envoy::config::cluster::v3::cluster::QueuingPolicies;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::queue_policy::fifo::v3::FifoQueuePolicyConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::generic::v3 as http_generic;
use envoy_types::pb::envoy::extensions::upstreams::http::http::v3 as http_alone;
use envoy_types::pb::envoy::extensions::upstreams::tcp::generic::v3 as tcp_generic;
use envoy_types::pb::google::protobuf::Any;
use prost::Name as _;

use crate::config::extension;
use crate::config::field::{Scope, open};

/// Looks at what requests wait in for a connection, which is a queue.
pub(super) fn queuing(message: QueuingPolicies, at: &mut Scope<'_>) -> Option<()> {
    open! { at, QueuingPolicies = message; implemented { pending_rq_policy } }
    at.message("pending_rq_policy", pending_rq_policy, |message, at| {
        let (kind, any) = named(message, &[FifoQueuePolicyConfig::full_name()], at)?;
        debug_assert_eq!(kind, FifoQueuePolicyConfig::full_name(), "the only one that is known");
        open! { at, FifoQueuePolicyConfig = extension::read(any, &mut at.field("typed_config"))?; implemented {} }
        Some(())
    })
}

/// Whether `upstream_config` says that there are pools of HTTP alone, and none of bytes for requests that ask for a tunnel.
pub(super) fn only_http_pools(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<bool> {
    let known = [
        http_generic::GenericConnectionPoolProto::full_name(),
        tcp_generic::GenericConnectionPoolProto::full_name(),
        http_alone::HttpConnectionPoolProto::full_name(),
    ];
    let (kind, any) = named(message, &known, at)?;
    let at = &mut at.field("typed_config");
    if kind == http_alone::HttpConnectionPoolProto::full_name() {
        open! { at, http_alone::HttpConnectionPoolProto = extension::read(any, at)?; implemented {} }
        return Some(true);
    }
    if kind == tcp_generic::GenericConnectionPoolProto::full_name() {
        open! { at, tcp_generic::GenericConnectionPoolProto = extension::read(any, at)?; implemented {} }
    } else {
        open! { at, http_generic::GenericConnectionPoolProto = extension::read(any, at)?; implemented {} }
    }
    Some(false)
}

/// The type of an extension, one of those `known`, and its configuration.
fn named(message: TypedExtensionConfig, known: &[String], at: &mut Scope<'_>) -> Option<(String, Any)> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    let config = typed_config.unwrap_or_default();
    let kind = extension::contained_type(&config);
    if !known.contains(&kind) {
        let known = known.join(", ");
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{kind}'; known: {known}"
        ));
        return None;
    }
    Some((kind, config))
}
