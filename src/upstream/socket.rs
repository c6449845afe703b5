//! How the hosts of a cluster are spoken to.
//!
//! Some clusters speak to hosts as these say of themselves (`transport_socket_matches`): which way that is, is found
//! anew for each connection, since what hosts say changes while they live.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::http_proxy::Detour;
use super::{Cluster, Host, TransportOptions, proxy_protocol};
use crate::base::headers::Headers;
use crate::base::io::{Io, Socket as Stream};
use crate::config;
use crate::config::address::Address;
use crate::config::cluster::{SocketMatch, SocketMatcher, socket_match};
use crate::config::endpoint::Endpoint;
use crate::config::match_tree::{Noted, Subject};
use crate::config::metadata::Metadata;
use crate::config::runtime::Values;
use crate::config::transport_socket::{InternalUpstream, MetadataOf, Prelude, ProxyProtocol, UpstreamSocket};
use crate::observability::stats::cluster::{InternalUpstreamStats, ProxyProtocolStats, SocketMatchStats};
use crate::observability::stats::{Registry, matching};
use crate::observability::stream_info::{Notes, StateObject, TlsInfo};
use crate::transport::tls::{ClientContext, Greeting, Secrets};

/// Whether conditions count what they find of a host. Envoy looks once where we look whenever we need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// As Envoy does.
    First,
    /// Where Envoy knows what it found.
    Again,
}

/// All ways in which hosts of a cluster are spoken to.
#[derive(Debug)]
pub(super) struct Sockets {
    default: Socket,
    default_stats: SocketMatchStats,
    matches: Box<[(Socket, SocketMatchStats)]>,
    /// Whether any host is told whose request it is that comes.
    any_tells: bool,
    /// What the runtime says, which conditions may ask about.
    runtime: ArcSwap<Values>,
}

impl Sockets {
    /// Those of the cluster whose statistics begin with `prefix`.
    pub(super) fn new(
        config: &config::Cluster,
        registry: &Registry,
        prefix: &str,
        secrets: &Secrets,
    ) -> Self {
        let config = &config.transport_sockets;
        let socket = |config: &_| Socket::new(config, registry, prefix, secrets);
        let stats = |name: &str| SocketMatchStats::new(registry, &format!("{prefix}{name}."));
        let new = |one: &SocketMatch| (socket(&one.socket), stats(&one.name));
        if let Some(matcher) = &config.matcher {
            matcher.count_with(&matching::counters(registry));
        }
        Sockets {
            any_tells: config.all().any(|socket| tells_clients(&socket.preludes)),
            default: socket(&config.default),
            default_stats: stats("default"),
            matches: config.matches.iter().map(new).collect(),
            runtime: ArcSwap::default(),
        }
    }

    /// How a host is spoken to that says this, and the statistics of that.
    fn of(
        &self,
        config: &config::cluster::TransportSockets,
        host: Option<&Metadata>,
        locality: Option<&Metadata>,
        said: Option<&TransportOptions>,
        search: Search,
    ) -> (&Socket, &SocketMatchStats) {
        let found = match &config.matcher {
            Some(matcher) => {
                chosen(matcher, &NotedOfHost { host, locality, said }, &self.runtime.load(), search)
            }
            None => socket_match::find(&config.matches, host, locality).map(|(index, _)| index),
        };
        match found.and_then(|index| self.matches.get(index)) {
            Some((socket, stats)) => (socket, stats),
            None => (&self.default, &self.default_stats),
        }
    }
}

/// The place in the list that the tree of conditions leads to.
fn chosen(matcher: &SocketMatcher, of: &NotedOfHost<'_>, runtime: &Values, search: Search) -> Option<usize> {
    let (headers, is_known) = (Headers::new(), search == Search::Again);
    matcher.find(&Subject { notes: Some(of), is_known, ..Subject::of_headers(&headers, runtime) })
}

/// What conditions see of a host.
#[derive(Debug)]
struct NotedOfHost<'h> {
    host: Option<&'h Metadata>,
    locality: Option<&'h Metadata>,
    said: Option<&'h TransportOptions>,
}

impl Noted for NotedOfHost<'_> {
    fn metadata(&self, path: &[String]) -> Option<&Value> {
        self.host?.find(path)
    }

    fn state(&self, name: &str) -> Option<&[u8]> {
        self.said?.shared.get(name).map(StateObject::text)
    }

    fn locality_metadata(&self, path: &[String]) -> Option<&Value> {
        self.locality?.find(path)
    }
}

impl Cluster {
    /// Takes over what the runtime says that conditions ask about which choose how hosts are spoken to. To be called by the
    /// control thread.
    pub fn follow_shares(&self, runtime: &Arc<Values>) {
        if self.config.transport_sockets.matcher.is_some() {
            self.sockets.runtime.store(Arc::clone(runtime));
        }
    }

