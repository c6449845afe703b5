//! Transport sockets: `envoy.config.core.v3.TransportSocket`.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;

use super::extension;
use super::field::{Scope, open};
use super::tls::{DownstreamTls, UpstreamTls};

/// The plain socket's configuration, which has no fields.
const RAW_BUFFER: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

/// Of which end a connection is.
trait Side: Sized {
    /// Its message for TLS.
    type Message: prost::Message + prost::Name + Default;

    fn from_proto(message: Self::Message, at: &mut Scope<'_>) -> Option<Self>;
}

impl Side for DownstreamTls {
    type Message = tls::DownstreamTlsContext;

    fn from_proto(message: Self::Message, at: &mut Scope<'_>) -> Option<Self> {
        DownstreamTls::from_proto(message, at)
    }
}

impl Side for UpstreamTls {
    type Message = tls::UpstreamTlsContext;

    fn from_proto(message: Self::Message, at: &mut Scope<'_>) -> Option<Self> {
        UpstreamTls::from_proto(message, at)
    }
}

/// How clients are spoken to; `None` for plain text.
pub(super) fn downstream(
    socket: Option<v3::TransportSocket>,
    at: &mut Scope<'_>,
) -> Option<Arc<DownstreamTls>> {
    read(socket, at)
}

/// How hosts are spoken to; `None` for plain text.
pub(super) fn upstream(socket: Option<v3::TransportSocket>, at: &mut Scope<'_>) -> Option<Arc<UpstreamTls>> {
    read(socket, at)
}

fn read<S: Side>(socket: Option<v3::TransportSocket>, at: &mut Scope<'_>) -> Option<Arc<S>> {
    use prost::Name as _;
    use v3::transport_socket::ConfigType;
    let mut at = at.field("transport_socket");
    open! { at, v3::TransportSocket = socket?; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let tls = S::Message::full_name();
    match config_type {
        Some(ConfigType::TypedConfig(any)) => {
            let mut at = at.field("typed_config");
            let found = extension::contained_type(&any);
            if found == tls {
                let message = extension::read(any, &mut at)?;
                return S::from_proto(message, &mut at).map(Arc::new);
            }
            if found == RAW_BUFFER {
                let message = extension::read(any, &mut at)?;
                open! { at, RawBuffer = message; implemented {} }
                return None;
            }
        }
        // By its name alone, as Envoy finds it.
        None if name == "envoy.transport_sockets.raw_buffer" => return None,
        None => {}
    }
    at.unsupported(format!(
        "Didn't find a registered implementation for '{name}'; known: {RAW_BUFFER}, {tls}"
    ));
    None
}
