//! The running program, as the admin interface sees it and acts on it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::admin::{
    Action, ClusterStatus, Drain, ListenerStatus, Program, Resource, ResourceKind, RuntimeStatus,
    ServerState, UnreadyTargets, Unsupported,
};
use crate::config::bootstrap::Bootstrap;
use crate::config::field::Notes;
use crate::control::State;
use crate::control::startup::Phase;
use crate::http::drain::Pace;
use crate::listener::manager::{Command, Listener};
use crate::observability::stats::server::ServerStats;
use crate::observability::stream_info;
use crate::snapshot::Published;
use crate::transport::tls::Secrets;
use crate::transport::tls::shown::Shown;
use crate::upstream::Cluster;

use super::runtime::Runtime;
use super::{dump, hosts, unsupported};

/// What the program consists of.
pub(super) struct Running {
    /// The clusters, listeners and routes.
    pub(super) state: Rc<RefCell<State>>,
    /// How far the start has come.
    pub(super) phase: watch::Receiver<Phase>,
    /// Ways to tell the workers.
    pub(super) workers: Vec<UnboundedSender<Command>>,
    /// The bootstrap.
    pub(super) bootstrap: Bootstrap,
    /// What was noted of it.
    pub(super) notes: Notes,
    /// Secrets, and the contexts that use them.
    pub(super) secrets: Secrets,
    /// When it was read.
    pub(super) started: SystemTime,
    /// The runtime's values.
    pub(super) runtime: RefCell<Runtime>,
    /// Where changes of the runtime are put in force.
    pub(super) published: Arc<Published>,
    /// Whether health checks fail because somebody asked for it, or because the end has come.
    pub(super) draining: Cell<bool>,
    /// What the end is asked for with.
    pub(super) quit: watch::Sender<bool>,
    /// Opens log files anew.
    pub(super) reopen: Box<dyn Fn()>,
    /// `server.`; what others change than the flush.
    pub(super) server_stats: ServerStats,
    /// Time for connections to end.
    pub(super) drain_time: std::time::Duration,
    /// How fast they end.
    pub(super) pace: Pace,
}

impl Running {
    fn tell(&self, command: &Command) {
        for worker in &self.workers {
            if worker.send(command.clone()).is_err() {
                tracing::debug!(target: "admin", "a worker has ended");
            }
        }
    }

    fn drain(&self, Drain { graceful, skip_exit, inbound_only }: Drain) {
        if graceful || skip_exit {
            self.tell(&Command::DrainConnections { inbound_only, pace: self.pace });
        }
        if skip_exit {
            return;
        }
        let stop = Command::Stop { inbound_only, within: self.drain_time };
        if !graceful {
            return self.tell(&stop);
        }
        let (workers, within) = (self.workers.clone(), self.drain_time);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(within).await;
            for worker in workers {
                // A worker that has ended has no listener to stop.
                worker.send(stop.clone()).unwrap_or_default();
            }
        });
    }
}

