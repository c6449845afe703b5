//! Making a connection to a host.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::connection_id;
use crate::base::io::{Io, Socket as Stream};
use crate::config::address::Address;
use crate::observability::stream_info::{self, Notes, TlsInfo, UpstreamSource};
use crate::transport::socket;
use crate::transport::tls::Greeting;
use crate::upstream::{Cluster, Host, TransportOptions};

use super::host::HostPool;
use super::source::{LocalConnectError, prepared};
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
                let ordered = happy_eyeballs::order(pool.host.addresses(), &config.connection.happy_eyeballs);
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
        let timeout = config.buffer.high_watermark_timeout;
        io.bound_waiting(config.buffer.limit_bytes, timeout);
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
            let connected = socket::connect_unix(path).await.map(Stream::Unix);
            connected.map_err(|error| ImmediateConnectError::wrap(&error, address))
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
