//! Network addresses: `envoy.config.core.v3.Address`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where to listen or connect, as configured: `envoy.config.core.v3.Address`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port: `SocketAddress` with a literal address.
    Ip(SocketAddr),
    /// A name to resolve and a port: `SocketAddress` with a host name. Only clusters with DNS discovery
    /// may hold one.
    Name {
        /// The host name, without a trailing port.
        host: String,
        /// The port number, 0 to 65,535.
        port: u16,
    },
    /// A Unix domain socket: `Pipe`. A path that begins with `@` is in the abstract namespace.
    Pipe {
        /// The path as configured.
        path: PathBuf,
        /// File mode of a listening socket; 0 leaves it as created.
        mode: u32,
    },
}

impl Address {
    /// The IP address, if this is a literal one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Address::Ip(address) => Some(address.ip()),
            Address::Name { .. } | Address::Pipe { .. } => None,
        }
    }
}

impl fmt::Display for Address {
    /// Envoy's form: `127.0.0.1:80`, `[::1]:80`, or the path of a pipe.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Name { host, port } => write!(f, "{host}:{port}"),
            Address::Pipe { path, .. } => path.display().fmt(f),
        }
    }
}

/// One socket option: `envoy.config.core.v3.SocketOption`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocketOption {
    /// The protocol level as in `setsockopt`.
    pub level: i32,
    /// The option's number as in `setsockopt`.
    pub name: i32,
    /// The value.
    pub value: SocketOptionValue,
    /// When the option is set.
    pub state: SocketState,
}

/// The value of a [`SocketOption`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketOptionValue {
    /// `int_value`
    Int(i32),
    /// `buf_value`
    Buffer(Vec<u8>),
}

/// When a [`SocketOption`] is set on a socket: `SocketOption.SocketState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SocketState {
    /// After it is created and before it is bound.
    #[default]
    PreBind,
    /// After it is bound and before it listens.
    Bound,
    /// After it listens.
    Listening,
}

/// TCP keep-alive of a connection: `envoy.config.core.v3.TcpKeepalive`. `None` leaves the system's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpKeepalive {
    /// Probes without an answer before the connection is given up.
    pub probes: Option<u32>,
    /// Seconds of silence before the first probe.
    pub time_seconds: Option<u32>,
    /// Seconds between probes.
    pub interval_seconds: Option<u32>,
}
