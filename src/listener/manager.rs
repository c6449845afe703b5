//! The control thread's side: which listeners there are, and telling the workers.
//!
//! An update that changes filter chains alone makes a listener with the number of the one that it updates: workers go on
//! with its sockets and its connections, and only the chains that are gone drain.

mod chains;
mod command;
mod discovering;
mod draining;
mod listener;

pub use command::Command;
pub use draining::Counted;
pub use listener::Listener;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::config;
use crate::config::address::Address;
use crate::config::bootstrap::Node;
use crate::config::extension::ExtensionConfig;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::listener::Balance;
use crate::http::drain::Pace;
use crate::http::tracing::Tracers;
use crate::network::SharedBuckets;
use crate::observability::access_log::{AccessLog, Sinks};
use crate::observability::stats::listener::{ListenerExtensionStats, ListenerWorkerStats};
use crate::observability::stats::listener_manager::ListenerManagerStats;
use crate::observability::stats::server::ServerStats;
use crate::observability::stats::{CodecStats, ListenerStats, Registry, matching};
use crate::snapshot::Places;
use crate::transport::internal::DEFAULT_BUFFER_BYTES;
use crate::transport::tls::Secrets;

use super::balance::Balancer;
use super::connection_limit::ConnectionLimit;
use super::filters::Filters;
use super::open_connections::OpenConnections;
use super::sockets::Sockets;
use super::udp::Served;
use chains::Chains;
use discovering::Discovering;

