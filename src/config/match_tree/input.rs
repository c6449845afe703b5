//! What conditions look at: inputs of requests and of their connections.

use std::borrow::Cow;
use std::net::SocketAddr;

use envoy_types::pb::envoy::r#type::matcher::v3 as http;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;

use crate::base::headers::{Headers, Known, Name};
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::canonical_name;
use crate::config::matching::{query_parameter, split_query};

/// A request as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its headers.
    pub headers: &'a Headers,
    /// The connection that it came on.
    pub peers: Peers<'a>,
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peers<'a> {
    /// The client, after `x-forwarded-for`; `None` where it has no IP address.
    pub source: Option<SocketAddr>,
    /// The client, as the socket says.
    pub direct_source: Option<SocketAddr>,
    /// Where the client wanted to go.
    pub destination: Option<SocketAddr>,
    /// The name that the client asked for (SNI); empty if none.
    pub server_name: &'a str,
}

/// An input; what is not there has no value, and no condition on its value holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// `HttpRequestHeaderMatchInput`: the values of a request header, with commas between them; the name in lower
    /// case.
    RequestHeader(String),
    /// `HttpRequestQueryParamMatchInput`: the first value of a query parameter, nothing decoded.
    QueryParameter(String),
    /// `SourceIPInput`
    SourceIp,
    /// `SourcePortInput`
    SourcePort,
    /// `DirectSourceIPInput`
    DirectSourceIp,
    /// `DestinationIPInput`
    DestinationIp,
    /// `DestinationPortInput`
    DestinationPort,
    /// `ServerNameInput`
    ServerName,
}

/// The inputs that are known, by the names of their messages.
const KNOWN: &str = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput, \
    envoy.type.matcher.v3.HttpRequestQueryParamMatchInput, and SourceIPInput, SourcePortInput, DirectSourceIPInput, \
    DestinationIPInput, DestinationPortInput and ServerNameInput of \
    envoy.extensions.matching.common_inputs.network.v3";

/// Where the inputs of connections are.
const NETWORK: &str = "envoy.extensions.matching.common_inputs.network.v3.";

impl Input {
    /// From its proto.
    pub(super) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let mut at = at.field("typed_config");
        let type_name = extension::contained_type(&any);
        match type_name.as_str() {
            "envoy.type.matcher.v3.HttpRequestHeaderMatchInput" => {
                use http::HttpRequestHeaderMatchInput as Message;
                let message = extension::read::<Message>(any, &mut at)?;
                open! { at, Message = message; implemented { header_name } }
                let name = at.required_string("header_name", header_name);
                Some(Input::RequestHeader(canonical_name(&name)))
            }
            "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput" => {
                use http::HttpRequestQueryParamMatchInput as Message;
                let message = extension::read::<Message>(any, &mut at)?;
                open! { at, Message = message; implemented { query_param } }
                Some(Input::QueryParameter(at.required_string("query_param", query_param)))
            }
            other => {
                let input = other.strip_prefix(NETWORK).and_then(Input::of_connection);
                if input.is_none() {
                    at.unsupported(format!(
                        "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {KNOWN}"
                    ));
                }
                input
            }
        }
    }

    /// The inputs whose messages are empty.
    fn of_connection(message: &str) -> Option<Self> {
        match message {
            "SourceIPInput" => Some(Input::SourceIp),
            "SourcePortInput" => Some(Input::SourcePort),
            "DirectSourceIPInput" => Some(Input::DirectSourceIp),
            "DestinationIPInput" => Some(Input::DestinationIp),
            "DestinationPortInput" => Some(Input::DestinationPort),
            "ServerNameInput" => Some(Input::ServerName),
            _ => None,
        }
    }

    /// The type URL of its message, as Envoy names it.
    pub(in crate::config) fn type_url(&self) -> String {
        let (package, message) = match self {
            Input::RequestHeader(_) => ("envoy.type.matcher.v3.", "HttpRequestHeaderMatchInput"),
            Input::QueryParameter(_) => ("envoy.type.matcher.v3.", "HttpRequestQueryParamMatchInput"),
            Input::SourceIp => (NETWORK, "SourceIPInput"),
            Input::SourcePort => (NETWORK, "SourcePortInput"),
            Input::DirectSourceIp => (NETWORK, "DirectSourceIPInput"),
            Input::DestinationIp => (NETWORK, "DestinationIPInput"),
            Input::DestinationPort => (NETWORK, "DestinationPortInput"),
            Input::ServerName => (NETWORK, "ServerNameInput"),
        };
        format!("type.googleapis.com/{package}{message}")
    }

    /// The value for a request.
    pub fn value<'s>(&self, subject: &Subject<'s>) -> Option<Cow<'s, [u8]>> {
        let ip = |address: Option<SocketAddr>| Some(text(address?.ip()));
        let port = |address: Option<SocketAddr>| Some(text(address?.port()));
        let peers = &subject.peers;
        match self {
            Input::RequestHeader(name) => joined(subject.headers, name),
            Input::QueryParameter(name) => {
                let (_, query) = split_query(subject.headers.get(Known::Path)?);
                query_parameter(query, name.as_bytes()).map(Cow::Borrowed)
            }
            Input::SourceIp => ip(peers.source),
            Input::SourcePort => port(peers.source),
            Input::DirectSourceIp => ip(peers.direct_source),
            Input::DestinationIp => ip(peers.destination),
            Input::DestinationPort => port(peers.destination),
            Input::ServerName => {
                (!peers.server_name.is_empty()).then_some(Cow::Borrowed(peers.server_name.as_bytes()))
            }
        }
    }
}

fn text(value: impl ToString) -> Cow<'static, [u8]> {
    Cow::Owned(value.to_string().into_bytes())
}

/// All values of a header; usually there is one, which is not copied.
fn joined<'h>(headers: &'h Headers, name: &str) -> Option<Cow<'h, [u8]>> {
    let at = headers.get_by_name(name.as_bytes())?;
    let values: smallvec::SmallVec<[&[u8]; 2]> = headers.get_all(Name::new(name.as_bytes())).collect();
    match values[..] {
        [_] => Some(Cow::Borrowed(at)),
        _ => Some(Cow::Owned(values.join(&b","[..]))),
    }
}
