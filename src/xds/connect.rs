//! Connections to management servers: over the clusters that the bootstrap names.
//!
//! Every stream has a connection of its own, made here: to one endpoint after the other, names resolved anew each
//! time, so that a server that moved is found. It is greeted as its cluster says, with TLS or in plain text.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::{self, Channel};

use crate::base::io::Socket;
use crate::base::version;
use crate::config::address::Address;
use crate::config::cluster::{Cluster, Discovery, UpstreamProtocol};
use crate::config::endpoint::Endpoint;
use crate::config::protocol::Http2Options;
use crate::config::source::GrpcService;
use crate::observability::stats::Registry;
use crate::transport::socket::connect_unix;
use crate::transport::tls::{ClientContext, Greeting, Secrets};
use crate::upstream::cluster::stat_prefix;

use super::traffic::Traffic;

/// What is offered to a server over TLS where its cluster offers nothing else (RFC 9113 §3.2).
const HTTP2: &[u8] = b"h2";

/// A way to a management server.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) service: GrpcService,
    pub(super) address: Address,
    cluster: Arc<Cluster>,
    /// How the server is greeted where that is with TLS; or why it cannot be.
    tls: Option<Result<Arc<ClientContext>, String>>,
    /// Something would have to be said before.
    proxied: bool,
    pub(super) traffic: Traffic,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The name of the cluster or the authority cannot stand in a URI.
    #[error("{0:?} is not a valid authority")]
    Authority(String),
    /// TLS cannot be spoken as configured. Nothing goes out in plain text that was to be secret.
    #[error("cannot speak TLS: {0}")]
    Tls(String),
    /// Something is to be said to the server, or to a proxy before it, before all else.
    #[error("neither a header of the PROXY protocol nor CONNECT is sent on the way to a management server")]
    Proxied,
    /// The connection could not be made, or HTTP/2 did not begin.
    #[error("cannot connect to {address}: {}", causes(.source))]
    Connect { address: Address, source: tonic::transport::Error },
}

/// All ways to the services, in the order in which they are tried.
pub(super) fn targets(
    services: &[GrpcService],
    clusters: &[Arc<Cluster>],
    registry: &Registry,
    secrets: &Secrets,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for service in services {
        let Some(cluster) = clusters.iter().find(|cluster| cluster.name == service.cluster_name) else {
            continue;
        };
        let prefix = stat_prefix(cluster);
        let context = |tls| ClientContext::shared(tls, registry, &prefix, secrets);
        let tls = cluster.transport_sockets.default.tls.as_ref().map(context);
        for endpoint in endpoints(cluster) {
            let named = endpoint.metadata.http11_proxy.is_some();
            targets.push(Target {
                service: service.clone(),
                address: endpoint.address.clone(),
                proxied: named || !cluster.transport_sockets.default.preludes.is_empty(),
                cluster: cluster.clone(),
                tls: tls.clone(),
                traffic: Traffic::new(registry, cluster),
            });
        }
    }
    targets
}

fn endpoints(cluster: &Cluster) -> impl Iterator<Item = &Endpoint> {
    let assignment = match &cluster.discovery {
        Discovery::Static(assignment)
        | Discovery::StrictDns(assignment, _)
        | Discovery::LogicalDns(assignment, _) => Some(assignment),
        // Its endpoints would have to come over the connection that is to be made.
        Discovery::Eds { .. } => None,
        // They have none that connections could be made to without a request.
        Discovery::OriginalDst(_)
        | Discovery::Aggregate(_)
        | Discovery::Composite(_)
        | Discovery::DynamicForwardProxy(_)
        | Discovery::SubClusters(_) => None,
    };
    let mut localities: Vec<_> =
        assignment.into_iter().flat_map(|assignment| &assignment.localities).collect();
    localities.sort_by_key(|locality| locality.priority);
    localities.into_iter().flat_map(|locality| &locality.endpoints)
}

impl Target {
    /// Connects. Cancel safe.
    pub(super) async fn connect(&self) -> Result<Channel, ConnectError> {
        if self.proxied {
            return Err(ConnectError::Proxied);
        }
        let tls = self.tls.clone().transpose().map_err(ConnectError::Tls)?;
        let address = self.address.clone();
        let traffic = self.traffic.clone();
        let connector = tower::service_fn(move |_| {
            let (address, tls, connecting) = (address.clone(), tls.clone(), traffic.connecting());
            async move {
                let hostname = match &address {
                    Address::Name { host, .. } => host,
                    Address::Ip(_) | Address::Pipe { .. } | Address::Internal { .. } => "",
                };
                let stream = greeted(open(&address).await?, tls.as_deref(), hostname).await?;
                Ok::<_, io::Error>(TokioIo::new(connecting.connected(stream)))
            }
        });
        self.endpoint()?
            .connect_with_connector(connector)
            .await
            .map_err(|source| ConnectError::Connect { address: self.address.clone(), source })
    }

    fn endpoint(&self) -> Result<transport::Endpoint, ConnectError> {
        let authority = match &self.service.authority[..] {
            "" => &self.service.cluster_name[..],
            authority => authority,
        };
        let wrong = |_| ConnectError::Authority(authority.to_owned());
        let endpoint = transport::Endpoint::from_shared(format!("http://{authority}"))
            .and_then(|endpoint| endpoint.user_agent(format!("dragoman/{}", version::VERSION)))
            .map_err(wrong)?
            .connect_timeout(self.cluster.connect_timeout);
        Ok(match &self.cluster.http.protocol {
            UpstreamProtocol::Http2(options)
            | UpstreamProtocol::UseDownstream(_, options)
            | UpstreamProtocol::Auto(_, options) => tuned(endpoint, options),
            // gRPC is HTTP/2 whatever the cluster says.
            UpstreamProtocol::Http1(_) => tuned(endpoint, &Http2Options::default()),
        })
    }
}

fn tuned(endpoint: transport::Endpoint, options: &Http2Options) -> transport::Endpoint {
    let endpoint = endpoint
        .initial_stream_window_size(options.initial_stream_window_size)
        .initial_connection_window_size(options.initial_connection_window_size);
    let keepalive = options.connection_keepalive.as_ref();
    match keepalive.and_then(|keepalive| Some((keepalive.interval?, keepalive.timeout))) {
        Some((interval, timeout)) => endpoint
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(timeout)
            .keep_alive_while_idle(true),
        None => endpoint,
    }
}

/// A connected stream of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The stream that the protocol is spoken over, once the server is greeted.
async fn greeted(socket: Socket, tls: Option<&ClientContext>, hostname: &str) -> io::Result<Box<dyn Stream>> {
    Ok(match tls {
        None => Box::new(socket),
        Some(context) => {
            let greeting = Greeting { alpn_fallback: &[HTTP2], hostname, ..Greeting::default() };
            Box::new(context.greet(socket, greeting).await?.0)
        }
    })
}

async fn open(address: &Address) -> io::Result<Socket> {
    Ok(match address {
        Address::Ip(address) => Socket::Tcp(without_delay(TcpStream::connect(address).await?)?),
        Address::Name { host, port } => {
            Socket::Tcp(without_delay(TcpStream::connect((&host[..], *port)).await?)?)
        }
        Address::Pipe { path, .. } => Socket::Unix(connect_unix(path).await?),
        Address::Internal { .. } => {
            return Err(io::Error::other("a management server is no listener within the process"));
        }
    })
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An error with all that caused it: tonic's own text says only "transport error".
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
