//! The running program, as the admin interface sees it and acts on it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::admin::{
    Action, ClusterStatus, Drain, HostStatus, ListenerStatus, Program, Resource, ResourceKind, ResourceState,
    RuntimeStatus, ServerState, Thresholds, UnreadyTargets, UpdateFailure,
};
use crate::config::address::Address;
use crate::config::bootstrap::Bootstrap;
use crate::config::cluster::{self, Discovery};
use crate::config::endpoint::HealthStatus;
use crate::control::State;
use crate::control::resources::{Record, Resources};
use crate::control::startup::Phase;
use crate::listener::manager::Command;
use crate::observability::stream_info;
use crate::upstream::host::health_flag;
use crate::upstream::{Cluster, Host};

use super::runtime::Runtime;

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
    /// When it was read.
    pub(super) started: SystemTime,
    /// The runtime's values.
    pub(super) runtime: RefCell<Runtime>,
    /// Whether health checks fail because somebody asked for it, or because the end has come.
    pub(super) draining: Cell<bool>,
    /// What the end is asked for with.
    pub(super) quit: watch::Sender<bool>,
    /// Opens log files anew.
    pub(super) reopen: Box<dyn Fn()>,
    /// Time for connections to end.
    pub(super) drain_time: std::time::Duration,
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
            self.tell(&Command::DrainConnections { inbound_only });
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

    fn fixed<'a, T>(
        &'a self,
        kind: ResourceKind,
        resources: &'a [crate::config::bootstrap::StaticResource<T>],
        name: impl Fn(&T) -> &str + 'a,
    ) -> impl Iterator<Item = Resource> + 'a {
        resources.iter().map(move |resource| Resource {
            kind,
            state: ResourceState::Static,
            name: name(&resource.value).to_owned(),
            version: String::new(),
            message: resource.bytes.clone(),
            last_updated: self.started,
            error: None,
        })
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
            addresses: listener.sockets.bound.iter().map(|bound| shown(&bound.address)).collect(),
        };
        listeners.iter().map(|listener| status(listener)).collect()
    }

    fn clusters(&self) -> Vec<ClusterStatus> {
        let state = self.state.borrow();
        let manager = state.clusters.manager();
        let mut clusters: Vec<_> = manager.active().values().cloned().collect();
        clusters.sort_by(|one, other| one.name.cmp(&other.name));
        clusters.iter().map(|cluster| cluster_status(cluster, !manager.is_fixed(&cluster.name))).collect()
    }

    fn resources(&self) -> Vec<Resource> {
        let state = self.state.borrow();
        let bootstrap = Resource {
            kind: ResourceKind::Bootstrap,
            state: ResourceState::Static,
            name: String::new(),
            version: String::new(),
            message: self.bootstrap.bytes.clone(),
            last_updated: self.started,
            error: None,
        };
        let mut all = vec![bootstrap];
        all.extend(self.fixed(ResourceKind::Cluster, &self.bootstrap.clusters, |cluster| &cluster.name));
        all.extend(self.fixed(ResourceKind::Listener, &self.bootstrap.listeners, |listener| &listener.name));
        all.extend(from_xds(ResourceKind::Cluster, state.clusters.resources()));
        all.extend(from_xds(ResourceKind::Listener, state.listeners.resources()));
        all.extend(from_xds(ResourceKind::Route, state.routes.resources()));
        let endpoints = state.clusters.endpoints().records();
        all.extend(endpoints.map(|(name, record)| {
            resource(ResourceKind::Endpoints, ResourceState::Active, name, record, None)
        }));
        all
    }

    fn version(&self, kind: ResourceKind) -> String {
        let state = self.state.borrow();
        match kind {
            ResourceKind::Cluster => state.clusters.resources().version.clone(),
            ResourceKind::Listener => state.listeners.resources().version.clone(),
            ResourceKind::Bootstrap | ResourceKind::Endpoints | ResourceKind::Route => String::new(),
        }
    }

    fn unready(&self) -> Vec<UnreadyTargets> {
        let waits_for = match *self.phase.borrow() {
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
        self.runtime.borrow_mut().modify(values)
    }

    fn act(&self, action: Action) {
        match action {
            Action::Quit => {
                self.draining.set(true);
                self.quit.send_replace(true);
            }
            Action::FailHealthChecks => {
                self.draining.set(true);
                self.tell(&Command::DrainConnections { inbound_only: false });
            }
            Action::PassHealthChecks => self.draining.set(false),
            Action::DrainListeners(drain) => self.drain(drain),
            Action::ReopenLogs => (self.reopen)(),
        }
    }
}

