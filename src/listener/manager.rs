//! The control thread's side: which listeners there are, and telling the workers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::config;
use crate::config::address::Address;
use crate::config::bootstrap::Node;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::http_connection_manager::HttpConnectionManager;
use crate::config::listener::Traits;
use crate::http::drain::Pace;
use crate::http::{ConnectionManager, check_discovered};
use crate::network::{self, SharedBuckets};
use crate::observability::access_log::{AccessLog, Sinks};
use crate::observability::stats::listener::{ListenerExtensionStats, ListenerWorkerStats};
use crate::observability::stats::server::ServerStats;
use crate::observability::stats::{CodecStats, ListenerStats, Registry};
use crate::transport::internal::DEFAULT_BUFFER_BYTES;
use crate::transport::tls::Secrets;

use super::connection_limit::ConnectionLimit;
use super::filter_chain::FilterChain;
use super::filters::Filters;
use super::sockets::Sockets;
use super::udp::Served;

/// A listener in force.
#[derive(Debug)]
pub struct Listener {
    /// Tells it from others that had or will have its name.
    pub id: u64,
    /// What it was made from.
    pub config: Arc<config::Listener>,
    /// Its name.
    pub name: Arc<str>,
    /// What sees its connections first.
    pub filters: Filters,
    /// What its connections go through, of which one is chosen.
    pub filter_chains: Box<[Arc<FilterChain>]>,
    /// The chain of connections that match no other.
    pub default_filter_chain: Option<Arc<FilterChain>>,
    /// What its datagrams are given to; `None` where it has connections.
    pub(super) datagrams: Option<Served>,
    /// `listener.<address>.`
    pub stats: ListenerStats,
    /// `listener.<address>.worker_<N>.`, by the worker's number.
    pub worker_stats: Box<[ListenerWorkerStats]>,
    /// Extension configurations that are not there; none are waited for yet.
    _extension_stats: ListenerExtensionStats,
    /// `server.`, for what must not happen to a connection.
    pub process: ServerStats,
    /// Where it listens.
    pub sockets: Arc<Sockets>,
    /// The limit of connections over all listeners, if there is one and this listener heeds it.
    pub connection_limit: Option<Arc<ConnectionLimit>>,
    /// Where its connections are logged.
    pub access_log: Box<[AccessLog]>,
    /// Who this proxy is.
    pub node: Arc<Node>,
    /// Bytes that may wait each way where its connections come from within the process.
    pub internal_buffer_bytes: usize,
}

/// What the control thread tells a worker.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve this listener, whose sockets listen; in place of the one that has its sockets now, if there is one.
    Serve(Arc<Listener>),
    /// Accept no more, let the connections end, and close what is left after the time.
    Drain {
        /// The listener's number.
        id: u64,
        /// How fast they end.
        pace: Pace,
        /// Time for its connections.
        within: Duration,
    },
    /// Accept no more on any listener, let the connections end, and close what is left after the time.
    Stop {
        /// Only listeners whose traffic direction is inbound.
        inbound_only: bool,
        /// Time for the connections.
        within: Duration,
    },
    /// Let connections end on all listeners, but go on accepting.
    DrainConnections {
        /// Only listeners whose traffic direction is inbound.
        inbound_only: bool,
        /// How fast they end.
        pace: Pace,
    },
    /// End when all connections have ended.
    Finish,
}

/// The listeners in force.
#[derive(Debug)]
pub struct Manager {
    listeners: BTreeMap<String, Arc<Listener>>,
    workers: Vec<UnboundedSender<Command>>,
    registry: Registry,
    codec_stats: CodecStats,
    sinks: Arc<Sinks>,
    /// What network filters of several chains take from.
    shared_buckets: Arc<SharedBuckets>,
    drain_time: Duration,
    connection_limit: Option<Arc<ConnectionLimit>>,
    internal_buffer_bytes: Option<usize>,
    pace: Pace,
    node: Arc<Node>,
    /// The connection managers to whose filters configurations come over ECDS, those of draining listeners included.
    discovering: Vec<Weak<ConnectionManager>>,
    /// What has come for them.
    configs: Arc<ExtensionConfigs>,
    secrets: Secrets,
}

