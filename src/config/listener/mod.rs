//! Listeners: `envoy.config.listener.v3.Listener`.

mod chain_index;
mod chain_matcher;
mod change;
mod fcds;
mod filter_chain;
mod filter_chain_match;
mod filter_chains;
mod from_proto;
mod internal;
mod listener_filter;
pub mod udp;

pub use chain_index::{ChainIndex, Clash, Traits};
pub use chain_matcher::{ChainMatcher, Matched};
pub use fcds::{DiscoveredChain, Fcds};
pub(super) use filter_chain::check_terminal;
pub use filter_chain::{FilterChain, NetworkFilter};
pub use filter_chain_match::{FilterChainMatch, SourceType};
pub use listener_filter::{ListenerFilter, Predicate};

use std::sync::Arc;
use std::time::Duration;

use super::access_log::AccessLog;
use super::address::{Address, SocketOption, TcpKeepalive};
use super::bootstrap::StatsMatcher;
use super::field::Error;
use super::format::FormatSecret;
use super::http_connection_manager::HttpConnectionManager;
use super::metadata::Metadata;
use super::route::KnownClusters;
use super::tls::SecretRef;

/// Connections that may wait to be accepted, when nothing else is configured.
pub const DEFAULT_TCP_BACKLOG_SIZE: u32 = 4096;

/// How connections are spread over the workers: `Listener.ConnectionBalanceConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// `exact_balance`: each connection goes to the worker with the fewest.
    Exact,
    /// `cpu_locality_balance`: each goes to the worker that stays at the CPU on which it came, where workers stay at CPUs
    /// (`Bootstrap.enable_worker_cpu_affinity`); the system decides otherwise. As in Envoy sockets stay as they were made:
    /// an update that keeps them changes nothing of it.
    CpuLocality,
}

/// A listener as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Its name; empty when the configuration gives none, then whoever starts the listener makes one up.
    pub name: String,
    /// `address`, then each of `additional_addresses`. Never empty.
    pub addresses: Vec<ListenAddress>,
    /// Whether its connections neither count nor are refused where the bootstrap limits those of all listeners.
    pub ignore_global_conn_limit: bool,
    /// Whether its connections are given to the listener at the address that they were sent to, where there is one.
    pub use_original_dst: bool,
    /// What looks at connections before their chains are chosen.
    pub listener_filters: Vec<ListenerFilter>,
    /// How long that may take; `None` means no limit; 15 s by default.
    pub listener_filters_timeout: Option<Duration>,
    /// Whether a connection on which that time is over is served all the same.
    pub continue_on_listener_filters_timeout: bool,
    /// Chains to choose from by what a connection brings.
    pub filter_chains: Vec<FilterChain>,
    /// How one of them is chosen by their criteria.
    pub chain_index: ChainIndex,
    /// How one of them is chosen in place of that: `filter_chain_matcher`.
    pub chain_matcher: Option<ChainMatcher>,
    /// Where the chains come from that the matcher names and that do not stand here: `fcds_config`.
    pub fcds: Option<Fcds>,
    /// The chain of connections that match no other.
    pub default_filter_chain: Option<FilterChain>,
    /// Bytes buffered for a connection before whoever sends them is held back; 0 means no limit, `None` leaves it to
    /// the codecs.
    pub per_connection_buffer_limit_bytes: Option<u32>,
    /// How long more may wait for a client than that; `None` for ever, which 0 means, too.
    pub per_connection_buffer_high_watermark_timeout: Option<Duration>,
    /// Whether a socket is bound at all; false only for listeners that others hand connections to.
    pub bind_to_port: bool,
    /// Whether each worker has a socket of its own (`SO_REUSEPORT`).
    pub enable_reuse_port: bool,
    /// Length of the accept queue.
    pub tcp_backlog_size: u32,
    /// How many clients may have sent data before their handshake is done (RFC 7413); the system decides when `None`.
    pub tcp_fast_open_queue_length: Option<u32>,
    /// `connection_balance_config`: how connections are spread over the workers; `None` leaves it to the system.
    pub balance: Option<Balance>,
    /// Whether clients may use several paths (MPTCP).
    pub enable_mptcp: bool,
    /// Whether a socket may be bound to an address that this host does not have.
    pub freebind: Option<bool>,
    /// Whether connections that iptables sent here are taken.
    pub transparent: Option<bool>,
    /// Connections accepted at once before others get their turn; all that wait when `None`.
    pub max_connections_to_accept_per_socket_event: Option<u32>,
    /// Replaces the address in the names of statistics.
    pub stat_prefix: Option<String>,
    /// Which of its statistics and of those of its filters are kept, in place of what the bootstrap says of all.
    pub stats_matcher: Option<Arc<StatsMatcher>>,
    /// Which way the traffic goes; decides what `inboundonly` drains.
    pub traffic_direction: TrafficDirection,
    /// Whether its connections end while health checks of the program are to fail (`/healthcheck/fail`): `drain_type`.
    pub drains_when_unhealthy: bool,
    /// Whether connections come to it from within the process alone: `internal_listener`.
    pub is_internal: bool,
    /// What it has where it listens over UDP; `None` where that is TCP or a Unix socket.
    pub udp: Option<udp::Udp>,
    /// Access logs of connections.
    pub access_log: Vec<AccessLog>,
    /// For filters and access logs.
    pub metadata: Option<Arc<Metadata>>,
    /// Secrets that formats write: of log lines, of bodies, of what is inside the listener.
    pub format_secrets: Vec<Arc<FormatSecret>>,
}

