//! What listeners within the process are told: `envoy.transport_sockets.internal_upstream`.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::transport_sockets::internal_upstream::v3::InternalUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::internal_upstream::v3::internal_upstream_transport as v3;
use envoy_types::pb::envoy::r#type::metadata::v3::{MetadataKind, metadata_kind};

use super::UpstreamSocket;
use crate::config::field::{Scope, open};

/// What listeners within the process are told beside the bytes of a connection; filter state that is shared goes without
/// saying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalUpstream {
    /// Metadata that becomes the connection's dynamic metadata, by whose it is and its name; later ones replace earlier
    /// ones of the same name. `passthrough_metadata`.
    pub metadata: Box<[(MetadataOf, String)]>,
}

/// Whose metadata is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataOf {
    /// The host's.
    Host,
    /// The cluster's.
    Cluster,
}

impl UpstreamSocket {
    /// The socket of this message.
    pub(super) fn with_internal_upstream(
        message: InternalUpstreamTransport,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, InternalUpstreamTransport = message; implemented { passthrough_metadata, transport_socket } }
        let metadata = at.list("passthrough_metadata", passthrough_metadata, source).into();
        let inner = at.required("transport_socket", transport_socket)?;
        let inner = Self::from_proto(Some(inner), &mut at.field("transport_socket"))?;
        Some(UpstreamSocket { internal: Some(Arc::new(InternalUpstream { metadata })), ..inner })
    }
}

fn source(message: v3::MetadataValueSource, at: &mut Scope<'_>) -> Option<(MetadataOf, String)> {
    /// Connections serve many requests and routes.
    const UNKNOWN: &str = "metadata type is not supported; host and cluster are";
    use metadata_kind::{Cluster, Host, Kind};
    open! { at, v3::MetadataValueSource = message; implemented { kind, name } }
    let name = at.required_string("name", name);
    let at = &mut at.field("kind");
    let kind = kind.unwrap_or_default();
    open! { at, MetadataKind = kind; implemented { kind } }
    let of = match at.required("kind", kind)? {
        Kind::Host(message) => {
            open! { at, Host = message; implemented {} }
            Some(MetadataOf::Host)
        }
        Kind::Cluster(message) => {
            open! { at, Cluster = message; implemented {} }
            Some(MetadataOf::Cluster)
        }
        Kind::Request(_) => {
            at.reject("request", UNKNOWN);
            None
        }
        Kind::Route(_) => {
            at.reject("route", UNKNOWN);
            None
        }
    };
    Some((of?, name))
}