impl Manager {
    /// A manager without listeners. Connections of removed listeners have `drain_time` to end (`--drain-time-s`), and
    /// do so at this pace (`--drain-strategy`).
    pub fn new(
        workers: Vec<UnboundedSender<Command>>,
        registry: Registry,
        sinks: Arc<Sinks>,
        drain_time: Duration,
        pace: Pace,
    ) -> Self {
        let codec_stats = CodecStats::new(&registry, "");
        // Envoy's are there from the first connection on, and who reads them is one.
        codec_stats.http1();
        let listeners = BTreeMap::new();
        Manager {
            listeners,
            workers,
            registry,
            codec_stats,
            sinks,
            shared_buckets: Arc::default(),
            drain_time,
            connection_limit: None,
            internal_buffer_bytes: None,
            pace,
            node: Arc::default(),
            discovering: Vec::new(),
            configs: Arc::default(),
            secrets: Secrets::default(),
        }
    }

    /// Of this node, whom connection managers may tell others of.
    pub fn with_node(mut self, node: Node) -> Self {
        self.node = Arc::new(node);
        self
    }

    /// With a limit of connections over all listeners that heed it.
    pub fn with_connection_limit(mut self, max: Option<u64>) -> Self {
        self.connection_limit = max.map(|max| Arc::new(ConnectionLimit::new(max)));
        self
    }

    /// With listeners within the process, on whose connections so many bytes may wait each way; none without a number.
    pub fn with_internal_listeners(mut self, buffer_bytes: Option<usize>) -> Self {
        self.internal_buffer_bytes = buffer_bytes;
        self
    }

    /// With secrets that listeners may refer to.
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// The listeners in force, by name.
    pub fn listeners(&self) -> &BTreeMap<String, Arc<Listener>> {
        &self.listeners
    }

    /// How many workers there are.
    pub fn workers(&self) -> u64 {
        self.workers.len() as u64
    }