fn from_xds(kind: ResourceKind, resources: &Resources) -> impl Iterator<Item = Resource> {
    resources.iter().flat_map(move |(name, states)| {
        let mut error = states.error.as_ref().map(|error| UpdateFailure {
            failed_configuration: error.failed_configuration.clone(),
            last_update_attempt: error.last_update_attempt,
            details: error.details.clone(),
            version_info: error.version.clone(),
        });
        let mut shown = Vec::new();
        for (record, state) in
            [(&states.active, ResourceState::Active), (&states.warming, ResourceState::Warming)]
        {
            if let Some(record) = record {
                shown.push(resource(kind, state, name, record, error.take()));
            }
        }
        if let Some(failure) = error {
            // Nothing under this name was ever taken: the refusal is all there is to show.
            shown.push(Resource {
                kind,
                state: ResourceState::Active,
                name: name.to_owned(),
                version: String::new(),
                message: bytes::Bytes::new(),
                last_updated: failure.last_update_attempt,
                error: Some(failure),
            });
        }
        shown
    })
}

fn resource(
    kind: ResourceKind,
    state: ResourceState,
    name: &str,
    record: &Record,
    error: Option<UpdateFailure>,
) -> Resource {
    Resource {
        kind,
        state,
        name: name.to_owned(),
        version: record.version.clone(),
        message: record.value.clone(),
        last_updated: record.last_updated,
        error,
    }
}

fn shown(address: &Address) -> stream_info::Address {
    match address {
        Address::Ip(address) => stream_info::Address::Ip(*address),
        other => stream_info::Address::Pipe(Arc::from(other.to_string())),
    }
}

fn thresholds(limits: &cluster::Thresholds) -> Thresholds {
    Thresholds {
        max_connections: limits.max_connections,
        max_pending_requests: limits.max_pending_requests,
        max_requests: limits.max_requests,
        max_retries: limits.max_retries,
    }
}

fn cluster_status(cluster: &Cluster, added_via_api: bool) -> ClusterStatus {
    let config = &cluster.config;
    let eds_service_name = match &config.discovery {
        Discovery::Eds { service_name, .. } if *service_name != config.name => service_name.clone(),
        _ => String::new(),
    };
    ClusterStatus {
        name: config.name.clone(),
        observability_name: config.alt_stat_name.clone().unwrap_or_else(|| config.name.clone()),
        added_via_api,
        default_priority: thresholds(&config.circuit_breakers.default),
        high_priority: thresholds(&config.circuit_breakers.high),
        hosts: cluster.hosts().iter().map(|host| host_status(host)).collect(),
        eds_service_name,
    }
}

fn host_status(host: &Host) -> HostStatus {
    let stats = &host.stats;
    let short = |number: &std::sync::atomic::AtomicU32| u64::from(number.load(Ordering::Relaxed));
    let long = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let flags = host.health_flags();
    HostStatus {
        address: host.address_text.to_string(),
        socket: match host.address {
            Address::Ip(address) => Some(address),
            _ => None,
        },
        hostname: host.hostname.to_string(),
        stats: vec![
            ("cx_active", short(&stats.cx_active)),
            ("cx_connect_fail", long(&stats.cx_connect_fail)),
            ("cx_total", long(&stats.cx_total)),
            ("rq_active", short(&stats.rq_active)),
            ("rq_error", long(&stats.rq_error)),
            ("rq_pending_active", short(&stats.rq_pending_active)),
            ("rq_success", long(&stats.rq_success)),
            ("rq_timeout", long(&stats.rq_timeout)),
            ("rq_total", long(&stats.rq_total)),
        ],
        health_flags: health_flag::NAMES
            .iter()
            .filter(|(flag, _)| flags & flag != 0)
            .map(|(_, name)| *name)
            .collect(),
        eds_health_status: eds_health(flags),
        weight: host.weight(),
        locality: (host.locality.region.clone(), host.locality.zone.clone(), host.locality.sub_zone.clone()),
        priority: host.priority(),
        canary: false,
    }
}

fn eds_health(flags: u32) -> &'static str {
    let status = match flags {
        flags if flags & health_flag::EDS_STATUS_DRAINING != 0 => HealthStatus::Draining,
        flags if flags & health_flag::FAILED_EDS_HEALTH != 0 => HealthStatus::Unhealthy,
        flags if flags & health_flag::DEGRADED_EDS_HEALTH != 0 => HealthStatus::Degraded,
        _ => HealthStatus::Healthy,
    };
    match status {
        HealthStatus::Draining => "DRAINING",
        HealthStatus::Unhealthy | HealthStatus::Timeout => "UNHEALTHY",
        HealthStatus::Degraded => "DEGRADED",
        HealthStatus::Healthy | HealthStatus::Unknown => "HEALTHY",
    }
}
