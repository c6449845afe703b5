//! Connections for bytes that are no HTTP: `envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions`.

use std::collections::HashMap;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::upstreams::tcp::v3::TcpProtocolOptions;
use envoy_types::pb::google::protobuf::Any;

use crate::config::extension;
use crate::config::field::{Scope, open};

/// The key of the options in `typed_extension_protocol_options`.
const KEY: &str = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions";

/// How long a connection may wait for a client when nothing is configured.
pub const DEFAULT_TCP_IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a connection may wait for a client; `None` for ever. The options are taken out of those by type.
pub(super) fn idle_timeout(typed: &mut HashMap<String, Any>, at: &mut Scope<'_>) -> Option<Duration> {
    let Some(any) = typed.remove(KEY) else { return Some(DEFAULT_TCP_IDLE_TIMEOUT) };
    let mut at = at.key("typed_extension_protocol_options", KEY);
    let message: TcpProtocolOptions = extension::read(any, &mut at)?;
    open! { at, TcpProtocolOptions = message; implemented { idle_timeout } }
    at.timeout("idle_timeout", idle_timeout, Some(DEFAULT_TCP_IDLE_TIMEOUT))
}
