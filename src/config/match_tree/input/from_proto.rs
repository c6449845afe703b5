//! Inputs from their protos.

use envoy_types::pb::envoy::extensions::matching::common_inputs::environment_variable::v3 as environment;
use envoy_types::pb::envoy::extensions::matching::common_inputs::network::v3;
use envoy_types::pb::envoy::extensions::matching::common_inputs::ssl::v3 as ssl;
use envoy_types::pb::envoy::extensions::matching::common_inputs::transport_socket::v3 as socket;
use envoy_types::pb::envoy::r#type::matcher::v3 as http;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;

use super::Input;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::canonical_name;
use crate::config::messages::xds::r#type::matcher::v3 as xds;
use crate::config::metadata::Labels;

/// The inputs that are known, by the names of their messages.
const KNOWN: &str = "Http...MatchInput of envoy.type.matcher.v3, \
    envoy.extensions.matching.common_inputs.environment_variable.v3.Config, \
    xds.type.matcher.v3.HttpAttributesCelMatchInput, and ...Input of \
    envoy.extensions.matching.common_inputs.network.v3 and envoy.extensions.matching.common_inputs.ssl.v3";

/// Where the inputs of messages are.
pub(super) const HTTP: &str = "envoy.type.matcher.v3.";

/// Where the inputs of connections are.
pub(super) const NETWORK: &str = "envoy.extensions.matching.common_inputs.network.v3.";
pub(super) const SSL: &str = "envoy.extensions.matching.common_inputs.ssl.v3.";

/// Where the inputs are by which a way to speak to hosts is chosen.
pub(super) const SOCKET: &str = "envoy.extensions.matching.common_inputs.transport_socket.v3.";

/// Where the inputs of TLS are.
const TLS: &str = "envoy.extensions.matching.common_inputs.ssl.v3.";

/// The input for expressions.
pub(super) const ATTRIBUTES: &str = "xds.type.matcher.v3.HttpAttributesCelMatchInput";

/// The input that asks the process's environment.
pub(super) const ENVIRONMENT: &str = "envoy.extensions.matching.common_inputs.environment_variable.v3.Config";

impl Input {
    /// From its proto, where a request or a connection from a client is looked at.
    pub(in crate::config) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        let input = Self::of_any(message, at)?;
        if input.is_of_host() || input.is_of_greeting() {
            input.refuse(at);
            return None;
        }
        Some(input)
    }

    /// Notes that nothing is known of this input here.
    pub(in crate::config) fn refuse(&self, at: &mut Scope<'_>) {
        at.error(format!(
            "Didn't find a registered implementation for type URL: '{}' here; known: {KNOWN}",
            self.type_url()
        ));
    }

    /// From its proto, wherever it stands.
    pub(in crate::config::match_tree) fn of_any(
        message: TypedExtensionConfig,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let at = &mut at.field("typed_config");
        let type_name = extension::contained_type(&any);
        let errors = at.errors();
        let input = if let Some(message) = type_name.strip_prefix(HTTP) {
            of_message(message, any, at)
        } else if let Some(message) = type_name.strip_prefix(NETWORK) {
            of_connection(message, any, at)
        } else if let Some(message) = type_name.strip_prefix(TLS) {
            of_tls(message, any, at)
        } else if let Some(message) = type_name.strip_prefix(SOCKET) {
            of_socket(message, any, at)
        } else if type_name == ENVIRONMENT {
            of_environment(any, at)
        } else if type_name == ATTRIBUTES {
            attributes(any, at)
        } else {
            None
        };
        // What is of a known type and cannot be read has said so.
        if input.is_none() && at.errors() == errors {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {KNOWN}"
            ));
        }
        input
    }
}

