//! What connections to hosts begin with, before TLS and the first request.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::transport_sockets::http_11_proxy::v3::Http11ProxyUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::internal_upstream::v3::InternalUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use prost::Name as _;

use super::{ProxyProtocol, UpstreamSocket};
use crate::config::address::Address;
use crate::config::field::{Scope, open};

/// What connections to hosts begin with.
#[derive(Clone, Debug, PartialEq)]
pub enum Prelude {
    /// A header of the PROXY protocol: `envoy.transport_sockets.upstream_proxy_protocol`.
    ProxyProtocol(Arc<ProxyProtocol>),
    /// A request for a tunnel, where a proxy is known: `envoy.transport_sockets.http_11_proxy`.
    Http11Proxy {
        /// The proxy of hosts that name none: `default_proxy_address`; connections to them go straight when `None`.
        default: Option<Address>,
    },
}

impl UpstreamSocket {
    /// The socket of this message, on which a header goes first.
    pub(super) fn with_proxy_protocol(
        message: ProxyProtocolUpstreamTransport,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, ProxyProtocolUpstreamTransport = message;
            implemented { config, transport_socket }
            ignored {
                allow_unspecified_address: "Envoy does not read it either",
                tlv_as_pool_key: "Envoy does not read it either",
            }
        }
        let header = ProxyProtocol::from_proto(config.unwrap_or_default(), &mut at.field("config"));
        let inner = at.required("transport_socket", transport_socket)?;
        let inner = Self::from_proto(Some(inner), &mut at.field("transport_socket"))?;
        Some(inner.after(Prelude::ProxyProtocol(Arc::new(header?))))
    }

    /// The socket of this message, for which a tunnel is asked first.
    pub(super) fn with_http11_proxy(
        message: Http11ProxyUpstreamTransport,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, Http11ProxyUpstreamTransport = message;
            implemented { transport_socket, default_proxy_address }
        }
        let default = at.message("default_proxy_address", default_proxy_address, Address::literal_from_proto);
        let inner = Self::from_proto(transport_socket, &mut at.field("transport_socket"))?;
        Some(inner.after(Prelude::Http11Proxy { default }))
    }

    fn after(mut self, prelude: Prelude) -> Self {
        self.preludes.insert(0, prelude);
        self
    }
}

/// Full names of the messages that connections to hosts may be configured by, but for TLS.
pub(super) fn known() -> [String; 4] {
    [
        RawBuffer::full_name(),
        ProxyProtocolUpstreamTransport::full_name(),
        Http11ProxyUpstreamTransport::full_name(),
        InternalUpstreamTransport::full_name(),
    ]
}
