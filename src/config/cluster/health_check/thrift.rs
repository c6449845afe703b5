//! `envoy.extensions.health_checkers.thrift.v3.Thrift`

use envoy_types::pb::envoy::extensions::filters::network::thrift_proxy::v3 as thrift_proxy;
use envoy_types::pb::envoy::extensions::health_checkers::thrift::v3::Thrift;

use super::Checker;
use crate::config::field::{Scope, open};

/// The call that a server has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThriftHealthCheck {
    /// The method, which takes no arguments.
    pub method: String,
    /// How messages are framed.
    pub transport: ThriftTransport,
    /// How they are written.
    pub protocol: ThriftProtocol,
}

/// How messages are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThriftTransport {
    /// Their length stands before them.
    Framed,
    /// So does a header that names the protocol.
    Header,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThriftProtocol {
    /// Numbers have a fixed width.
    Binary,
    /// The same, without the version.
    LaxBinary,
    /// Numbers are as short as they can be.
    Compact,
}

/// A call by Thrift.
pub(super) fn from_proto(message: Thrift, at: &mut Scope<'_>) -> Option<Checker> {
    use thrift_proxy::{ProtocolType, TransportType};
    open! { at, Thrift = message; implemented { method_name, transport, protocol } }
    let method = at.required_string("method_name", method_name);
    let transport = match at.enumeration("transport", transport) {
        TransportType::Framed => ThriftTransport::Framed,
        TransportType::Header => ThriftTransport::Header,
        TransportType::AutoTransport | TransportType::Unframed => {
            at.reject(
                "transport",
                "what has no frame does not tell where it ends; FRAMED and HEADER are served",
            );
            return None;
        }
    };
    let protocol = match (at.enumeration("protocol", protocol), transport) {
        (ProtocolType::Binary, _) => ThriftProtocol::Binary,
        (ProtocolType::LaxBinary, ThriftTransport::Framed) => ThriftProtocol::LaxBinary,
        (ProtocolType::Compact, _) => ThriftProtocol::Compact,
        _ => {
            at.reject(
                "protocol",
                "BINARY and COMPACT are served, and LAX_BINARY where the transport is FRAMED",
            );
            return None;
        }
    };
    Some(Checker::Thrift(Box::new(ThriftHealthCheck { method, transport, protocol })))
}
