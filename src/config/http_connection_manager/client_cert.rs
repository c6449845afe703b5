//! What becomes of `x-forwarded-client-cert`: `forward_client_cert_details`, and the tree that chooses it for a request.

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use v3::http_connection_manager::{
    ForwardClientCertConfig, ForwardClientCertDetails, ForwardClientCertFormat, SetCurrentClientCertDetails,
};

use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Input, Leaves, MatchTree};

/// What becomes of the header: `ForwardClientCertDetails`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardClientCert {
    /// `SANITIZE`: it is taken off.
    #[default]
    Sanitize,
    /// `FORWARD_ONLY`: it passes where the client has shown a certificate.
    ForwardOnly,
    /// `APPEND_FORWARD`: what the client has shown is appended to it.
    AppendForward(ClientCertDetails),
    /// `SANITIZE_SET`: what the client has shown takes its place.
    SanitizeSet(ClientCertDetails),
    /// `ALWAYS_FORWARD_ONLY`: it passes.
    AlwaysForwardOnly,
}

/// What is told of a client's certificate beside its hash: `SetCurrentClientCertDetails`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCertDetails {
    /// All of it.
    pub cert: bool,
    /// All that the client showed.
    pub chain: bool,
    /// Whom it is of.
    pub subject: bool,
    /// Its URIs.
    pub uri: bool,
    /// Its names of hosts.
    pub dns: bool,
    /// Who issued it.
    pub issuer: bool,
    /// Whether it is told as JSON. What is appended has the format of what is there.
    pub json: bool,
}

impl ForwardClientCert {
    /// From the mode, and what is told in those that tell something.
    pub(super) fn from_proto(
        mode: i32,
        details: Option<SetCurrentClientCertDetails>,
        at: &mut Scope<'_>,
    ) -> Self {
        let details = at.message("set_current_client_cert_details", details, ClientCertDetails::from_proto);
        let details = details.unwrap_or_default();
        match at.enumeration::<ForwardClientCertDetails>("forward_client_cert_details", mode) {
            ForwardClientCertDetails::Sanitize => ForwardClientCert::Sanitize,
            ForwardClientCertDetails::ForwardOnly => ForwardClientCert::ForwardOnly,
            ForwardClientCertDetails::AppendForward => ForwardClientCert::AppendForward(details),
            ForwardClientCertDetails::SanitizeSet => ForwardClientCert::SanitizeSet(details),
            ForwardClientCertDetails::AlwaysForwardOnly => ForwardClientCert::AlwaysForwardOnly,
        }
    }
}

impl ClientCertDetails {
    fn from_proto(message: SetCurrentClientCertDetails, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, SetCurrentClientCertDetails = message;
            implemented { subject, cert, chain, dns, uri, issuer, format }
        }
        let subject = subject.is_some_and(|subject| subject.value);
        let json =
            at.enumeration::<ForwardClientCertFormat>("format", format) == ForwardClientCertFormat::Json;
        Some(ClientCertDetails { cert, chain, subject, uri, dns, issuer, json })
    }
}

/// `forward_client_cert_matcher`: a tree that leads to what becomes of the header.
pub(super) fn matcher(message: Matcher, at: &mut Scope<'_>) -> Option<MatchTree<ForwardClientCert>> {
    MatchTree::from_proto(message, &mut Details, at)
}

/// The leaves of the tree while it is read.
struct Details;

impl Leaves for Details {
    type Action = ForwardClientCert;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<ForwardClientCert> {
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
            implemented { forward_client_cert_details, set_current_client_cert_details }
        }
        Some(ForwardClientCert::from_proto(
            forward_client_cert_details,
            set_current_client_cert_details,
            &mut at,
        ))
    }

    fn check_input(&mut self, _input: &Input, _at: &mut Scope<'_>) {}
}
