//! What was spoken where a client connected to, before somebody passed its connection on: `ForwardProtoConfig`.

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use v3::ForwardProtoConfig as Message;

use crate::config::field::{Scope, open};

/// Ports at which others end TLS, or take plain requests, and pass both on with a header of the PROXY protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForwardProto {
    /// Those at which TLS is spoken: `https_destination_ports`.
    pub https_ports: Vec<u32>,
    /// Those at which it is not: `http_destination_ports`. One that is in both lists is one of TLS.
    pub http_ports: Vec<u32>,
}

impl ForwardProto {
    pub(super) fn from_proto(message: Message, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, Message = message; implemented { https_destination_ports, http_destination_ports } }
        Some(ForwardProto { https_ports: https_destination_ports, http_ports: http_destination_ports })
    }

    /// The scheme of requests to a port; `None` where nothing is said of it.
    pub fn scheme(&self, port: u16) -> Option<&'static [u8]> {
        let port = u32::from(port);
        if self.https_ports.contains(&port) {
            return Some(b"https");
        }
        self.http_ports.contains(&port).then_some(b"http")
    }
}
