//! Network addresses: `envoy.config.core.v3.Address`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use envoy_types::pb::envoy::config::core::v3;

use super::field::{Scope, open};

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
    /// A listener within the process: `EnvoyInternalAddress`.
    Internal {
        /// The listener's name.
        listener: String,
        /// Tells endpoints apart that are one listener; may be empty.
        endpoint_id: String,
    },
}

impl Address {
    /// The IP address, if this is a literal one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Address::Ip(address) => Some(address.ip()),
            Address::Name { .. } | Address::Pipe { .. } | Address::Internal { .. } => None,
        }
    }
}

impl fmt::Display for Address {
    /// Envoy's form: `127.0.0.1:80`, `[::1]:80`, the path of a pipe, or `envoy://listener/endpoint`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Name { host, port } => write!(f, "{host}:{port}"),
            Address::Pipe { path, .. } => path.display().fmt(f),
            Address::Internal { listener, endpoint_id } => write!(f, "envoy://{listener}/{endpoint_id}"),
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
    /// The sockets that it is set on: of datagrams or not; both when `None` (`type`).
    pub datagrams: Option<bool>,
    /// Their IP version; both, and others, when `None` (`ip_version`).
    pub ip_version: Option<IpVersion>,
}

/// Version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// 4
    V4,
    /// 6
    V6,
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

impl Address {
    /// From its proto.
    pub fn from_proto(message: v3::Address, at: &mut Scope<'_>) -> Option<Self> {
        use v3::address::Address as Kind;
        open! { at, v3::Address = message; implemented { address } }
        match at.required("address", address)? {
            Kind::SocketAddress(address) => socket_address(address, &mut at.field("socket_address")),
            Kind::Pipe(pipe) => from_pipe(pipe, &mut at.field("pipe")),
            Kind::EnvoyInternalAddress(address) => {
                from_internal(address, &mut at.field("envoy_internal_address"))
            }
        }
    }

    /// From its proto, where no name may stand that has to be resolved.
    pub fn literal_from_proto(message: v3::Address, at: &mut Scope<'_>) -> Option<Self> {
        let address = Self::from_proto(message, at)?;
        match &address {
            Address::Name { host, .. } => {
                at.error(format!("malformed IP address: {host}"));
                None
            }
            Address::Ip(_) | Address::Pipe { .. } | Address::Internal { .. } => Some(address),
        }
    }
}

/// An address and a port, literal or to be resolved.
pub(super) fn socket_address(message: v3::SocketAddress, at: &mut Scope<'_>) -> Option<Address> {
    use v3::socket_address::{PortSpecifier, Protocol};
    open! { at, v3::SocketAddress = message;
        // `ipv4_compat` concerns listening sockets only and is taken there.
        implemented { protocol, address, port_specifier, ipv4_compat }
        rejected {
            resolver_name: "no resolver extensions are known",
            network_namespace_filepath: "network namespaces are not entered",
        }
    }
    // Read by `listener::ListenAddress`; without meaning for addresses to connect to.
    let _: bool = ipv4_compat;
    // Read by whoever listens; to hosts it is whoever sends that decides.
    let _: Protocol = at.enumeration("protocol", protocol);
    let host = at.required_string("address", address);
    let port = match at.required("port_specifier", port_specifier)? {
        PortSpecifier::PortValue(port) => u16::try_from(port)
            .map_err(|_| at.field("port_value").violation("value must be less than or equal to 65535"))
            .ok()?,
        PortSpecifier::NamedPort(_) => {
            at.reject("named_port", "ports have to be given as numbers");
            return None;
        }
    };
    Some(match host.parse::<IpAddr>() {
        Ok(ip) => Address::Ip(SocketAddr::new(ip, port)),
        Err(_) => Address::Name { host, port },
    })
}

fn from_internal(message: v3::EnvoyInternalAddress, at: &mut Scope<'_>) -> Option<Address> {
    use v3::envoy_internal_address::AddressNameSpecifier;
    open! { at, v3::EnvoyInternalAddress = message; implemented { address_name_specifier, endpoint_id } }
    let AddressNameSpecifier::ServerListenerName(listener) =
        at.required("address_name_specifier", address_name_specifier)?;
    Some(Address::Internal { listener, endpoint_id })
}

fn from_pipe(message: v3::Pipe, at: &mut Scope<'_>) -> Option<Address> {
    open! { at, v3::Pipe = message; implemented { path, mode } }
    let path = at.required_string("path", path);
    if mode > 0o777 {
        at.field("mode").violation("value must be less than or equal to 511");
    }
    Some(Address::Pipe { path: path.into(), mode })
}

impl SocketOption {
    /// From its proto.
    pub fn from_proto(message: v3::SocketOption, at: &mut Scope<'_>) -> Option<Self> {
        use v3::socket_option::socket_type::{Datagram, Stream};
        use v3::socket_option::{SocketIpVersion, SocketState as State, SocketType, Value};
        open! { at, v3::SocketOption = message;
            implemented { description, level, name, state, value, r#type, ip_version }
        }
        // The description is for people.
        drop(description);
        let state = match at.enumeration::<State>("state", state) {
            State::StatePrebind => SocketState::PreBind,
            State::StateBound => SocketState::Bound,
            State::StateListening => SocketState::Listening,
        };
        let value = match at.required("value", value)? {
            Value::IntValue(value) => SocketOptionValue::Int(c_int(value, "int_value", at)?),
            Value::BufValue(bytes) => SocketOptionValue::Buffer(bytes),
        };
        let datagrams = at.message("type", r#type, |message, at| {
            open! { at, SocketType = message; implemented { stream, datagram } }
            let stream = at.message("stream", stream, |message, at| {
                open! { at, Stream = message; implemented {} }
                Some(false)
            });
            let datagram = at.message("datagram", datagram, |message, at| {
                open! { at, Datagram = message; implemented {} }
                Some(true)
            });
            // The first of the two counts; none means all.
            Some(stream.or(datagram))
        });
        let ip_version = match at.enumeration("ip_version", ip_version) {
            SocketIpVersion::Unspecified => None,
            SocketIpVersion::Ipv4 => Some(IpVersion::V4),
            SocketIpVersion::Ipv6 => Some(IpVersion::V6),
        };
        Some(SocketOption {
            level: c_int(level, "level", at)?,
            name: c_int(name, "name", at)?,
            value,
            state,
            datagrams: datagrams.flatten(),
            ip_version,
        })
    }
}

/// The proto has 64 bits where `setsockopt` takes 32.
fn c_int(value: i64, name: &str, at: &mut Scope<'_>) -> Option<i32> {
    let narrow = i32::try_from(value).ok();
    if narrow.is_none() {
        at.field(name).error(format!("{value} does not fit into 32 bits"));
    }
    narrow
}

impl TcpKeepalive {
    /// From its proto.
    pub fn from_proto(message: v3::TcpKeepalive, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::TcpKeepalive = message;
            implemented { keepalive_probes, keepalive_time, keepalive_interval }
        }
        Some(TcpKeepalive {
            probes: keepalive_probes.map(|probes| probes.value),
            time_seconds: keepalive_time.map(|time| time.value),
            interval_seconds: keepalive_interval.map(|interval| interval.value),
        })
    }
}
