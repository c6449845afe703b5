//! A listener in force.

use std::sync::Arc;

use crate::config;
use crate::config::bootstrap::Node;
use crate::config::listener::{Matched, Traits};
use crate::listener::balance::Balancer;
use crate::listener::connection_limit::ConnectionLimit;
use crate::listener::filter_chain::FilterChain;
use crate::listener::filters::Filters;
use crate::listener::open_connections::OpenConnections;
use crate::listener::sockets::Sockets;
use crate::listener::udp::Served;
use crate::observability::access_log::AccessLog;
use crate::observability::stats::listener::{ListenerExtensionStats, ListenerWorkerStats};
use crate::observability::stats::server::ServerStats;
use crate::observability::stats::{ListenerStats, Registry};

/// A listener in force.
#[derive(Debug)]
pub struct Listener {
    /// Tells it from others that had or will have its name, except those that differ from it in filter chains alone.
    pub id: u64,
    /// What it was made from.
    pub config: Arc<config::Listener>,
    /// Its name.
    pub name: Arc<str>,
    /// What sees its connections first.
    pub filters: Arc<Filters>,
    /// What its connections go through, of which one is chosen.
    pub filter_chains: Box<[Arc<FilterChain>]>,
    /// The chain of connections that match no other.
    pub default_filter_chain: Option<Arc<FilterChain>>,
    /// What its datagrams are given to; `None` where it has connections.
    pub(in crate::listener) datagrams: Option<Served>,
    /// `listener.<address>.`
    pub stats: ListenerStats,
    /// `listener.<address>.worker_<N>.`, by the worker's number.
    pub worker_stats: Box<[ListenerWorkerStats]>,
    /// Connections that are closed because the configuration of a filter has not come: `listener.<address>.`
    pub(in crate::listener) extension_stats: ListenerExtensionStats,
    /// Where its statistics are, with what it says of them.
    pub(super) registry: Registry,
    /// `server.`, for what must not happen to a connection.
    pub process: ServerStats,
    /// Where it listens.
    pub sockets: Arc<Sockets>,
    /// What spreads its connections over the workers; the system does where there is none.
    pub(in crate::listener) balancer: Option<Arc<Balancer>>,
    /// How many of its connections are open.
    pub(in crate::listener) open: Arc<OpenConnections>,
    /// The limit of connections over all listeners, if there is one and this listener heeds it.
    pub connection_limit: Option<Arc<ConnectionLimit>>,
    /// How many connections are open of all listeners, those included that heed no limit.
    pub(in crate::listener) all_open: Arc<OpenConnections>,
    /// Whether the runtime can limit these. It cannot where `connection_limit` is for all, nor for a listener that heeds none.
    pub(in crate::listener) heeds_runtime_limit: bool,
    /// Where its connections are logged.
    pub access_log: Box<[AccessLog]>,
    /// Who this proxy is.
    pub node: Arc<Node>,
    /// Bytes that may wait each way where its connections come from within the process.
    pub internal_buffer_bytes: usize,
}

impl Listener {
    /// The filter chain of a connection; `None` where none matches.
    pub fn filter_chain(&self, connection: &Traits<'_>) -> Option<&Arc<FilterChain>> {
        let found =
            self.config.chain_index.find(connection).and_then(|number| self.filter_chains.get(number));
        found.or(self.default_filter_chain.as_ref())
    }

    /// The filter chain that the listener's matcher has led to; `None` where there is none.
    pub fn matched(&self, matched: Matched) -> Option<&Arc<FilterChain>> {
        match matched {
            Matched::Chain(place) => self.filter_chains.get(place),
            Matched::Nowhere => None,
            Matched::Nothing => self.default_filter_chain.as_ref(),
        }
    }

    /// All of them.
    pub(super) fn chains(&self) -> impl Iterator<Item = &Arc<FilterChain>> {
        self.filter_chains.iter().chain(&self.default_filter_chain)
    }
}