    /// How the host is spoken to for requests that say this of their connections.
    pub(super) fn socket_of(&self, host: &Host, said: Option<&TransportOptions>) -> &Socket {
        self.found_for(host, said, Search::Again).0
    }

    /// The same for a new connection, which counts where its request has a say in it.
    pub(super) fn socket_to_connect(&self, host: &Host, said: Option<&TransportOptions>) -> &Socket {
        let shares = || said.is_some_and(|said| !said.shared.is_empty());
        let asks =
            self.config.transport_sockets.matcher.as_ref().is_some_and(|matcher| matcher.looks_at_requests);
        let search = if asks && shares() { Search::First } else { Search::Again };
        let (socket, stats) = self.found_for(host, said, search);
        if search == Search::First {
            stats.total_match_count().inc();
        }
        socket
    }

    /// How a host is spoken to that says this, in this locality, and the statistics of that.
    fn fitting(
        &self,
        host: Option<&Metadata>,
        locality: Option<&Metadata>,
        said: Option<&TransportOptions>,
        search: Search,
    ) -> (&Socket, &SocketMatchStats) {
        self.sockets.of(&self.config.transport_sockets, host, locality, said, search)
    }

    fn found_for(
        &self,
        host: &Host,
        said: Option<&TransportOptions>,
        search: Search,
    ) -> (&Socket, &SocketMatchStats) {
        if self.config.transport_sockets.matches.is_empty() {
            return (&self.sockets.default, &self.sockets.default_stats);
        }
        let metadata = host.metadata();
        self.fitting(metadata.as_deref(), host.locality_metadata.as_deref(), said, search)
    }

    /// How a host is spoken to by who says this in its place; counts it, as Envoy counts each search.
    pub(super) fn socket_for(&self, said: &Metadata, host: &Host) -> &Socket {
        let (socket, stats) =
            self.fitting(Some(said), host.locality_metadata.as_deref(), None, Search::First);
        stats.total_match_count().inc();
        socket
    }

    /// Whether it waits for secrets.
    pub fn awaits_secrets(&self) -> bool {
        let sockets = &self.sockets;
        let mut all =
            std::iter::once(&sockets.default).chain(sockets.matches.iter().map(|(socket, _)| socket));
        all.any(Socket::awaits_secrets)
    }

    /// Whether hosts are spoken to in several ways.
    pub fn has_socket_matches(&self) -> bool {
        !self.config.transport_sockets.matches.is_empty()
    }

    /// Whether the host is told whose request it is that comes.
    pub fn tells_clients(&self, host: &Host, said: Option<&TransportOptions>) -> bool {
        self.sockets.any_tells && tells_clients(&self.socket_of(host, said).preludes)
    }

    /// Whether TLS is spoken with the host.
    pub fn is_encrypted(&self, host: &Host) -> bool {
        self.socket_of(host, None).tls.is_some()
    }

    /// The port of a host that is named without one.
    pub fn default_port(&self) -> u16 {
        let encrypted = self.fitting(None, None, None, Search::Again).0.tls.is_some();
        if encrypted { 443 } else { 80 }
    }

    /// Counts how hosts for these endpoints are spoken to: Envoy asks for each endpoint of each update.
    pub(super) fn count_matches<'e>(&self, endpoints: impl Iterator<Item = &'e Endpoint>) {
        if self.config.transport_sockets.matches.is_empty() {
            return self.sockets.default_stats.total_match_count().add(endpoints.count() as u64);
        }
        for endpoint in endpoints {
            let locality = endpoint.locality_metadata.as_deref();
            let (_, stats) = self.fitting(Some(&endpoint.metadata), locality, None, Search::First);
            stats.total_match_count().inc();
        }
    }

    /// Counts how the hosts that there are are spoken to, as if they came anew.
    pub(super) fn count_matches_again(&self) {
        for host in self.hosts().iter() {
            let (metadata, locality) = (host.metadata(), host.locality_metadata.as_deref());
            let (_, stats) = self.fitting(metadata.as_deref(), locality, None, Search::First);
            stats.total_match_count().inc();
        }
    }
}

/// One way in which hosts are spoken to.
#[derive(Debug)]
pub(super) struct Socket {
    /// What is said before all else.
    preludes: Vec<Prelude>,
    /// The proxy that connections go through where nothing else is said.
    default_proxy: Option<Address>,
    proxy_stats: Option<ProxyProtocolStats>,
    /// What listeners within the process are told.
    internal: Option<(Arc<InternalUpstream>, InternalUpstreamStats)>,
    /// How they are greeted where that is with TLS; or why they cannot be.
    tls: Option<Result<Arc<ClientContext>, String>>,
}

