//! `x-request-id`: who brings it, and how it is made (`request_id_extension`:
//! `envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig`).

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::envoy::extensions::request_id::uuid;
use envoy_types::pb::google::protobuf as pb;

use crate::config::extension::{Extension, ExtensionConfig};
use crate::config::field::{Scope, open};

/// What becomes of the identifiers of requests; fields of `HttpConnectionManager`.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestIds {
    /// Make an `x-request-id` where there is none; true by default.
    pub generate_request_id: bool,
    /// How `x-request-id` is made.
    pub extension: UuidRequestId,
    /// Keep the `x-request-id` that an external request brings.
    pub preserve_external_request_id: bool,
    /// Put `x-request-id` into every response.
    pub always_set_request_id_in_response: bool,
}

/// UUIDs as identifiers of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UuidRequestId {
    /// Whether the identifier tells why a request is traced; true by default.
    pub pack_trace_reason: bool,
    /// Whether the identifier decides what is traced; all requests are otherwise; true by default.
    pub use_request_id_for_trace_sampling: bool,
}

impl Default for UuidRequestId {
    fn default() -> Self {
        UuidRequestId { pack_trace_reason: true, use_request_id_for_trace_sampling: true }
    }
}

/// The fields as they came.
pub(super) struct Given {
    pub(super) generate_request_id: Option<pb::BoolValue>,
    pub(super) request_id_extension: Option<v3::RequestIdExtension>,
    pub(super) preserve_external_request_id: bool,
    pub(super) always_set_request_id_in_response: bool,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> RequestIds {
        RequestIds {
            generate_request_id: self.generate_request_id.is_none_or(|value| value.value),
            extension: at.or_default(
                "request_id_extension",
                self.request_id_extension,
                UuidRequestId::from_proto,
            ),
            preserve_external_request_id: self.preserve_external_request_id,
            always_set_request_id_in_response: self.always_set_request_id_in_response,
        }
    }
}

const UUID: Extension = Extension {
    name: "envoy.request_id.uuid",
    type_name: "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
    terminal: false,
    parse: |bytes, at| {
        let message = at.decode(bytes)?;
        Some(Arc::new(UuidRequestId::uuid(message, at)?))
    },
    per_route: None,
};

impl UuidRequestId {
    /// From its proto: `request_id_extension` of whoever makes requests.
    pub fn from_proto(message: v3::RequestIdExtension, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::RequestIdExtension = message; implemented { typed_config } }
        let any = typed_config?;
        let at = &mut at.field("typed_config");
        ExtensionConfig::from_any(UUID.name, any, &[UUID], at)?.downcast().copied()
    }

    fn uuid(message: uuid::v3::UuidRequestIdConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, uuid::v3::UuidRequestIdConfig = message;
            implemented { pack_trace_reason, use_request_id_for_trace_sampling }
        }
        Some(UuidRequestId {
            pack_trace_reason: pack_trace_reason.is_none_or(|pack| pack.value),
            use_request_id_for_trace_sampling: use_request_id_for_trace_sampling
                .is_none_or(|uses| uses.value),
        })
    }
}