impl Listener {
    /// The same with a name of its own if it has none, as Envoy gives to such listeners of the bootstrap.
    pub fn named_or(&self, name: impl FnOnce() -> String) -> Self {
        let mut listener = self.clone();
        if listener.name.is_empty() {
            listener.name = name();
        }
        listener
    }

    /// An address of `newer` that this listener has already: both cannot be in force.
    ///
    /// Of ports that the system chooses no two are the same, unless nobody binds to them.
    pub fn duplicate_address<'l>(&self, newer: &'l Listener) -> Option<&'l Address> {
        let is_chosen = |address: &Address| match address {
            Address::Ip(address) => address.port() == 0 && self.bind_to_port,
            Address::Name { .. } | Address::Pipe { .. } | Address::Internal { .. } => false,
        };
        // A port of TCP and one of UDP are two.
        let same_protocol = self.udp.is_some() == newer.udp.is_some();
        let addresses = newer.addresses.iter().map(|listen| &listen.address).filter(|_| same_protocol);
        addresses
            .filter(|address| !is_chosen(address))
            .find(|address| self.addresses.iter().any(|listen| listen.address == **address))
    }

    /// What is said of a listener whose address another has: Envoy's words.
    pub fn refuse_address(&self, address: &Address) -> String {
        format!(
            "error adding listener: '{}' has duplicate address '{address}' as existing listener, to check if the \
             listener has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for \
             the listener",
            self.name
        )
    }

    /// What is said of a listener within the process where the bootstrap has none: Envoy's words.
    pub fn refuse_internal(&self) -> String {
        let name = &self.name;
        format!("error adding listener named '{name}': InternalListener bootstrap extension is mandatory")
    }

    /// The connection managers of all filter chains.
    pub fn connection_managers(&self) -> impl Iterator<Item = &HttpConnectionManager> {
        self.chains().flat_map(FilterChain::connection_managers)
    }

    /// Clusters that route tables inside the listener name and that are not known, where these are to be checked.
    pub fn unknown_clusters(&self, known: &KnownClusters<'_>) -> Vec<Error> {
        let chains = self.filter_chains.iter().enumerate();
        let chains = chains.map(|(index, chain)| (format!("filter_chains[{index}]"), chain));
        let default = self.default_filter_chain.iter();
        let default = default.map(|chain| ("default_filter_chain".to_owned(), chain));
        chains.chain(default).flat_map(|(path, chain)| chain.unknown_clusters(&path, known)).collect()
    }
}

impl Listener {
    /// The secrets that its filter chains and formats refer to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let chains = self.chains().filter_map(|chain| chain.tls.as_ref()).flat_map(|tls| tls.secrets());
        chains.chain(self.format_secrets.iter().map(|secret| secret.reference()))
    }
}

impl FilterChain {
    /// Its connection managers.
    pub fn connection_managers(&self) -> impl Iterator<Item = &HttpConnectionManager> {
        self.filters.iter().filter_map(NetworkFilter::downcast)
    }

    pub(super) fn unknown_clusters(&self, path: &str, known: &KnownClusters<'_>) -> Vec<Error> {
        let mut unknown = Vec::new();
        for (index, filter) in self.filters.iter().enumerate() {
            let Some(manager) = filter.downcast::<HttpConnectionManager>() else {
                continue;
            };
            for (table_path, table) in manager.routes.inline_tables() {
                unknown.extend(table.unknown_clusters(true, known).into_iter().map(|error| {
                    let path = format!("{path}.filters[{index}].typed_config.{table_path}.{}", error.path);
                    Error { path, ..error }
                }));
            }
        }
        unknown
    }
}

/// One address of a listener, with what concerns its sockets alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenAddress {
    /// A literal IP address or a pipe.
    pub address: Address,
    /// Whether an IPv6 socket takes IPv4 connections too: `SocketAddress.ipv4_compat`; else `IPV6_V6ONLY` is set.
    pub ipv4_compat: bool,
    /// Options set on the listening socket: the address's own, or else the listener's.
    pub socket_options: Vec<SocketOption>,
    /// TCP keep-alive of accepted connections: the address's own, or else the listener's.
    pub tcp_keepalive: Option<TcpKeepalive>,
}

/// `envoy.config.core.v3.TrafficDirection`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrafficDirection {
    /// Not said.
    #[default]
    Unspecified,
    /// Into the service beside the proxy.
    Inbound,
    /// Out of the service beside the proxy.
    Outbound,
}

/// A listener shared between the configuration's holders.
pub type SharedListener = Arc<Listener>;