    /// Makes a listener and binds its sockets, without serving it yet. Its sockets are those of the listener that it
    /// replaces, or of the one that was to do so and is still `warming`, where these are at the same addresses.
    ///
    /// # Errors
    /// Why it cannot be served: an address that cannot be bound, a chain that this build does not have.
    pub fn prepare(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Listener>,
    ) -> Result<Arc<Listener>, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let prefix = stat_prefix(&config);
        if config.is_internal && self.internal_buffer_bytes.is_none() {
            return Err(config.refuse_internal());
        }
        let mut chains = Vec::with_capacity(config.filter_chains.len());
        for chain in &config.filter_chains {
            chains.push(self.filter_chain(chain, &config, &prefix)?);
        }
        let default = config.default_filter_chain.as_ref();
        let default = default.map(|chain| self.filter_chain(chain, &config, &prefix)).transpose()?;
        let access_log =
            AccessLog::build(&config.access_log, &self.sinks).map_err(|error| error.to_string())?;
        Ok(Arc::new(Listener {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: config.name.as_str().into(),
            filters: Filters::new(&config, &self.registry)?,
            filter_chains: chains.into(),
            default_filter_chain: default,
            datagrams: Served::of(&config, self.workers.len(), &self.registry, &self.sinks, &prefix)?,
            stats: ListenerStats::new(&self.registry, &prefix),
            worker_stats: (0..self.workers.len())
                .map(|index| ListenerWorkerStats::new(&self.registry, &format!("{prefix}worker_{index}.")))
                .collect(),
            _extension_stats: ListenerExtensionStats::new(&self.registry, &prefix),
            process: ServerStats::new(&self.registry, "server."),
            access_log,
            node: Arc::clone(&self.node),
            internal_buffer_bytes: self.internal_buffer_bytes.unwrap_or(DEFAULT_BUFFER_BYTES),
            // Last, so that no address is taken for a listener that cannot be served.
            sockets: self.sockets(&config, warming)?,
            connection_limit: self.connection_limit.clone().filter(|_| !config.ignore_global_conn_limit),
            config,
        }))
    }

    fn sockets(&self, config: &config::Listener, warming: Option<&Listener>) -> Result<Arc<Sockets>, String> {
        let active = self.listeners.get(&config.name).map(|listener| &**listener);
        let mut predecessors = active.into_iter().chain(warming);
        match predecessors.find(|predecessor| same_sockets(&predecessor.config, config)) {
            Some(predecessor) => Ok(Arc::clone(&predecessor.sockets)),
            None => {
                let sockets = Sockets::bind(config, self.workers.len());
                sockets.map(Arc::new).map_err(|error| error.to_string())
            }
        }
    }

    /// Puts a prepared listener in force; one of the same name drains.
    ///
    /// # Errors
    /// An address that cannot be listened on, and why. Nothing has changed then.
    pub fn serve(&mut self, listener: Arc<Listener>) -> Result<(), String> {
        listener.sockets.listen(&listener.config).map_err(|error| error.to_string())?;
        self.tell(&Command::Serve(Arc::clone(&listener)));
        let replaced = self.listeners.insert(listener.config.name.clone(), listener);
        if let Some(replaced) = replaced {
            self.drain(&replaced);
        }
        Ok(())
    }

    /// Whether the configuration of a filter that came over ECDS can be in force.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, config: &ExtensionConfig) -> Result<(), String> {
        check_discovered(config, &self.sinks)
    }

    /// Puts configurations of filters in force that came over ECDS.
    pub fn configure(&mut self, configs: &Arc<ExtensionConfigs>) {
        self.configs = Arc::clone(configs);
        self.discovering.retain(|manager| {
            let manager = manager.upgrade();
            manager.inspect(|manager| manager.configure(configs)).is_some()
        });
    }

    /// Takes a listener out of force; its connections drain. False when there is none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(removed) = self.listeners.remove(name) else {
            return false;
        };
        self.drain(&removed);
        true
    }

    fn drain(&self, listener: &Listener) {
        self.tell(&Command::Drain { id: listener.id, pace: self.pace, within: self.drain_time });
    }

    /// Tells every worker; one that has ended needs telling nothing.
    fn tell(&self, command: &Command) {
        for worker in &self.workers {
            if worker.send(command.clone()).is_err() {
                tracing::debug!(target: "main", "a worker has ended");
            }
        }
    }

    fn filter_chain(
        &mut self,
        chain: &config::listener::FilterChain,
        listener: &config::Listener,
        prefix: &str,
    ) -> Result<Arc<FilterChain>, String> {
        let (registry, sinks) = (self.registry.clone(), Arc::clone(&self.sinks));
        let shared_buckets = Arc::clone(&self.shared_buckets);
        let context = network::filter::Context {
            registry: &registry,
            sinks: &sinks,
            shared_buckets: &shared_buckets,
            buffer_limit_bytes: listener.per_connection_buffer_limit_bytes,
        };
        let filters = network::Chain::new(&chain.filters, &context, |filter| {
            let options = filter.downcast::<HttpConnectionManager>()?;
            Some(self.http(options, listener, prefix))
        })?;
        FilterChain::new(chain, filters, &self.registry, prefix, &self.secrets).map(Arc::new)
    }

    fn http(
        &mut self,
        options: &HttpConnectionManager,
        listener: &config::Listener,
        prefix: &str,
    ) -> Result<Arc<ConnectionManager>, String> {
        let codec_stats = self.codec_stats.clone();
        let buffer_limit = listener.per_connection_buffer_limit_bytes;
        let manager = ConnectionManager::new(
            options.clone(),
            &self.registry,
            prefix,
            codec_stats,
            &self.sinks,
            buffer_limit,
            &self.node,
        )?;
        let manager = Arc::new(manager);
        if manager.discovers() {
            manager.configure(&self.configs);
            self.discovering.push(Arc::downgrade(&manager));
        }
        Ok(manager)
    }
}

impl Listener {
    /// The filter chain of a connection; `None` where none matches.
    pub fn filter_chain(&self, connection: &Traits<'_>) -> Option<&Arc<FilterChain>> {
        let found =
            self.config.chain_index.find(connection).and_then(|number| self.filter_chains.get(number));
        found.or(self.default_filter_chain.as_ref())
    }
}

/// `listener.<address>.`, with `_` for the colons of the address.
///
/// The address is the configured one, so that a port that the system chooses shows as 0, as in Envoy.
fn stat_prefix(config: &config::Listener) -> String {
    let address = || match &config.addresses.first()?.address {
        Address::Internal { listener, .. } => Some(format!("envoy_internal_{listener}")),
        address => Some(address.to_string().replace(':', "_")),
    };
    let name = config.stat_prefix.clone().or_else(address).unwrap_or_default();
    format!("listener.{name}.")
}

/// Whether a listener may take over the sockets of another. Another backlog is no reason against it: that of a socket
/// can change.
fn same_sockets(current: &config::Listener, next: &config::Listener) -> bool {
    current.addresses == next.addresses
        && current.udp.is_some() == next.udp.is_some()
        && current.is_internal == next.is_internal
        && current.bind_to_port == next.bind_to_port
        && current.enable_reuse_port == next.enable_reuse_port
        && current.freebind == next.freebind
        && current.transparent == next.transparent
}

#[cfg(test)]
mod tests;
