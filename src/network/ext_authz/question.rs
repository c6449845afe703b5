//! What the service is asked of a connection: `envoy.service.auth.v3.CheckRequest`.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::data::core::v3::TlvsMetadata;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{Peer, TlsSession};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Any;
use prost::{Message as _, Name as _};

use crate::config::metadata::to_struct;
use crate::observability::stream_info::{Address, CertificateInfo, ConnectionInfo};

use super::Config;

/// The question.
pub(super) fn of(config: &Config, info: &ConnectionInfo) -> CheckRequest {
    let tls = info.tls.get();
    let shown = tls.and_then(|tls| tls.peer_certificate());
    let certificate = shown.filter(|_| config.include_peer_certificate);
    let source = Peer {
        address: Some(address(&info.remote)),
        principal: shown.map(principal).unwrap_or_default(),
        certificate: certificate.map(|one| one.uri_encoded_pem().to_owned()).unwrap_or_default(),
        ..Peer::default()
    };
    let destination = Peer {
        address: Some(address(&info.local)),
        service: info.requested_server_name.as_ref().to_owned(),
        principal: tls.and_then(|tls| tls.local.as_deref()).map(principal).unwrap_or_default(),
        labels: labels(config, info),
        ..Peer::default()
    };
    let sni = info.requested_server_name.as_ref();
    let tls_session = (config.include_tls_session && info.encrypted && !sni.is_empty())
        .then(|| TlsSession { sni: sni.to_owned() });
    let attributes = AttributeContext {
        source: Some(source),
        destination: Some(destination),
        tls_session,
        metadata_context: Some(metadata(config, info)),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

/// Whom a certificate is of: what it names first of URIs, names of hosts and its subject.
fn principal(certificate: &CertificateInfo) -> String {
    let names = certificate.uris.first().or(certificate.dns_names.first());
    names.unwrap_or(&certificate.subject).clone()
}

/// The labels of this proxy that the service is told.
fn labels(config: &Config, info: &ConnectionInfo) -> HashMap<String, String> {
    let node = info.node.as_deref().filter(|_| !config.labels_key.is_empty());
    let labels = node.and_then(|node| node.metadata.get(&config.labels_key)?.as_object());
    let texts = labels.into_iter().flatten();
    texts.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// What was noted of the connection, as far as the service is told.
fn metadata(config: &Config, info: &ConnectionInfo) -> core::Metadata {
    let notes = info.notes.borrow();
    let noted = |name: &String| Some((name.clone(), to_struct(notes.as_deref()?.metadata_of(name)?)));
    let proxied = |name: &String| Some((name.clone(), values(notes.as_deref()?.proxied_of(name)?)));
    core::Metadata {
        filter_metadata: config.metadata_namespaces.iter().filter_map(noted).collect(),
        typed_filter_metadata: config.typed_metadata_namespaces.iter().filter_map(proxied).collect(),
    }
}

/// Values of a header of the PROXY protocol as typed metadata, the only such that there is.
fn values(values: &BTreeMap<String, Box<[u8]>>) -> Any {
    let typed_metadata = values.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
    let message = TlvsMetadata { typed_metadata };
    Any { type_url: TlvsMetadata::type_url(), value: message.encode_to_vec() }
}

fn address(address: &Address) -> core::Address {
    use core::address::Address as Kind;
    use core::envoy_internal_address::AddressNameSpecifier;
    use core::socket_address::PortSpecifier;
    let kind = match address {
        Address::Ip(address) => Kind::SocketAddress(core::SocketAddress {
            address: address.ip().to_string(),
            port_specifier: Some(PortSpecifier::PortValue(address.port().into())),
            ..core::SocketAddress::default()
        }),
        Address::Pipe(path) => Kind::Pipe(core::Pipe { path: path.to_string(), mode: 0 }),
        Address::Internal { listener, endpoint_id } => {
            Kind::EnvoyInternalAddress(core::EnvoyInternalAddress {
                endpoint_id: endpoint_id.to_string(),
                address_name_specifier: Some(AddressNameSpecifier::ServerListenerName(listener.to_string())),
            })
        }
    };
    core::Address { address: Some(kind) }
}
