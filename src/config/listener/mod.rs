//! Listeners: `envoy.config.listener.v3.Listener`.

mod addresses;
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
mod socket;
pub mod udp;

pub use addresses::ListenAddress;
pub use chain_index::{ChainIndex, Clash, Traits};
pub use chain_matcher::{ChainMatcher, Matched};
pub use fcds::{DiscoveredChain, Fcds};
pub(super) use filter_chain::check_terminal;
pub use filter_chain::{FilterChain, NetworkFilter};
pub use filter_chain_match::{FilterChainMatch, SourceType};
pub use listener_filter::{ListenerFilter, Predicate};
pub use socket::{Balance, DEFAULT_TCP_BACKLOG_SIZE, ListenSocket};

use std::sync::Arc;
use std::time::Duration;

use super::Buffer;
use super::access_log::AccessLog;
use super::address::Address;
use super::bootstrap::StatsMatcher;
use super::dns_cache::DnsCache;
use super::field::Error;
use super::format::FormatSecret;
use super::http_connection_manager::HttpConnectionManager;
use super::metadata::Metadata;
use super::route::KnownClusters;
use super::tls::SecretRef;

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
    /// What may wait for clients.
    pub buffer: Buffer,
    /// How its sockets are made, and connections accepted.
    pub socket: ListenSocket,
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
    /// Caches of names that its filters share with clusters and with others of their kind.
    pub dns_caches: Vec<DnsCache>,
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
            Address::Ip(address) => address.port() == 0 && self.socket.bind_to_port,
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
