//! The configuration: `envoy.extensions.filters.network.ext_authz.v3.ExtAuthz`.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::ext_authz::v3;

use crate::config::field::{Scope, open};
use crate::config::grpc_service::{GrpcService, check_version};
use crate::config::value_matcher::MetadataMatcher;
use crate::observability::stream_info::ConnectionInfo;

/// How long a call may take where nothing is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(200);

/// `envoy.extensions.filters.network.ext_authz.v3.ExtAuthz`
#[derive(Clone, Debug, PartialEq)]
pub(in crate::network) struct Config {
    pub(super) stat_prefix: String,
    pub(super) service: GrpcService,
    /// `None` means no limit.
    pub(super) timeout: Option<Duration>,
    /// Whether connections pass that the service says nothing of.
    pub(super) failure_mode_allow: bool,
    pub(super) include_peer_certificate: bool,
    pub(super) include_tls_session: bool,
    /// What the metadata of connections has to be that the service is asked about.
    enabled: Option<MetadataMatcher>,
    /// The key of this proxy's metadata under which the labels are that the service is told; empty for none.
    pub(super) labels_key: String,
    /// The metadata that the service is told, by name.
    pub(super) metadata_namespaces: Vec<String>,
    /// The typed metadata that it is told, likewise.
    pub(super) typed_metadata_namespaces: Vec<String>,
    /// Whether connections pass whatever the service says, which is noted.
    pub(super) shadow_mode: bool,
    /// Whether a client that speaks TLS is told by an alert that it may not connect.
    pub(super) send_tls_alert_on_denial: bool,
}

impl Config {
    pub(super) fn from_proto(message: v3::ExtAuthz, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ExtAuthz = message;
            implemented {
                stat_prefix, grpc_service, failure_mode_allow, include_peer_certificate, transport_api_version,
                filter_enabled_metadata, bootstrap_metadata_labels_key, include_tls_session,
                metadata_context_namespaces, typed_metadata_context_namespaces, shadow_mode,
                send_tls_alert_on_denial,
            }
        }
        check_version(transport_api_version, at);
        let grpc_service = at.required("grpc_service", grpc_service);
        let timeout = grpc_service.as_ref().and_then(|service| service.timeout);
        let timeout = at.field("grpc_service").duration("timeout", timeout).unwrap_or(DEFAULT_TIMEOUT);
        Some(Config {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            service: at.message("grpc_service", grpc_service, GrpcService::from_proto)?,
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            failure_mode_allow,
            include_peer_certificate,
            include_tls_session,
            enabled: at.message("filter_enabled_metadata", filter_enabled_metadata, MetadataMatcher::from_proto),
            labels_key: bootstrap_metadata_labels_key,
            metadata_namespaces: metadata_context_namespaces,
            typed_metadata_namespaces: typed_metadata_context_namespaces,
            shadow_mode,
            send_tls_alert_on_denial,
        })
    }

    /// Whether the service is asked about a connection.
    pub(super) fn is_enabled_for(&self, info: &ConnectionInfo) -> bool {
        let notes = info.notes.borrow();
        let value = |matcher: &MetadataMatcher| {
            matcher.matches(notes.as_deref().and_then(|notes| notes.metadata(&matcher.path)))
        };
        self.enabled.as_ref().is_none_or(value)
    }
}
