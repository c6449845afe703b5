//! What becomes of `x-forwarded-client-cert`: `forward_client_cert_details`, and the tree that chooses it for a request.
//!
//! Connections are plain, and without a client's certificate every mode but `ALWAYS_FORWARD_ONLY` removes the header.

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use v3::http_connection_manager::{ForwardClientCertConfig, ForwardClientCertDetails};

use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Input, Leaves, MatchTree};

/// Whether the header passes.
pub(super) fn always_forwards(value: i32, at: &mut Scope<'_>) -> bool {
    let details = at.enumeration::<ForwardClientCertDetails>("forward_client_cert_details", value);
    details == ForwardClientCertDetails::AlwaysForwardOnly
}

/// `forward_client_cert_matcher`: a tree that leads to whether the header passes.
pub(super) fn matcher(message: Matcher, at: &mut Scope<'_>) -> Option<MatchTree<bool>> {
    MatchTree::from_proto(message, &mut Details, at)
}

/// The leaves of the tree while it is read.
struct Details;

impl Leaves for Details {
    type Action = bool;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<bool> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let found = extension::contained_type(&any);
        let known = <ForwardClientCertConfig as prost::Name>::full_name();
        if found != known {
            at.error(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
            ));
            return None;
        }
        let mut at = at.field("typed_config");
        let message = extension::read::<ForwardClientCertConfig>(any, &mut at)?;
        open! { at, ForwardClientCertConfig = message;
            implemented { forward_client_cert_details }
            ignored { set_current_client_cert_details: "connections are plain, so no client shows a certificate" }
        }
        Some(always_forwards(forward_client_cert_details, &mut at))
    }

    fn check_input(&mut self, _input: &Input, _at: &mut Scope<'_>) {}
}
