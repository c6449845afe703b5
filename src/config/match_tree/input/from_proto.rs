//! Inputs from their protos.

use envoy_types::pb::envoy::extensions::matching::common_inputs::environment_variable::v3 as environment;
use envoy_types::pb::envoy::extensions::matching::common_inputs::network::v3;
use envoy_types::pb::envoy::extensions::matching::common_inputs::ssl::v3 as ssl;
use envoy_types::pb::envoy::r#type::matcher::v3 as http;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;

use super::Input;
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::canonical_name;
use crate::config::messages::xds::r#type::matcher::v3 as xds;

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

/// Where the inputs of TLS are.
const TLS: &str = "envoy.extensions.matching.common_inputs.ssl.v3.";

/// The input for expressions.
pub(super) const ATTRIBUTES: &str = "xds.type.matcher.v3.HttpAttributesCelMatchInput";

/// The input that asks the process's environment.
pub(super) const ENVIRONMENT: &str = "envoy.extensions.matching.common_inputs.environment_variable.v3.Config";

impl Input {
    /// From its proto.
    pub(in crate::config) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
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
        "NetworkNamespaceInput" => {
            open! { at, v3::NetworkNamespaceInput = extension::read(any, at)?; implemented {} }
            Input::Absent("envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput")
        }
        "FilterStateInput" => {
            open! { at, v3::FilterStateInput = extension::read(any, at)?; implemented { key, field } }
            let key = at.required_string("key", key);
            match field.is_empty() {
                true => Input::FilterState(key),
                // The objects that are served are texts, which have none.
                false => Input::Absent("envoy.extensions.matching.common_inputs.network.v3.FilterStateInput"),
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