/// Of requests and responses.
fn of_message(message: &str, any: Any, at: &mut Scope<'_>) -> Option<Input> {
    Some(match message {
        "HttpRequestHeaderMatchInput" => {
            open! { at, http::HttpRequestHeaderMatchInput = extension::read(any, at)?; implemented { header_name } }
            Input::RequestHeader(canonical_name(&at.required_string("header_name", header_name)))
        }
        "HttpRequestQueryParamMatchInput" => {
            open! { at, http::HttpRequestQueryParamMatchInput = extension::read(any, at)?; implemented { query_param } }
            Input::QueryParameter(at.required_string("query_param", query_param))
        }
        "HttpRequestTrailerMatchInput" => {
            open! { at, http::HttpRequestTrailerMatchInput = extension::read(any, at)?; implemented { header_name } }
            at.required_string("header_name", header_name);
            Input::Later("envoy.type.matcher.v3.HttpRequestTrailerMatchInput")
        }
        "HttpResponseHeaderMatchInput" => {
            open! { at, http::HttpResponseHeaderMatchInput = extension::read(any, at)?; implemented { header_name } }
            at.required_string("header_name", header_name);
            Input::Later("envoy.type.matcher.v3.HttpResponseHeaderMatchInput")
        }
        "HttpResponseTrailerMatchInput" => {
            open! { at, http::HttpResponseTrailerMatchInput = extension::read(any, at)?; implemented { header_name } }
            at.required_string("header_name", header_name);
            Input::Later("envoy.type.matcher.v3.HttpResponseTrailerMatchInput")
        }
        "HttpResponseStatusCodeMatchInput" => {
            open! { at, http::HttpResponseStatusCodeMatchInput = extension::read(any, at)?; implemented {} }
            Input::Later("envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput")
        }
        "HttpResponseStatusCodeClassMatchInput" => {
            open! { at, http::HttpResponseStatusCodeClassMatchInput = extension::read(any, at)?; implemented {} }
            Input::Later("envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput")
        }
        "HttpResponseLocalReplyMatchInput" => {
            open! { at, http::HttpResponseLocalReplyMatchInput = extension::read(any, at)?; implemented {} }
            Input::Later("envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput")
        }
        _ => return None,
    })
}

/// Of the connection, and of what filters noted.
fn of_connection(message: &str, any: Any, at: &mut Scope<'_>) -> Option<Input> {
    Some(match message {
        "SourceIPInput" => {
            open! { at, v3::SourceIpInput = extension::read(any, at)?; implemented {} }
            Input::SourceIp
        }
        "SourcePortInput" => {
            open! { at, v3::SourcePortInput = extension::read(any, at)?; implemented {} }
            Input::SourcePort
        }
        "SourceTypeInput" => {
            open! { at, v3::SourceTypeInput = extension::read(any, at)?; implemented {} }
            Input::SourceType
        }
        "DirectSourceIPInput" => {
            open! { at, v3::DirectSourceIpInput = extension::read(any, at)?; implemented {} }
            Input::DirectSourceIp
        }
        "DestinationIPInput" => {
            open! { at, v3::DestinationIpInput = extension::read(any, at)?; implemented {} }
            Input::DestinationIp
        }
        "DestinationPortInput" => {
            open! { at, v3::DestinationPortInput = extension::read(any, at)?; implemented {} }
            Input::DestinationPort
        }
        "ServerNameInput" => {
            open! { at, v3::ServerNameInput = extension::read(any, at)?; implemented {} }
            Input::ServerName
        }
        "TransportProtocolInput" => {
            open! { at, v3::TransportProtocolInput = extension::read(any, at)?; implemented {} }
            Input::TransportProtocol
        }
        "ApplicationProtocolInput" => {
            open! { at, v3::ApplicationProtocolInput = extension::read(any, at)?; implemented {} }
            Input::ApplicationProtocols
        }
        "NetworkNamespaceInput" => {
            open! { at, v3::NetworkNamespaceInput = extension::read(any, at)?; implemented {} }
            Input::Absent("envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput")
        }
        "FilterStateInput" => {
            open! { at, v3::FilterStateInput = extension::read(any, at)?; implemented { key, field } }
            let key = at.required_string("key", key);
            match field.is_empty() {
                true => Input::FilterState(key),
                false => Input::FilterStateField(key, field),
            }
        }
        "DynamicMetadataInput" => metadata(extension::read(any, at)?, at)?,
        _ => return None,
    })
}