/// The listeners in force.
#[derive(Debug)]
pub struct Manager {
    listeners: BTreeMap<String, Arc<Listener>>,
    workers: Vec<UnboundedSender<Command>>,
    registry: Registry,
    stats: ListenerManagerStats,
    codec_stats: CodecStats,
    /// Each connection manager holds it for as long as it lasts.
    connection_managers: Arc<()>,
    sinks: Arc<Sinks>,
    /// What network filters of several chains take from.
    shared_buckets: Arc<SharedBuckets>,
    drain_time: Duration,
    /// Those at which the workers stay; none where they stay at none.
    cpus: Vec<usize>,
    connection_limit: Option<Arc<ConnectionLimit>>,
    all_open: Arc<OpenConnections>,
    internal_buffer_bytes: Option<usize>,
    pace: Pace,
    node: Arc<Node>,
    tracers: Tracers,
    /// To whose filters configurations come over ECDS.
    discovering: Vec<Discovering>,
    /// What has come for them.
    configs: Arc<ExtensionConfigs>,
    secrets: Secrets,
    /// Where connection managers find their tables in snapshots.
    places: Places,
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
        let tracers = Tracers::new(registry.clone());
        let all_open = Arc::new(OpenConnections::of_all(workers.len()));
        Manager {
            listeners,
            workers,
            stats: ListenerManagerStats::new(&registry, "listener_manager."),
            registry,
            codec_stats,
            connection_managers: Arc::default(),
            sinks,
            shared_buckets: Arc::default(),
            drain_time,
            cpus: Vec::new(),
            connection_limit: None,
            all_open,
            internal_buffer_bytes: None,
            pace,
            node: Arc::default(),
            tracers,
            discovering: Vec::new(),
            configs: Arc::default(),
            secrets: Secrets::default(),
            places: Places::default(),
        }
    }

    /// Of this node, whom connection managers may tell others of.
    pub fn with_node(mut self, node: Node) -> Self {
        self.node = Arc::new(node);
        self.tracers.tell_of(Arc::clone(&self.node));
        self
    }

    /// With who makes spans for connection managers that trace and name nobody.
    pub fn with_default_tracer(mut self, provider: Option<ExtensionConfig>) -> Self {
        self.tracers.fall_back_to(provider);
        self
    }

    /// Of workers that each stay at one of these CPUs.
    pub fn with_workers_at(mut self, cpus: Vec<usize>) -> Self {
        self.cpus = cpus;
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

    /// With the places that tables have in the snapshots.
    #[must_use]
    pub fn with_places(mut self, places: Places) -> Self {
        self.places = places;
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
        let active = self.listeners.get(&config.name);
        let is_within = active.is_some_and(|active| active.config.changes_chains_alone(&config));
        let listener = self.compose(config, warming)?;
        if is_within {
            self.stats.listener_in_place_updated().inc();
        }
        Ok(listener)
    }

    /// The same of a listener to which filter chains came, or of which some went: nothing is counted.
    ///
    /// # Errors
    /// Why it cannot be served.
    pub fn compose(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Listener>,
    ) -> Result<Arc<Listener>, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let prefix = stat_prefix(&config);
        let registry = self.registry.warming(config.stats_matcher.as_ref());
        if config.is_internal && self.internal_buffer_bytes.is_none() {
            return Err(config.refuse_internal());
        }
        let updated = self.listeners.get(&config.name).map(Arc::clone);
        let updated = updated.filter(|active| active.config.changes_chains_alone(&config));
        self.secrets.serve(&config.format_secrets)?;
        let Chains { chains, default } = self.chains(&config, &prefix, &registry, updated.as_deref())?;
        let access_log =
            AccessLog::build(&config.access_log, &self.sinks).map_err(|error| error.to_string())?;
        let filters = match &updated {
            Some(updated) => Arc::clone(&updated.filters),
            None => self.filters(&config, &registry)?,
        };
        if let Some(matcher) = &config.chain_matcher {
            matcher.count_with(&matching::counters(&self.registry));
        }
        let listener = Listener {
            id: updated.as_ref().map_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed), |updated| updated.id),
            name: config.name.as_str().into(),
            filters,
            filter_chains: chains,
            default_filter_chain: default,
            datagrams: self.datagrams(&config, &registry, &prefix)?,
            stats: ListenerStats::new(&registry, &prefix),
            worker_stats: (0..self.workers.len())
                .map(|index| ListenerWorkerStats::new(&registry, &format!("{prefix}worker_{index}.")))
                .collect(),
            extension_stats: ListenerExtensionStats::new(&registry, &prefix),
            process: ServerStats::new(&self.registry, "server."),
            registry,
            access_log,
            node: Arc::clone(&self.node),
            internal_buffer_bytes: self.internal_buffer_bytes.unwrap_or(DEFAULT_BUFFER_BYTES),
            // Last, so that no address is taken for a listener that cannot be served.
            sockets: self.sockets(&config, warming)?,
            balancer: match &updated {
                Some(updated) => updated.balancer.clone(),
                None => (config.socket.balance == Some(Balance::Exact))
                    .then(|| Arc::new(Balancer::new(self.workers.len()))),
            },
            open: match &updated {
                Some(updated) => Arc::clone(&updated.open),
                None => Arc::new(OpenConnections::of_listener(&config.name, self.workers.len())),
            },
            connection_limit: self.connection_limit.clone().filter(|_| !config.ignore_global_conn_limit),
            all_open: Arc::clone(&self.all_open),
            heeds_runtime_limit: self.connection_limit.is_none() && !config.ignore_global_conn_limit,
            config,
        };
        Ok(Arc::new(listener))
    }

    fn datagrams(
        &mut self,
        config: &config::Listener,
        registry: &Registry,
        prefix: &str,
    ) -> Result<Option<Served>, String> {
        let workers = self.workers.len();
        let served = Served::of(config, workers, registry, &self.sinks, &self.configs, prefix)?;
        let proxy = served.as_ref().map(Served::proxy).filter(|proxy| proxy.discovers_filters());
        self.discovering.extend(proxy.map(|proxy| Discovering::Datagrams(Arc::downgrade(proxy))));
        Ok(served)
    }

    fn filters(&mut self, config: &config::Listener, registry: &Registry) -> Result<Arc<Filters>, String> {
        let filters = Arc::new(Filters::new(config, registry, &self.configs)?);
        if filters.are_discovered() {
            self.discovering.push(Discovering::Listener(Arc::downgrade(&filters)));
        }
        Ok(filters)
    }

    fn sockets(&self, config: &config::Listener, warming: Option<&Listener>) -> Result<Arc<Sockets>, String> {
        let active = self.listeners.get(&config.name).map(|listener| &**listener);
        let mut predecessors = active.into_iter().chain(warming);
        match predecessors.find(|predecessor| predecessor.config.may_lend_sockets(config)) {
            Some(predecessor) => Ok(Arc::clone(&predecessor.sockets)),
            None => {
                let sockets = Sockets::bind(config, self.workers.len());
                sockets.map(Arc::new).map_err(|error| error.to_string())
            }
        }
    }

    /// Puts a prepared listener in force; one of the same name drains, or those of its filter chains that are gone.
    ///
    /// # Errors
    /// An address that cannot be listened on, and why. Nothing has changed then.
    pub fn serve(&mut self, listener: Arc<Listener>) -> Result<(), String> {
        listener.sockets.listen(&listener.config, &self.cpus).map_err(|error| error.to_string())?;
        listener.registry.put_in_force();
        self.tell(&Command::Serve(Arc::clone(&listener)));
        let replaced = self.listeners.insert(listener.config.name.clone(), Arc::clone(&listener));
        match replaced {
            Some(replaced) if replaced.id == listener.id => self.drain_chains(&replaced, &listener),
            Some(replaced) => self.drain(&replaced),
            None => {}
        }
        Ok(())
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
        let counted = Counted::listener(&self.stats);
        self.tell(&Command::Drain { id: listener.id, pace: self.pace, within: self.drain_time, counted });
    }

    /// Drains the chains of a listener that its update has not.
    fn drain_chains(&self, listener: &Listener, update: &Listener) {
        let kept: HashSet<u64> = update.chains().map(|chain| chain.id).collect();
        let gone: Arc<[u64]> =
            listener.chains().map(|chain| chain.id).filter(|id| !kept.contains(id)).collect();
        if gone.is_empty() {
            return;
        }
        let counted = Counted::chains(&self.stats, gone.len() as u64);
        self.tell(&Command::DrainChains {
            id: listener.id,
            chains: gone,
            pace: self.pace,
            within: self.drain_time,
            counted,
        });
    }

    /// Tells every worker; one that has ended needs telling nothing.
    fn tell(&self, command: &Command) {
        for worker in &self.workers {
            if worker.send(command.clone()).is_err() {
                tracing::debug!(target: "main", "a worker has ended");
            }
        }
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

#[cfg(test)]
mod tests;
