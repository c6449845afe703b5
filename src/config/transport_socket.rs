//! Transport sockets: `envoy.config.core.v3.TransportSocket`. Only plain text is served.

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;

use super::extension;
use super::field::{Scope, open};

/// The plain socket's configuration, which has no fields.
const RAW_BUFFER: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

/// Refuses all but the plain socket, which is also the one where none is configured.
pub(super) fn require_plain(socket: Option<v3::TransportSocket>, at: &mut Scope<'_>) {
    use v3::transport_socket::ConfigType;
    let Some(socket) = socket else { return };
    let mut at = at.field("transport_socket");
    open! { at, v3::TransportSocket = socket; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let known = match config_type {
        Some(ConfigType::TypedConfig(any)) => {
            let mut at = at.field("typed_config");
            let known = extension::contained_type(&any) == RAW_BUFFER;
            if known {
                let Some(message) = extension::read(any, &mut at) else { return };
                open! { at, RawBuffer = message; implemented {} }
            }
            known
        }
        // By its name alone, as Envoy finds it.
        None => name == "envoy.transport_sockets.raw_buffer",
    };
    if !known {
        at.unsupported(format!("Didn't find a registered implementation for '{name}'; known: {RAW_BUFFER}"));
    }
}
