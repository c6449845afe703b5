//! Making a connection to a host.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpSocket, UdpSocket, UnixStream};
use tokio::time::Instant;

use crate::base::connection_id;
use crate::base::io::{Io, Socket as Stream};
use crate::config;
use crate::config::address::{Address, SocketOption, SocketState};
use crate::config::cluster::Bind;
use crate::observability::stream_info::{self, Notes, TlsInfo, UpstreamSource};
use crate::transport::socket;
use crate::transport::tls::Greeting;
use crate::upstream::{Cluster, Host, TransportOptions};

use super::host::HostPool;
use super::{AcquireError, happy_eyeballs};

/// What is known of a connection from its making.
#[derive(Clone, Debug)]
pub struct Established {
    /// Its number, unique in the process.
    pub id: u64,
    /// Our end; `None` for Unix sockets.
    pub local: Option<stream_info::Address>,
    /// The host's; `None` when it is the only address that the host has.
    pub remote: Option<SocketAddr>,
    /// When connecting began.
    pub begun: Instant,
    /// How long it took.
    pub took: Duration,
    /// What is known of its TLS; `None` where it is plain.
    pub tls: Option<Rc<TlsInfo>>,
    /// The filter state that was shared with it; `None` where none was.
    pub state: Option<Rc<Notes>>,
    /// How often the host had failed by then.
    failures: u32,
}

impl Established {
    pub(super) fn new(io: &Io, greeted: Greeted, host: &Host, begun: Instant) -> Self {
        let Greeted { tls, remote, state } = greeted;
        let id = connection_id::next();
        let local = match io.is_loopback() {
            true => Some(stream_info::Address::internal_client()),
            false => io.local_address().map(stream_info::Address::Ip),
        };
        let (took, tls) = (begun.elapsed(), tls.map(Rc::new));
        Established { id, local, remote, begun, took, tls, state, failures: host.failures.count() }
    }

    /// Whether the host has failed since: then the connection serves no further request.
    #[inline]
    pub(super) fn has_failed(&self, host: &Host) -> bool {
        self.failures != host.failures.count()
    }
}

/// What is known of a connection once its host is greeted.
#[derive(Debug)]
pub(super) struct Greeted {
    /// What is known of its TLS; `None` where it is plain.
    tls: Option<TlsInfo>,
    /// Where it leads; `None` when that is the only address that the host has.
    remote: Option<SocketAddr>,
    /// The filter state that is shared with it; `None` where none is.
    state: Option<Rc<Notes>>,
}

/// Connects to the first of a host's addresses that takes it, within the cluster's connect timeout; `another` hears
/// of each attempt after the first. Over TLS `alpn` is offered where the cluster offers nothing else.
pub(super) async fn connect(
    pool: &HostPool,
    alpn: &[&[u8]],
    another: impl Fn(),
) -> Result<(Io, Greeted), AcquireError> {
    let config = &*pool.cluster.config;
    let said = pool.options.borrow().clone();
    let said = said.as_deref();
    let socket = pool.cluster.socket_to_connect(&pool.host, said);
    let detour = socket.detour(&pool.host, said);
    let notes = socket.notes(config, &pool.host, said);
    let source = said.and_then(|said| said.source);
    let connecting = async {
        let mut stream = match &detour {
            Some(detour) => pool.reach(&detour.address, source, notes).await,
            None if pool.host.has_one_address() => pool.reach(&pool.host.address, source, notes).await,
            None => {
                let ordered = happy_eyeballs::order(pool.host.addresses(), &config.happy_eyeballs);
                // Few hosts have several addresses; the others need not carry this future's size.
                let race =
                    happy_eyeballs::race(&ordered, |address| pool.reach(address, source, None), another);
                Box::pin(race).await
            }
        }?;
        let greeting = Greeting {
            alpn: said.map(|said| &*said.alpn).unwrap_or_default(),
            alpn_fallback: alpn,
            server_name: said.and_then(|said| said.server_name.as_deref()),
            names: said.map(|said| &*said.names).unwrap_or_default(),
            hostname: &pool.host.hostname,
            workload: said.map(TransportOptions::workload).unwrap_or_default(),
        };
        let stats = &pool.cluster.stats;
        if socket.begins() {
            // Few do, so that the others need not carry its size either.
            let sent = |bytes| stats.upstream_cx_tx_bytes_total().add(bytes);
            Box::pin(socket.begin(&mut stream, &pool.host, said, detour.as_ref(), sent)).await?;
        }
        let (io, tls) = socket.greet(Io::from(stream), greeting).await?;
        // Asked for only where the answer is not known: it costs a system call.
        let is_known = detour.is_none() && pool.host.has_one_address();
        let remote = if is_known { None } else { io.remote_address() };
        let state = said.and_then(|said| said.shared.noted()).map(Rc::new);
        Ok((io, Greeted { tls, remote, state }))
    };
    match tokio::time::timeout(config.connect_timeout, connecting).await {
        Ok(connected) => connected.map_err(|error: io::Error| AcquireError::Connect(Arc::new(error))),
        Err(_) => Err(AcquireError::Timeout),
    }
}

/// Connects to this address, with the options that the cluster has for its connections; it may take any time.
pub(in crate::upstream) async fn attempt(address: &Address, cluster: &Cluster) -> io::Result<Stream> {
    attempt_from(address, cluster, None).await
}