impl Program for Running {
    fn state(&self) -> ServerState {
        if self.draining.get() {
            return ServerState::Draining;
        }
        match *self.phase.borrow() {
            Phase::Serving => ServerState::Live,
            Phase::PrimaryClusters | Phase::SecondaryClusters | Phase::Cds | Phase::FirstClusters => {
                ServerState::PreInitializing
            }
            Phase::Lds | Phase::FirstListeners => ServerState::Initializing,
        }
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        let mut state = self.state.borrow_mut();
        let mut listeners: Vec<_> = state.listeners.server().listeners().values().cloned().collect();
        listeners.sort_by_key(|listener| listener.id);
        let status = |listener: &crate::listener::Listener| ListenerStatus {
            name: listener.config.name.clone(),
            addresses: shown_addresses(listener),
        };
        listeners.iter().map(|listener| status(listener)).collect()
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = ClusterStatus>> {
        let state = self.state.borrow();
        let manager = state.clusters.manager();
        let mut clusters: Vec<_> = manager.active().values().cloned().collect();
        clusters.sort_by(|one, other| one.name.cmp(&other.name));
        let with_origin = |cluster: Arc<Cluster>| {
            let added_via_api = !manager.is_fixed(&cluster.name);
            (cluster, added_via_api)
        };
        let clusters: Vec<_> = clusters.into_iter().map(with_origin).collect();
        Box::new(clusters.into_iter().map(|(cluster, via_api)| hosts::cluster_status(&cluster, via_api)))
    }

    fn resources(&self) -> Vec<Resource> {
        dump::resources(self)
    }

    fn endpoints(&self) -> Vec<Resource> {
        dump::endpoints(self)
    }

    fn unsupported(&self) -> Vec<Unsupported> {
        unsupported::of(self)
    }

    fn version(&self, kind: ResourceKind) -> String {
        let state = self.state.borrow();
        match kind {
            ResourceKind::Cluster => state.clusters.resources().version.clone(),
            ResourceKind::Listener => state.listeners.resources().version.clone(),
            ResourceKind::Bootstrap
            | ResourceKind::Endpoints
            | ResourceKind::Extension
            | ResourceKind::Route
            | ResourceKind::Scopes
            | ResourceKind::Secret => String::new(),
        }
    }

    fn certificates(&self) -> Vec<Shown> {
        self.secrets.shown()
    }

    fn discovers_extensions(&self) -> bool {
        self.state.borrow().extensions.resources().next().is_some()
    }

    fn has_connection_managers(&self) -> bool {
        self.state.borrow_mut().listeners.server().has_connection_managers()
    }

    fn unready(&self) -> Vec<UnreadyTargets> {
        let state = self.state.borrow();
        let unready = state.listeners.awaited_secrets(&state.secrets).map(|(name, secrets)| UnreadyTargets {
            // Envoy's ends in a hash of the configuration.
            name: format!("init manager Listener-local-init-manager {name}"),
            targets: secrets.into_iter().map(|secret| format!("shared target SdsApi {secret}")).collect(),
        });
        let unready: Vec<_> = unready.collect();
        let waits_for = match *self.phase.borrow() {
            _ if !unready.is_empty() => return unready,
            Phase::Serving => return Vec::new(),
            Phase::PrimaryClusters | Phase::SecondaryClusters | Phase::FirstClusters => "clusters",
            Phase::Cds => "cds",
            Phase::Lds => "LDS",
            Phase::FirstListeners => "listeners",
        };
        vec![UnreadyTargets {
            name: "init manager Server".to_owned(),
            targets: vec![format!("target {waits_for}")],
        }]
    }

    fn runtime(&self) -> RuntimeStatus {
        self.runtime.borrow().status()
    }

    fn modify_runtime(&self, values: Vec<(String, String)>) -> Result<(), String> {
        let mut runtime = self.runtime.borrow_mut();
        runtime.modify(values)?;
        self.published.publish_runtime(runtime.values());
        Ok(())
    }

    fn act(&self, action: Action) {
        match action {
            Action::Quit => {
                self.draining.set(true);
                self.quit.send_replace(true);
            }
            Action::FailHealthChecks => {
                self.draining.set(true);
                self.published.fail_health_checks(true);
                self.server_stats.live().set(0);
                self.tell(&Command::Heed { unhealthy: true });
            }
            Action::PassHealthChecks => {
                self.draining.set(false);
                self.published.fail_health_checks(false);
                self.tell(&Command::Heed { unhealthy: false });
                self.server_stats.live().set((self.state() == ServerState::Live).into());
            }
            Action::DrainListeners(drain) => self.drain(drain),
            Action::ReopenLogs => (self.reopen)(),
        }
    }
}

/// Where a listener listens; one that has no sockets says what it was given.
fn shown_addresses(listener: &Listener) -> Vec<stream_info::Address> {
    if listener.config.is_internal {
        return listener.config.addresses.iter().map(|listen| (&listen.address).into()).collect();
    }
    listener.sockets.bound.iter().map(|bound| (&bound.address).into()).collect()
}