impl Socket {
    fn new(config: &UpstreamSocket, registry: &Registry, prefix: &str, secrets: &Secrets) -> Self {
        let context = |tls| ClientContext::shared(tls, registry, prefix, secrets);
        let default_proxy = config.preludes.iter().find_map(|prelude| match prelude {
            Prelude::Http11Proxy { default } => default.clone(),
            Prelude::ProxyProtocol(_) => None,
        });
        Socket {
            preludes: config.preludes.clone(),
            default_proxy,
            proxy_stats: tells_clients(&config.preludes)
                .then(|| ProxyProtocolStats::new(registry, &format!("{prefix}upstream.proxyprotocol."))),
            internal: config.internal.clone().map(|told| {
                (told, InternalUpstreamStats::new(registry, &format!("{prefix}internal_upstream.")))
            }),
            tls: config.tls.as_ref().map(context),
        }
    }

    /// Whether it waits for secrets.
    fn awaits_secrets(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.as_ref().is_ok_and(|context| !context.is_settled()))
    }

    /// The way to this host, if it leads through a proxy.
    pub(super) fn detour(&self, host: &Host, said: Option<&TransportOptions>) -> Option<Detour> {
        Detour::to(host, said, self.default_proxy.as_ref(), self.tls.is_some())
    }

    /// What a listener within the process is told of a connection to it.
    pub(super) fn notes(
        &self,
        cluster: &config::Cluster,
        host: &Host,
        said: Option<&TransportOptions>,
    ) -> Option<Box<Notes>> {
        let (told, stats) = self.internal.as_ref()?;
        let own = host.metadata();
        let mut found = BTreeMap::new();
        for (of, name) in &told.metadata {
            let metadata = match of {
                MetadataOf::Host => own.as_deref(),
                MetadataOf::Cluster => cluster.metadata.as_deref(),
            };
            match metadata.and_then(|metadata| metadata.filter_metadata.get(name)?.as_object()) {
                Some(fields) => {
                    found.insert(name, fields);
                }
                None => stats.no_metadata().inc(),
            }
        }
        let mut notes = Box::<Notes>::default();
        for (name, fields) in found {
            notes.set_metadata(name, fields.clone());
        }
        if let Some(said) = said {
            said.shared.note(&mut notes);
        }
        Some(notes)
    }

    /// Whether anything is said before all else.
    pub(super) fn begins(&self) -> bool {
        !self.preludes.is_empty()
    }

    /// Says what is said before all else; `sent` is told of the bytes that takes.
    pub(super) async fn begin(
        &self,
        stream: &mut Stream,
        host: &Host,
        said: Option<&TransportOptions>,
        detour: Option<&Detour>,
        sent: impl Fn(u64),
    ) -> io::Result<()> {
        for prelude in &self.preludes {
            match (prelude, detour) {
                (Prelude::ProxyProtocol(config), _) => self.tell(config, stream, host, said, &sent).await?,
                (Prelude::Http11Proxy { .. }, Some(detour)) => detour.open(stream, &sent).await?,
                (Prelude::Http11Proxy { .. }, None) => {}
            }
        }
        Ok(())
    }

    /// Tells whose request comes.
    async fn tell(
        &self,
        config: &ProxyProtocol,
        stream: &mut Stream,
        host: &Host,
        said: Option<&TransportOptions>,
        sent: &impl Fn(u64),
    ) -> io::Result<()> {
        let proxied = said.and_then(|said| said.proxied.as_deref());
        let own = stream.local_address().zip(stream.remote_address());
        let metadata = host.metadata();
        let of_host = metadata.as_deref().and_then(|metadata| metadata.proxy_protocol.as_deref());
        let about = || proxy_protocol::about(host, own);
        let of_host = of_host.unwrap_or_default();
        let (header, all) = proxy_protocol::header(config, of_host, proxied, own, &about);
        drop(metadata);
        if let (false, Some(stats)) = (all, &self.proxy_stats) {
            stats.v2_tlvs_exceed_max_length().inc();
        }
        stream.write_all(&header).await?;
        sent(header.len() as u64);
        Ok(())
    }

    /// Does what is done on a new connection before the first request, once that is told.
    pub(super) async fn greet(&self, io: Io, greeting: Greeting<'_>) -> io::Result<(Io, Option<TlsInfo>)> {
        match &self.tls {
            None => Ok((io, None)),
            Some(Ok(context)) => {
                // Boxed, so that those who connect without TLS need not carry its size.
                let (io, info) = Box::pin(context.connect(io, greeting)).await?;
                Ok((io, Some(info)))
            }
            // Nothing goes out in plain text that was to be secret.
            Some(Err(error)) => Err(io::Error::other(error.clone())),
        }
    }
}

/// Whether hosts are told of clients.
fn tells_clients(preludes: &[Prelude]) -> bool {
    preludes.iter().any(|prelude| matches!(prelude, Prelude::ProxyProtocol(_)))
}