/// The same from where `source` says, in place of the cluster.
async fn attempt_from(
    address: &Address,
    cluster: &Cluster,
    source: Option<UpstreamSource>,
) -> io::Result<Stream> {
    match address {
        Address::Ip(address) => tcp(*address, cluster, source).await,
        Address::Pipe { path, .. } => {
            unix(path).await.map_err(|error| ImmediateConnectError::wrap(&error, address))
        }
        Address::Name { host, .. } => Err(io::Error::other(format!("{host} is not resolved"))),
        // The listeners are the workers'.
        Address::Internal { .. } => Err(no_listener(address)),
    }
}

impl HostPool {
    /// The same, where it may be a listener of this worker, which is told this.
    async fn reach(
        &self,
        address: &Address,
        source: Option<UpstreamSource>,
        notes: Option<Box<Notes>>,
    ) -> io::Result<Stream> {
        let Address::Internal { listener, endpoint_id } = address else {
            return attempt_from(address, &self.cluster, source).await;
        };
        let stream = self.doors.connect(listener, endpoint_id, notes);
        stream.map(Stream::Loopback).ok_or_else(|| no_listener(address))
    }
}

/// That a listener within the process is not there.
fn no_listener(address: &Address) -> io::Error {
    let kind = io::ErrorKind::InvalidInput;
    let error = ImmediateConnectError { error: "Invalid argument".to_owned(), address: address.to_string() };
    io::Error::new(kind, error)
}

/// A connection that failed as soon as it was begun, which Envoy tells apart from one that fails later.
#[derive(Debug, thiserror::Error)]
#[error("immediate connect error: {error}|remote address:{address}")]
pub struct ImmediateConnectError {
    /// What the system said, without its number.
    error: String,
    address: String,
}

impl ImmediateConnectError {
    fn wrap(error: &io::Error, address: &Address) -> io::Error {
        let text = without_number(&error.to_string()).to_owned();
        io::Error::new(error.kind(), ImmediateConnectError { error: text, address: address.to_string() })
    }
}

/// What the system says of an error, without ` (os error N)` at its end.
pub fn without_number(text: &str) -> &str {
    text.split(" (os error").next().unwrap_or_default()
}

async fn tcp(address: SocketAddr, cluster: &Cluster, source: Option<UpstreamSource>) -> io::Result<Stream> {
    let prepared = prepared(address, &cluster.config, cluster.bind.as_deref(), source);
    let socket = prepared.map_err(|error| {
        tracing::debug!(target: "connection", %error, "a socket for a connection to a host cannot be set up");
        LocalConnectError::wrap(error)
    })?;
    Ok(Stream::Tcp(socket.connect(address).await?))
}

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
    fn wrap(error: io::Error) -> io::Error {
        match error.get_ref().is_some_and(|error| error.is::<Self>()) {
            true => error,
            false => io::Error::new(error.kind(), LocalConnectError(String::new())),
        }
    }
}

/// A socket for a connection to this address, set up as the cluster says, and what holds for where it comes from.
fn prepared(
    address: SocketAddr,
    config: &config::Cluster,
    bind: Option<&Bind>,
    from: Option<UpstreamSource>,
) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    let reference = socket2::SockRef::from(&socket);
    if let Some(keepalive) = &config.tcp_keepalive {
        socket::set_keepalive(&reference, keepalive)?;
    }
    let mut local = None;
    if let Some(bind) = bind {
        let (source, options) = source(address, bind);
        socket::set_options(&reference, options, SocketState::PreBind)?;
        local = match source {
            Some(Address::Ip(address)) => Some(*address),
            _ => None,
        };
        if let Some(local) = local.filter(|_| bind.freebind == Some(true)) {
            socket::set_freebind(&reference, local.is_ipv4())?;
        }
    }
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

/// A socket for datagrams to this address, set up as the cluster says.
pub(in crate::upstream) fn datagrams(address: SocketAddr, cluster: &Cluster) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), None)?;
    if let Some(bind) = cluster.bind.as_deref() {
        let (source, options) = source(address, bind);
        socket::set_options(&socket2::SockRef::from(&socket), options, SocketState::PreBind)?;
        if let Some(Address::Ip(source)) = source {
            socket.bind(&(*source).into())?;
        }
    }
    socket.connect(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Where a connection to this address comes from, and the options that it has.
fn source(address: SocketAddr, bind: &Bind) -> (Option<&Address>, &[SocketOption]) {
    let is_of_version = |own: &Address| own.ip().is_some_and(|ip| ip.is_ipv4() == address.is_ipv4());
    match bind.other_source.as_ref().filter(|other| is_of_version(&other.address)) {
        None => (bind.source_address.as_ref(), &bind.socket_options),
        Some(other) => (Some(&other.address), other.socket_options.as_ref().unwrap_or(&bind.socket_options)),
    }
}

async fn unix(path: &Path) -> io::Result<Stream> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        None => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            Ok(Stream::Unix(UnixStream::from_std(stream)?))
        }
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
    fn a_connection_has_the_options_of_its_cluster() {
        let yaml = "{name: a, upstream_connection_options: {tcp_keepalive: {keepalive_time: 70}}, \
            upstream_bind_config: {source_address: {address: 127.0.0.4, port_value: 0}, \
            socket_options: [{level: 1, name: 8, int_value: 20000}]}}";
        let config = cluster(yaml);
        let socket = socket_of(SocketAddr::from(([127, 0, 0, 1], 80)), &config).expect("a socket");
        assert_eq!(socket.local_addr().expect("bound").ip().to_string(), "127.0.0.4");
        let socket = socket2::SockRef::from(&socket);
        assert_eq!(socket.recv_buffer_size().expect("a size"), 40_000);
        assert_eq!(socket.tcp_keepalive_time().expect("a time"), Duration::from_secs(70));
    }
}
