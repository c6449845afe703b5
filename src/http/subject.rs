//! A request as the conditions of matchers see it.

use std::net::SocketAddr;

use crate::base::headers::Headers;
use crate::config::cel::Attributes;
use crate::config::match_tree::{Noted, PeerCertificate, Peers, Subject};
use crate::config::runtime::Values;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stream_info::{Address, StreamInfo};

/// The request, the ends of its connection and what is noted of it; with attributes where expressions may ask.
pub(crate) fn subject<'a>(
    headers: &'a Headers,
    info: &'a StreamInfo,
    attributes: Option<&'a StreamAttributes<'a>>,
    runtime: &'a Values,
) -> Subject<'a> {
    let connection = &info.connection;
    let certificate = connection.tls.get().and_then(|tls| tls.peer_certificate());
    let peers = Peers {
        source: ip(info.remote()),
        connection_source: ip(&connection.remote),
        direct_source: ip(&connection.direct_remote),
        destination: ip(&connection.local),
        server_name: &connection.requested_server_name,
        transport_protocol: "",
        application_protocols: &[],
        is_tls: connection.tls.get().is_some(),
        is_validated: connection.tls.get().is_some_and(|tls| tls.validated),
        certificate: certificate.map(|certificate| PeerCertificate {
            uris: &certificate.uris,
            dns_names: &certificate.dns_names,
            subject: &certificate.subject,
            names: Some(certificate),
        }),
    };
    let notes = info.notes().map(|notes| notes as &dyn Noted);
    let attributes = attributes.map(|attributes| attributes as &dyn Attributes);
    Subject { headers, peers, notes, attributes, runtime, is_known: false }
}

fn ip(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Ip(address) => Some(*address),
        Address::Pipe(_) | Address::Internal { .. } => None,
    }
}
