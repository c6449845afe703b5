//! What conditions look at: inputs of requests and of their connections.

mod from_proto;

use std::borrow::Cow;
use std::net::SocketAddr;

use serde_json::Value;

use super::Subject;
use crate::base::headers::Known;
use crate::config::matching::{joined, query_parameter, split_query};

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
    /// `SourceTypeInput`: `local`, or nothing for a client on another machine.
    SourceType,
    /// `DirectSourceIPInput`
    DirectSourceIp,
    /// `DestinationIPInput`
    DestinationIp,
    /// `DestinationPortInput`
    DestinationPort,
    /// `ServerNameInput`
    ServerName,
    /// `TransportProtocolInput`
    TransportProtocol,
    /// `ApplicationProtocolInput`: the protocols in quotes, with commas between them.
    ApplicationProtocols,
    /// `FilterStateInput`: the text of the object of this name.
    FilterState(String),
    /// The same with `field`: the field of this name of the object.
    FilterStateField(String, String),
    /// `DynamicMetadataInput`: the name of the metadata, then keys.
    DynamicMetadata(Vec<String>),
    /// `environment_variable.v3.Config`: the variable's value, which stays as it was at the start.
    Environment(Option<String>),
    /// `HttpAttributesCelMatchInput`: everything that expressions ask about.
    Attributes,
    /// `UriSanInput`: the URIs in the client's certificate, with commas between them.
    UriSans,
    /// `DnsSanInput`: the names of hosts in it, likewise.
    DnsSans,
    /// `SubjectInput`: whom it is of.
    CertificateSubject,
    /// `EndpointMetadataInput`: a piece of the metadata of a host, its name first, then keys.
    EndpointMetadata(Vec<String>),
    /// `LocalityMetadataInput`: the same of the locality of a host.
    LocalityMetadata(Vec<String>),
    /// `FilterStateInput` of `transport_socket.v3`: the text of the object of this name, where connections to hosts are told
    /// of it.
    SharedState(String),
    /// What connections and their addresses do not have: network namespaces. By the full name of the message.
    Absent(&'static str),
    /// What there is only behind a request's headers: its trailers, the response. By the full name of the message.
    Later(&'static str),
}

/// What an input gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Given<'v> {
    /// A text.
    Text(Cow<'v, [u8]>),
    /// A piece of metadata; `None` where there is none.
    Metadata(Option<&'v Value>),
    /// Everything that expressions ask about.
    Attributes,
    /// There is no such thing.
    Nothing,
    /// It cannot be there yet.
    NotYet,
}

/// What inputs give and matchers take, by Envoy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts, and metadata, which only its own matcher takes.
    String,
    /// What expressions ask about.
    Attributes,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Attributes => "cel_data_input",
        }
    }
}

impl Input {
    /// What it gives, if anything.
    pub(super) fn kind(&self) -> Kind {
        if *self == Input::Attributes { Kind::Attributes } else { Kind::String }
    }

    /// Whether it is what is known of every connection, which is asked about where there is no request.
    pub fn is_of_connections(&self) -> bool {
        matches!(
            self,
            Input::DestinationIp
                | Input::DestinationPort
                | Input::SourceIp
                | Input::SourcePort
                | Input::DirectSourceIp
                | Input::ServerName
                | Input::UriSans
                | Input::DnsSans
                | Input::CertificateSubject
                | Input::FilterState(_)
                | Input::FilterStateField(..)
                | Input::Absent(_)
        )
    }

    /// Whether it is of a host that is to be connected to, and not of who comes to the proxy.
    pub fn is_of_host(&self) -> bool {
        matches!(self, Input::EndpointMetadata(_) | Input::LocalityMetadata(_) | Input::SharedState(_))
    }

    /// Whether it is what listener filters find out of a connection, which is asked about where filter chains are chosen.
    pub fn is_of_greeting(&self) -> bool {
        matches!(self, Input::TransportProtocol | Input::ApplicationProtocols)
    }