fn metadata(message: v3::DynamicMetadataInput, at: &mut Scope<'_>) -> Option<Input> {
    use v3::dynamic_metadata_input::PathSegment;
    use v3::dynamic_metadata_input::path_segment::Segment;
    open! { at, v3::DynamicMetadataInput = message; implemented { filter, path } }
    let filter = at.required_string("filter", filter);
    if path.is_empty() {
        at.field("path").violation("value must contain at least 1 item(s)");
    }
    let keys = at.list("path", path, |message, at| {
        open! { at, PathSegment = message; implemented { segment } }
        let Segment::Key(key) = at.required("segment", segment)?;
        Some(at.required_string("key", key))
    });
    Some(Input::DynamicMetadata(std::iter::once(filter).chain(keys).collect()))
}

/// Of a host that is to be connected to.
fn of_socket(message: &str, any: Any, at: &mut Scope<'_>) -> Option<Input> {
    use socket::{EndpointMetadataInput, FilterStateInput, LocalityMetadataInput};
    use socket::{endpoint_metadata_input as endpoint, locality_metadata_input as locality};
    Some(match message {
        "EndpointMetadataInput" => {
            open! { at, EndpointMetadataInput = extension::read(any, at)?; implemented { filter, path } }
            let keys = at.list("path", path, |message, at| {
                open! { at, endpoint::PathSegment = message; implemented { segment } }
                let endpoint::path_segment::Segment::Key(key) = at.required("segment", segment)?;
                Some(at.required_string("key", key))
            });
            Input::EndpointMetadata(path_of(filter, keys))
        }
        "LocalityMetadataInput" => {
            open! { at, LocalityMetadataInput = extension::read(any, at)?; implemented { filter, path } }
            let keys = at.list("path", path, |message, at| {
                open! { at, locality::PathSegment = message; implemented { segment } }
                let locality::path_segment::Segment::Key(key) = at.required("segment", segment)?;
                Some(at.required_string("key", key))
            });
            Input::LocalityMetadata(path_of(filter, keys))
        }
        "FilterStateInput" => {
            open! { at, FilterStateInput = extension::read(any, at)?; implemented { key } }
            Input::SharedState(at.required_string("key", key))
        }
        _ => return None,
    })
}

/// The name of the metadata, then keys.
fn path_of(filter: String, keys: Vec<String>) -> Vec<String> {
    let name = if filter.is_empty() { Labels::NAME.to_owned() } else { filter };
    std::iter::once(name).chain(keys).collect()
}

/// Of certificates.
fn of_tls(message: &str, any: Any, at: &mut Scope<'_>) -> Option<Input> {
    Some(match message {
        "UriSanInput" => {
            open! { at, ssl::UriSanInput = extension::read(any, at)?; implemented {} }
            Input::UriSans
        }
        "DnsSanInput" => {
            open! { at, ssl::DnsSanInput = extension::read(any, at)?; implemented {} }
            Input::DnsSans
        }
        "SubjectInput" => {
            open! { at, ssl::SubjectInput = extension::read(any, at)?; implemented {} }
            Input::CertificateSubject
        }
        _ => return None,
    })
}

fn attributes(any: Any, at: &mut Scope<'_>) -> Option<Input> {
    open! { at, xds::HttpAttributesCelMatchInput = extension::read(any, at)?; implemented {} }
    Some(Input::Attributes)
}

fn of_environment(any: Any, at: &mut Scope<'_>) -> Option<Input> {
    open! { at, environment::Config = extension::read(any, at)?; implemented { name } }
    let name = at.required_string("name", name);
    // Not those that no environment can have: asking for them would panic.
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    Some(Input::Environment(is_name.then(|| std::env::var(&name).ok()).flatten()))
}
