//! What a request says of the connection that carries it.

use super::{HttpProxy, Proxied};

/// What a request says of the connection that carries it, in place of what is configured: Envoy's
/// `TransportSocketOptions`. Requests that say the same share connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransportOptions {
    /// The name of the server that TLS asks for.
    pub server_name: Option<Box<str>>,
    /// Names of which the host's certificate has to have one; empty where that is not asked.
    pub names: Box<[Box<str>]>,
    /// Protocols that TLS offers; empty leaves it to the configuration.
    pub alpn: Box<[Vec<u8>]>,
    /// Whose connection it came on, where the host is told.
    pub proxied: Option<Box<Proxied>>,
    /// The proxy that it goes through.
    pub http_proxy: Option<Box<HttpProxy>>,
}

impl TransportOptions {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
