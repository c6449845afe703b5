//! An end of a connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config;

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket: its path, `@name` if it is abstract, empty if it has none.
    Pipe(Arc<str>),
    /// A listener within the process, or who connected to one.
    Internal {
        /// The listener's name.
        listener: Arc<str>,
        /// Which of its endpoints it is; empty if none is named.
        endpoint_id: Arc<str>,
    },
}

impl Address {
    /// The end of a connection within the process that is no listener's.
    pub fn internal_client() -> Self {
        Address::Internal { listener: "internal_client_address".into(), endpoint_id: "".into() }
    }
}

impl From<&config::address::Address> for Address {
    fn from(address: &config::address::Address) -> Self {
        use config::address::Address as Configured;
        match address {
            Configured::Ip(address) => Address::Ip(*address),
            Configured::Internal { listener, endpoint_id } => {
                let (listener, endpoint_id) = (listener.as_str().into(), endpoint_id.as_str().into());
                Address::Internal { listener, endpoint_id }
            }
            Configured::Pipe { .. } | Configured::Name { .. } => Address::Pipe(address.to_string().into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Pipe(path) => f.write_str(path),
            Address::Internal { listener, endpoint_id } => write!(f, "envoy://{listener}/{endpoint_id}"),
        }
    }
}
