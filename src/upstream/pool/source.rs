//! The sockets of connections to hosts, and where they come from.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpSocket, UdpSocket};

use crate::config;
use crate::config::address::{Address, SocketOption, SocketState};
use crate::config::cluster::Bind;
use crate::observability::stream_info::UpstreamSource;
use crate::transport::socket;

use super::connect::without_number;

/// A connection that failed before anything was sent: its socket could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LocalConnectError(String);

impl LocalConnectError {
    fn of_bind(error: &io::Error, source: SocketAddr) -> io::Error {
        let text = format!("failed to bind to {source}: {}", without_number(&error.to_string()));
        io::Error::new(error.kind(), LocalConnectError(text))
    }

    /// Of what is no such error yet nothing is told, as in Envoy.
    pub(super) fn wrap(error: io::Error) -> io::Error {
        match error.get_ref().is_some_and(|error| error.is::<Self>()) {
            true => error,
            false => io::Error::new(error.kind(), LocalConnectError(String::new())),
        }
    }
}

/// A socket for a connection to this address, set up as the cluster says, and what holds for where it comes from.
pub(super) fn prepared(
    address: SocketAddr,
    config: &config::Cluster,
    bind: Option<&Bind>,
    from: Option<UpstreamSource>,
) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    let reference = SockRef::from(&socket);
    if let Some(keepalive) = &config.connection.tcp_keepalive {
        socket::set_keepalive(&reference, keepalive)?;
    }
    let mut local = own_address(&reference, address, bind)?;
    if let Some(UpstreamSource { address: ip, mark }) = from {
        if ip.is_ipv4() != address.is_ipv4() {
            // As in Envoy this is not told apart from options that cannot be set.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        socket::set_transparent(&reference, address.is_ipv4())?;
        if let Some(mark) = mark {
            reference.set_mark(mark.get())?;
        }
        local = Some(SocketAddr::new(ip, 0));
    }
    if let Some(local) = local {
        socket.bind(local).map_err(|error| LocalConnectError::of_bind(&error, local))?;
    }
    Ok(socket)
}

/// A socket for datagrams to this address, set up as this says.
pub(in crate::upstream) fn datagrams(address: SocketAddr, bind: Option<&Bind>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), None)?;
    if let Some(local) = own_address(&SockRef::from(&socket), address, bind)? {
        socket.bind(&local.into())?;
    }
    socket.connect(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Sets a socket up as is configured, and says to which address it is to be bound, if to any.
fn own_address(socket: &SockRef<'_>, to: SocketAddr, bind: Option<&Bind>) -> io::Result<Option<SocketAddr>> {
    let Some(bind) = bind else { return Ok(None) };
    let (source, options) = source(to, bind);
    socket::set_options(socket, options, SocketState::PreBind)?;
    let Some(Address::Ip(local)) = source else { return Ok(None) };
    if bind.freebind == Some(true) {
        socket::set_freebind(socket, local.is_ipv4())?;
    }
    Ok(Some(*local))
}

/// Where a connection to this address comes from, and the options that it has.
fn source(address: SocketAddr, bind: &Bind) -> (Option<&Address>, &[SocketOption]) {
    let is_of_version = |own: &Address| own.ip().is_some_and(|ip| ip.is_ipv4() == address.is_ipv4());
    match bind.other_source.as_ref().filter(|other| is_of_version(&other.address)) {
        None => (bind.source_address.as_ref(), &bind.socket_options),
        Some(other) => (Some(&other.address), other.socket_options.as_ref().unwrap_or(&bind.socket_options)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dragoman_proto::{encode, tree};

    use super::*;
    use crate::config::extension::Extensions;

    fn cluster(yaml: &str) -> config::Cluster {
        let document = tree::parse_yaml(yaml).expect("YAML");
        let message = "envoy.config.cluster.v3.Cluster";
        let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
        config::Cluster::parse(&bytes, &Extensions::BUILT_IN).expect("a cluster").0
    }

    /// A socket for a connection of this cluster.
    fn socket_of(to: SocketAddr, config: &config::Cluster) -> io::Result<TcpSocket> {
        prepared(to, config, config.bind.as_deref(), None)
    }

    #[test]
    fn connections_come_from_the_address_of_their_version() {
        let config = cluster(
            "{name: a, upstream_bind_config: {source_address: {address: 127.0.0.4, port_value: 0}, \
            socket_options: [{level: 1, name: 8, int_value: 20000}], \
            extra_source_addresses: [{address: {address: '::1', port_value: 0}, socket_options: {}}]}}",
        );
        let check = |address: &str, expected: &str, options: usize| {
            let bind = config.bind.as_deref().expect("a source");
            let (found, set) = source(address.parse().expect("an address"), bind);
            assert_eq!(found.map(Address::to_string).as_deref(), Some(expected));
            assert_eq!(set.len(), options);
        };
        check("127.0.0.1:80", "127.0.0.4:0", 1);
        check("[::2]:80", "[::1]:0", 0);
    }

    #[test]
    fn a_connection_may_come_from_an_address_that_the_machine_does_not_have() {
        let to = SocketAddr::from(([127, 0, 0, 1], 80));
        let bind = "source_address: {address: 203.0.113.9, port_value: 0}";
        let free = cluster(&format!("{{name: a, upstream_bind_config: {{{bind}, freebind: true}}}}"));
        let bound = socket_of(to, &free).expect("a socket").local_addr().expect("bound");
        assert_eq!(bound.ip().to_string(), "203.0.113.9");
        assert!(socket_of(to, &cluster(&format!("{{name: a, upstream_bind_config: {{{bind}}}}}"))).is_err());
    }

    #[test]
    fn datagrams_may_come_from_an_address_that_the_machine_does_not_have() {
        let to = SocketAddr::from(([127, 0, 0, 1], 80));
        let bind = "source_address: {address: 203.0.113.9, port_value: 0}";
        for (freebind, expected) in [("", false), (", freebind: true", true)] {
            let config = cluster(&format!("{{name: a, upstream_bind_config: {{{bind}{freebind}}}}}"));
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
            let own = own_address(&SockRef::from(&socket), to, config.bind.as_deref()).expect("an address");
            assert_eq!(own.map(|own| own.ip().to_string()).as_deref(), Some("203.0.113.9"));
            assert_eq!(socket.freebind_v4().expect("an option"), expected);
            assert_eq!(socket.bind(&own.expect("an address").into()).is_ok(), expected);
        }
    }

    #[test]
    fn a_connection_has_the_options_of_its_cluster() {
        let yaml = "{name: a, upstream_connection_options: {tcp_keepalive: {keepalive_time: 70}}, \
            upstream_bind_config: {source_address: {address: 127.0.0.4, port_value: 0}, \
            socket_options: [{level: 1, name: 8, int_value: 20000}]}}";
        let config = cluster(yaml);
        let socket = socket_of(SocketAddr::from(([127, 0, 0, 1], 80)), &config).expect("a socket");
        assert_eq!(socket.local_addr().expect("bound").ip().to_string(), "127.0.0.4");
        let socket = SockRef::from(&socket);
        assert_eq!(socket.recv_buffer_size().expect("a size"), 40_000);
        assert_eq!(socket.tcp_keepalive_time().expect("a time"), Duration::from_secs(70));
    }
}
