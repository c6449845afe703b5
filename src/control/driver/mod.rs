//! The task of the control thread: it hands responses, resolved names and the clock to the state machines, and does
//! what they say.
//!
//! After each round what is ready is put in force in this order: the snapshot is published, listeners that wait for
//! nothing any more serve, responses are answered, and other names are asked for. So an answer never says more than
//! is true.
//!
//! - `notices`: what happens to subscriptions; `responses`: what is made of a response, `cluster_responses`: of those about
//!   clusters;
//! - `force`: putting in force what is ready; `start`: the phases of the start.

mod cluster_responses;
mod force;
mod notices;
mod responses;
mod start;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::clusters::Clusters;
use super::extensions::Extensions;
use super::feeds::Feeds;
use super::filter_chains::FilterChains;
use super::listeners::{Listeners, Serve, Settled};
use super::noted::Noted;
use super::on_demand::OnDemand;
use super::references::{chain_extension_references, route_references, scope_references};
use super::resolving::Resolving;
use super::routes::Routes;
use super::scopes::Scopes;
use super::secret_files::SecretFiles;
use super::secrets::Secrets;
use super::setup::{Setup, SetupError};
use super::startup::Phase;
use super::subscriptions::Counted;
use super::watching::Watching;
use crate::base::random::Rng;
use crate::config;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::route::KnownClusters;
use crate::config::source::ConfigSource;
use crate::http::compile_filters;
use crate::listener;
use crate::snapshot::{Demand, Published, Snapshot, Wanted};
use crate::transport::tls::Ask;
use crate::upstream::Manager;
use crate::upstream::outlier::EventLog;
use crate::xds::Notice;

/// Notices handled before what they brought is put in force.
const ROUND: usize = 32;

/// What there is. Belongs to the control thread; the admin interface reads it between two rounds.
#[derive(Debug)]
pub struct State<S: Serve = listener::Manager> {
    /// CDS and EDS.
    pub clusters: Clusters,
    /// Clusters that requests ask for.
    pub on_demand: OnDemand,
    /// RDS.
    pub routes: Routes,
    /// SRDS.
    pub scopes: Scopes,
    /// ECDS.
    pub extensions: Extensions,
    /// SDS.
    pub secrets: Secrets,
    /// FCDS.
    pub chains: FilterChains,
    /// LDS.
    pub listeners: Listeners<S>,
}

impl<S: Serve> State<S> {
    /// Takes note of what listeners and clusters refer to now.
    fn refer(&mut self) {
        self.chains.refer(&self.listeners.chain_references());
        let mut scopes = self.listeners.scope_references();
        scopes.extend(scope_references(self.chains.all()));
        self.scopes.refer(&scopes);
        let mut extensions = self.listeners.extension_references();
        extensions.extend(chain_extension_references(self.chains.all()));
        extensions.extend(self.clusters.extension_references());
        extensions.extend(self.extensions.behind(&extensions));
        let mut routes = self.listeners.references(&self.scopes);
        routes
            .extend(self.chains.all().flat_map(|chain| route_references([chain].into_iter(), &self.scopes)));
        routes.extend(extensions.iter().filter_map(|reference| self.extensions.route_of(reference)));
        self.routes.refer(&routes, Instant::now());
        self.extensions.refer(&extensions);
        self.clusters.keep_caches(self.listeners.dns_caches());
    }

    /// The same if routers came that refer to configurations of filters themselves, or connection managers that refer to route
    /// tables, or such went.
    fn refer_behind(&mut self) {
        if self.extensions.take_refers_anew() {
            self.refer();
        }
    }

    /// Whether a listener waits for something that it refers to.
    fn is_warming(&self) -> bool {
        let State { routes, scopes, extensions, secrets, chains, .. } = self;
        self.listeners.is_warming(&Settled { routes, scopes, extensions, secrets, chains })
    }
}

/// The task of the control thread.
pub struct Control<S: Serve = listener::Manager> {
    state: Rc<RefCell<State<S>>>,
    phase: watch::Sender<Phase>,
    feeds: Feeds,
    notices: mpsc::Receiver<Notice>,
    /// What requests wait for.
    demands: mpsc::UnboundedReceiver<Demand>,
    /// The certificates that handshakes wait for.
    asks: mpsc::UnboundedReceiver<Ask>,
    resolving: Resolving,
    watching: Watching,
    files: SecretFiles,
    published: Arc<Published>,
    snapshot: Snapshot,
    /// The configurations of filters in force.
    configs: Arc<ExtensionConfigs>,
    known: config::extension::Extensions,
    noted: Noted,
    cds: Option<Watched>,
    lds: Option<Watched>,
    /// Clusters of the bootstrap that wait for the control plane's clusters to be ready.
    secondary: Vec<Arc<config::Cluster>>,
}

/// A source that all of a type is taken from.
#[derive(Debug)]
struct Watched {
    source: ConfigSource,
    counted: Counted,
    /// Whether nothing was heard yet.
    awaited: bool,
}