    /// The type URL of its message, as Envoy names it.
    pub fn type_url(&self) -> String {
        let (package, message) = match self {
            Input::RequestHeader(_) => (from_proto::HTTP, "HttpRequestHeaderMatchInput"),
            Input::QueryParameter(_) => (from_proto::HTTP, "HttpRequestQueryParamMatchInput"),
            Input::SourceIp => (from_proto::NETWORK, "SourceIPInput"),
            Input::SourcePort => (from_proto::NETWORK, "SourcePortInput"),
            Input::SourceType => (from_proto::NETWORK, "SourceTypeInput"),
            Input::DirectSourceIp => (from_proto::NETWORK, "DirectSourceIPInput"),
            Input::DestinationIp => (from_proto::NETWORK, "DestinationIPInput"),
            Input::DestinationPort => (from_proto::NETWORK, "DestinationPortInput"),
            Input::ServerName => (from_proto::NETWORK, "ServerNameInput"),
            Input::TransportProtocol => (from_proto::NETWORK, "TransportProtocolInput"),
            Input::ApplicationProtocols => (from_proto::NETWORK, "ApplicationProtocolInput"),
            Input::FilterState(_) | Input::FilterStateField(..) => (from_proto::NETWORK, "FilterStateInput"),
            Input::DynamicMetadata(_) => (from_proto::NETWORK, "DynamicMetadataInput"),
            Input::UriSans => (from_proto::SSL, "UriSanInput"),
            Input::DnsSans => (from_proto::SSL, "DnsSanInput"),
            Input::CertificateSubject => (from_proto::SSL, "SubjectInput"),
            Input::EndpointMetadata(_) => (from_proto::SOCKET, "EndpointMetadataInput"),
            Input::LocalityMetadata(_) => (from_proto::SOCKET, "LocalityMetadataInput"),
            Input::SharedState(_) => (from_proto::SOCKET, "FilterStateInput"),
            Input::Environment(_) => (from_proto::ENVIRONMENT, ""),
            Input::Attributes => (from_proto::ATTRIBUTES, ""),
            Input::Absent(name) | Input::Later(name) => ("", *name),
        };
        format!("type.googleapis.com/{package}{message}")
    }

    /// The value for a request.
    pub fn value<'v>(&'v self, subject: &Subject<'v>) -> Given<'v> {
        let ip = |address: Option<SocketAddr>| address.map(|address| text(address.ip()));
        let port = |address: Option<SocketAddr>| address.map(|address| text(address.port()));
        let peers = &subject.peers;
        let found = match self {
            Input::RequestHeader(name) => joined(subject.headers, name),
            Input::QueryParameter(name) => {
                let (_, query) = split_query(subject.headers.get(Known::Path).unwrap_or_default());
                query_parameter(query, name.as_bytes()).map(Cow::Borrowed)
            }
            Input::SourceIp => ip(peers.source),
            Input::SourcePort => port(peers.source),
            Input::SourceType => peers.are_local().then_some(Cow::Borrowed(&b"local"[..])),
            Input::DirectSourceIp => ip(peers.direct_source),
            Input::DestinationIp => ip(peers.destination),
            Input::DestinationPort => port(peers.destination),
            Input::ServerName => {
                (!peers.server_name.is_empty()).then_some(Cow::Borrowed(peers.server_name.as_bytes()))
            }
            Input::TransportProtocol => {
                let protocol = peers.transport_protocol.as_bytes();
                (!protocol.is_empty()).then_some(Cow::Borrowed(protocol))
            }
            Input::ApplicationProtocols => match peers.application_protocols {
                [] => None,
                protocols => Some(text(format!("'{}'", protocols.join("','")))),
            },
            Input::FilterState(name) => subject.notes.and_then(|notes| notes.state(name)).map(Cow::Borrowed),
            Input::FilterStateField(name, field) => subject
                .notes
                .and_then(|notes| notes.state_field(name, field))
                .map(|value| Cow::Borrowed(value.as_bytes())),
            Input::SharedState(name) => subject.notes.and_then(|notes| notes.state(name)).map(Cow::Borrowed),
            Input::EndpointMetadata(path) => {
                subject.notes.and_then(|notes| notes.metadata(path)).and_then(said)
            }
            Input::LocalityMetadata(path) => {
                subject.notes.and_then(|notes| notes.locality_metadata(path)).and_then(said)
            }
            Input::DynamicMetadata(path) => {
                return Given::Metadata(subject.notes.and_then(|notes| notes.metadata(path)));
            }
            Input::Environment(value) => value.as_deref().map(|value| Cow::Borrowed(value.as_bytes())),
            Input::Attributes => return Given::Attributes,
            // As in Envoy, which does not know that nothing comes any more.
            Input::UriSans | Input::DnsSans | Input::CertificateSubject if !peers.is_tls => {
                return Given::NotYet;
            }
            Input::UriSans => peers.certificate.and_then(|certificate| all(certificate.uris)),
            Input::DnsSans => peers.certificate.and_then(|certificate| all(certificate.dns_names)),
            Input::CertificateSubject => {
                let subject = peers.certificate.map(|certificate| certificate.subject);
                subject.filter(|subject| !subject.is_empty()).map(|subject| Cow::Borrowed(subject.as_bytes()))
            }
            Input::Absent(_) => None,
            Input::Later(_) => return Given::NotYet,
        };
        found.map_or(Given::Nothing, Given::Text)
    }
}

/// Names with commas between them; `None` where there is none.
fn all(names: &[String]) -> Option<Cow<'_, [u8]>> {
    match names {
        [] => None,
        [name] => Some(Cow::Borrowed(name.as_bytes())),
        names => Some(Cow::Owned(names.join(",").into_bytes())),
    }
}

/// A piece of metadata as a text.
fn said(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Null => None,
        Value::String(value) => Some(Cow::Borrowed(value.as_bytes())),
        value => Some(text(value)),
    }
}

fn text(value: impl ToString) -> Cow<'static, [u8]> {
    Cow::Owned(value.to_string().into_bytes())
}
