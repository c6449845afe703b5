//! Transport sockets: `envoy.config.core.v3.TransportSocket`.

mod internal_upstream;
mod prelude;
mod proxy_protocol;

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::transport_sockets::http_11_proxy::v3::Http11ProxyUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::internal_upstream::v3::InternalUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::google::protobuf::Any;
use prost::Name as _;

use super::extension;
use super::field::{Scope, open};
use super::tls::{DownstreamTls, UpstreamTls};

pub use internal_upstream::{InternalUpstream, MetadataOf};
pub use prelude::Prelude;
pub(in crate::config) use proxy_protocol::host_values;
pub use proxy_protocol::{AddedValue, HostValues, PassThrough, ProxyProtocol};

/// How a host is spoken to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamSocket {
    /// What connections begin with, the first first; most with nothing.
    pub preludes: Vec<Prelude>,
    /// What listeners within the process are told of connections to them; `None` where that is nothing.
    pub internal: Option<Arc<InternalUpstream>>,
    /// How TLS is spoken; `None` for plain text.
    pub tls: Option<Arc<UpstreamTls>>,
}

/// How clients are spoken to; `None` for plain text.
pub(super) fn downstream(
    socket: Option<v3::TransportSocket>,
    at: &mut Scope<'_>,
) -> Option<Arc<DownstreamTls>> {
    let mut at = at.field("transport_socket");
    let Socket { name, kind, config } = Socket::from_proto(socket?, &mut at)?;
    let tls = tls::DownstreamTlsContext::full_name();
    if kind == tls {
        let mut at = at.field("typed_config");
        let message = extension::read(config, &mut at)?;
        return DownstreamTls::from_proto(message, &mut at).map(Arc::new);
    }
    if kind != RawBuffer::full_name() {
        unknown(&name, &[RawBuffer::full_name(), tls], &mut at);
    } else {
        read_plain(config, &mut at.field("typed_config"));
    }
    None
}

impl UpstreamSocket {
    /// From its proto; plain text without one.
    pub(super) fn from_proto(socket: Option<v3::TransportSocket>, at: &mut Scope<'_>) -> Option<Self> {
        let Some(socket) = socket else { return Some(Self::default()) };
        let Socket { name, kind, config } = Socket::from_proto(socket, at)?;
        let tls = tls::UpstreamTlsContext::full_name();
        if kind == ProxyProtocolUpstreamTransport::full_name() {
            let mut at = at.field("typed_config");
            return Self::with_proxy_protocol(extension::read(config, &mut at)?, &mut at);
        }
        if kind == InternalUpstreamTransport::full_name() {
            let mut at = at.field("typed_config");
            return Self::with_internal_upstream(extension::read(config, &mut at)?, &mut at);
        }
        if kind == Http11ProxyUpstreamTransport::full_name() {
            let mut at = at.field("typed_config");
            return Self::with_http11_proxy(extension::read(config, &mut at)?, &mut at);
        }
        if kind == tls {
            let mut at = at.field("typed_config");
            let message = extension::read(config, &mut at)?;
            let tls = UpstreamTls::from_proto(message, &mut at)?;
            return Some(UpstreamSocket { tls: Some(Arc::new(tls)), ..UpstreamSocket::default() });
        }
        if kind == RawBuffer::full_name() {
            return read_plain(config, &mut at.field("typed_config")).map(|()| UpstreamSocket::default());
        }
        let [plain, others @ ..] = prelude::known();
        unknown(&name, &[plain, tls].into_iter().chain(others).collect::<Vec<_>>(), at);
        None
    }
}

/// A transport socket by the type of its configuration.
struct Socket {
    name: String,
    /// Full name of the type.
    kind: String,
    config: Any,
}

impl Socket {
    fn from_proto(message: v3::TransportSocket, at: &mut Scope<'_>) -> Option<Self> {
        use v3::transport_socket::ConfigType;
        open! { at, v3::TransportSocket = message; implemented { name, config_type } }
        let name = at.required_string("name", name);
        // As in Envoy a name alone stands for nothing.
        let config = match config_type {
            Some(ConfigType::TypedConfig(config)) => config,
            None => Any::default(),
        };
        Some(Socket { name, kind: extension::contained_type(&config), config })
    }
}

/// Looks at the plain socket's configuration, which has no fields.
fn read_plain(config: Any, at: &mut Scope<'_>) -> Option<()> {
    let message = extension::read(config, at)?;
    open! { at, RawBuffer = message; implemented {} }
    Some(())
}

fn unknown(name: &str, known: &[String], at: &mut Scope<'_>) {
    let known = known.join(", ");
    at.unsupported(format!("Didn't find a registered implementation for '{name}'; known: {known}"));
}