impl<S: Serve> Control<S> {
    /// A task that has not begun. The bootstrap's listeners are bound.
    ///
    /// # Errors
    /// A listener of the bootstrap cannot be served.
    pub fn new(setup: Setup<S>) -> Result<Self, SetupError> {
        let Setup { registry, clusters, local, locality, bind, listeners, cds, lds, .. } = setup;
        let watched = |source: Option<ConfigSource>, prefix, reloads| {
            source.map(|source| {
                let counted = Counted::new(&registry, prefix, &source, reloads);
                Watched { source, counted, awaited: true }
            })
        };
        let (secondary, primary): (Vec<_>, Vec<_>) = clusters
            .into_iter()
            .partition(|config| matches!(config.discovery, config::cluster::Discovery::Eds { .. }));
        let manager = Manager::new(registry.clone())
            .with_local(local)
            .with_runtime(Arc::clone(&setup.published.load().runtime))
            .within(locality)
            .with_bind(bind)
            .with_filters(compile_filters)
            .with_secrets(setup.secrets.clone());
        let mut state = State {
            clusters: Clusters::new(manager, cds.clone()),
            on_demand: OnDemand::new(registry.clone()),
            routes: Routes::new(registry.clone(), setup.linger)
                .reading(setup.extensions.clone())
                .with_secrets(setup.secrets.clone())
                .at_places(setup.published.places().clone()),
            scopes: Scopes::new(registry.clone()),
            extensions: Extensions::new(registry.clone()),
            secrets: Secrets::new(registry.clone(), setup.secrets),
            chains: FilterChains::new(registry.clone()),
            listeners: Listeners::new(setup.server, &registry),
        };
        for config in primary {
            state.clusters.add_fixed(config, Instant::now());
        }
        for config in listeners {
            let State { clusters, listeners, .. } = &mut state;
            let name = config.name.clone();
            let exists =
                |name: &str| clusters.has(name) || secondary.iter().any(|config| config.name == name);
            let known = KnownClusters::of(&exists);
            listeners.add_fixed(config, &known).map_err(|message| SetupError { listener: name, message })?;
        }
        state.clusters.keep_caches(state.listeners.dns_caches());
        let mut rng = setup.rng;
        let asks = state.secrets.receive_asks();
        let watching = Watching::new(
            Rc::new({
                let published = Arc::clone(&setup.published);
                move || Arc::clone(&published.load().runtime)
            }),
            setup.outlier_log.map(EventLog),
            setup.open_log,
            Rng::seeded(rng.next_u64()),
        );
        Ok(Control {
            state: Rc::new(RefCell::new(state)),
            phase: watch::Sender::new(Phase::PrimaryClusters),
            feeds: Feeds::new(setup.client),
            notices: setup.notices,
            demands: setup.published.receive_demands(),
            asks,
            resolving: Resolving::new(setup.resolver, rng),
            watching,
            files: SecretFiles::new(),
            published: setup.published,
            snapshot: Snapshot::default(),
            known: setup.extensions,
            configs: Arc::default(),
            noted: Noted::new(&registry, setup.quiet),
            cds: watched(cds, "cluster_manager.cds.", true),
            lds: watched(lds, "listener_manager.lds.", false),
            secondary,
        })
    }

    /// What there is, for others on this thread. Must not be borrowed across an `await`.
    pub fn state(&self) -> Rc<RefCell<State<S>>> {
        Rc::clone(&self.state)
    }

    /// How far the start has come.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Works until dropped. Runs in a `LocalSet`.
    pub async fn run(mut self) {
        loop {
            self.put_in_force();
            self.round().await;
        }
    }

    /// Waits for something to happen, and takes what else is there already.
    async fn round(&mut self) {
        let deadline = self.next_deadline();
        tokio::select! {
            Some(notice) = self.notices.recv() => self.handle(notice).await,
            (cluster, resolution) = self.resolving.next() => {
                self.state.borrow_mut().clusters.resolved(&cluster, resolution);
            }
            Some(demand) = self.demands.recv() => self.demand(demand),
            Some(ask) = self.asks.recv() => ask.take(),
            (source, name) = self.files.next() => self.reread(source, &name),
            cluster = self.watching.next() => self.state.borrow_mut().clusters.checked(&cluster),
            () = sleep_until(deadline) => self.expire(),
        }
        for _ in 1..ROUND {
            let Ok(demand) = self.demands.try_recv() else {
                break;
            };
            self.demand(demand);
        }
        for _ in 1..ROUND {
            let Ok(ask) = self.asks.try_recv() else {
                break;
            };
            ask.take();
        }
        for _ in 1..ROUND {
            let Ok(notice) = self.notices.try_recv() else {
                break;
            };
            self.handle(notice).await;
        }
    }

    /// Takes note of what a request waits for.
    fn demand(&self, Demand { wanted, answer }: Demand) {
        match wanted {
            Wanted::VirtualHost { source, table, host } => {
                self.state.borrow_mut().routes.ask_host(&source, &table, &host, answer);
            }
            Wanted::ScopeTable { source, tables, key } => {
                let mut state = self.state.borrow_mut();
                if state.scopes.ask(&source, tables, &key, answer) {
                    state.refer();
                }
                // What it waits for may have come meanwhile, or may come with the next snapshot.
                if Arc::ptr_eq(state.scopes.compiled(), &self.snapshot.scopes) {
                    drop(state.scopes.take_served(&self.snapshot.routes));
                }
            }
            Wanted::Cluster { source, name } => {
                let State { clusters, on_demand, .. } = &mut *self.state.borrow_mut();
                // Others may have asked for it meanwhile.
                if !clusters.manager().active().contains_key(&*name) {
                    on_demand.ask(&source, &name, clusters.has(&name), answer, Instant::now());
                }
            }
            Wanted::SubCluster { parent, target } => {
                let clusters = &mut self.state.borrow_mut().clusters;
                clusters.await_sub_cluster(&parent, &target, answer, Instant::now());
                drop(clusters.take_answered(&self.snapshot.clusters));
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let state = self.state.borrow();
        let (clusters, routes) = (state.clusters.next_deadline(), state.routes.next_deadline());
        [clusters, routes, state.on_demand.next_deadline()].into_iter().flatten().min()
    }

    fn expire(&self) {
        let mut state = self.state.borrow_mut();
        state.clusters.expire(Instant::now());
        state.routes.expire(Instant::now());
        state.on_demand.expire(Instant::now());
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl<S: Serve> fmt::Debug for Control<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("phase", &*self.phase.borrow()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
