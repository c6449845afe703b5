//! What the admin interface asks of the rest of the program.

use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::Value;

use crate::transport::tls::shown::Shown;

/// The running program, as the admin interface sees it. Called on the control thread.
pub trait Program {
    /// How far it is in its life.
    fn state(&self) -> ServerState;

    /// The listeners that serve, in the order of their addition.
    fn listeners(&self) -> Vec<ListenerStatus>;

    /// The clusters in force, sorted by name; each looked at when it is its turn.
    fn clusters(&self) -> Box<dyn Iterator<Item = ClusterStatus>>;

    /// All configuration but endpoints, for `/config_dump`.
    fn resources(&self) -> Vec<Resource>;

    /// The endpoints of the clusters in force.
    fn endpoints(&self) -> Vec<Resource>;

    /// Fields that are set and have no effect.
    fn unsupported(&self) -> Vec<Unsupported>;

    /// The version of the last response of LDS or CDS; empty if there is none.
    fn version(&self, kind: ResourceKind) -> String;

    /// The certificates of the contexts in force.
    fn certificates(&self) -> Vec<Shown>;

    /// Whether configurations of filters are discovered, or were.
    fn discovers_extensions(&self) -> bool;

    /// Whether there is a connection manager, be it of a listener that warms or drains.
    fn has_connection_managers(&self) -> bool;

    /// What still has to come before the program serves.
    fn unready(&self) -> Vec<UnreadyTargets>;

    /// The runtime's values.
    fn runtime(&self) -> RuntimeStatus;

    /// Sets values in the runtime's admin layer; an empty one takes the override away.
    ///
    /// # Errors
    /// There is no admin layer.
    fn modify_runtime(&self, values: Vec<(String, String)>) -> Result<(), String>;

    /// Begins to do something; the answer does not wait for its end.
    fn act(&self, action: Action);
}

/// How far the program is in its life: `envoy.admin.v3.ServerInfo.State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// It serves.
    Live,
    /// It ends, or health checks are to fail.
    Draining,
    /// The first clusters are not there yet.
    PreInitializing,
    /// The first listeners are not there yet.
    Initializing,
}

impl ServerState {
    /// The name of the enum's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerState::Live => "LIVE",
            ServerState::Draining => "DRAINING",
            ServerState::PreInitializing => "PRE_INITIALIZING",
            ServerState::Initializing => "INITIALIZING",
        }
    }
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `/quitquitquit`: end the process.
    Quit,
    /// `/healthcheck/fail`
    FailHealthChecks,
    /// `/healthcheck/ok`
    PassHealthChecks,
    /// `/drain_listeners`
    DrainListeners(Drain),
    /// `/reopen_logs`
    ReopenLogs,
}

/// How listeners are drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    /// Let connections finish for the drain time before listeners close.
    pub graceful: bool,
    /// Let connections finish, but close no listener.
    pub skip_exit: bool,
    /// Only listeners with the traffic direction `INBOUND`.
    pub inbound_only: bool,
}

/// A listener that serves.
#[derive(Clone, Debug)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Its addresses, those of the sockets.
    pub addresses: Vec<ListenerAddress>,
}

/// An address that a listener has.
pub type ListenerAddress = crate::observability::stream_info::Address;

/// A cluster in force.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// Its name in statistics and logs.
    pub observability_name: String,
    /// Whether it came by CDS.
    pub added_via_api: bool,
    /// Circuit breakers of default priority.
    pub default_priority: Thresholds,
    /// Circuit breakers of high priority.
    pub high_priority: Thresholds,
    /// What outlier detection found in the interval before, where there is any.
    pub outlier: Option<OutlierStatus>,
    /// Its hosts, by priority.
    pub hosts: Vec<HostStatus>,
    /// Name of the EDS resource, if that is not the cluster's; empty otherwise.
    pub eds_service_name: String,
}

/// What the success rates of a cluster's hosts came to, in percent; -1 where it is not known.
#[derive(Clone, Copy, Debug)]
pub struct OutlierStatus {
    /// The mean.
    pub average: f64,
    /// What a host's rate must not be below.
    pub threshold: f64,
    /// The mean for failures to connect, resets and timeouts.
    pub local_origin_average: f64,
    /// What a host's rate must not be below for those.
    pub local_origin_threshold: f64,
}

/// `envoy.config.cluster.v3.CircuitBreakers.Thresholds`
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Connections.
    pub max_connections: u32,
    /// Requests that wait for a connection.
    pub max_pending_requests: u32,
    /// Requests at once.
    pub max_requests: u32,
    /// Retries at once.
    pub max_retries: u32,
}

/// A host of a cluster.
#[derive(Clone, Debug)]
pub struct HostStatus {
    /// Its address and port; a path for a Unix socket.
    pub address: String,
    /// The same in parts.
    pub parts: ListenerAddress,
    /// Its name; empty if it has none.
    pub hostname: String,
    /// Counters and gauges by name, in the order of the names: `cx_active`, …
    pub stats: Vec<(&'static str, u64)>,
    /// Names of the health flags that are set, such as `/failed_eds_health`; empty if it is healthy.
    pub health_flags: Vec<&'static str>,
    /// Its success rate in percent in the interval before; none where outlier detection does not know it.
    pub success_rate: Option<f64>,
    /// The same for failures to connect, resets and timeouts.
    pub local_origin_success_rate: Option<f64>,
    /// Its health by EDS: `HEALTHY`, `UNHEALTHY`, `DEGRADED`, `DRAINING`.
    pub eds_health_status: &'static str,
    /// Its weight.
    pub weight: u32,
    /// Region, zone and sub-zone.
    pub locality: (String, String, String),
    /// Its priority.
    pub priority: u32,
    /// Whether its metadata says that it is a canary.
    pub canary: bool,
}

/// The runtime's values.
#[derive(Clone, Debug, Default)]
pub struct RuntimeStatus {
    /// Names of the layers, the strongest last.
    pub layers: Vec<String>,
    /// Keys, and the value of each layer; empty where it has none.
    pub entries: Vec<(String, Vec<String>)>,
}

/// Parts of the program that are not ready.
#[derive(Clone, Debug)]
pub struct UnreadyTargets {
    /// Which part, such as `init manager Server`.
    pub name: String,
    /// What it waits for.
    pub targets: Vec<String>,
}

/// A kind of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// The bootstrap; there is one.
    Bootstrap,
    /// Clusters.
    Cluster,
    /// Endpoints.
    Endpoints,
    /// Configurations of filters.
    Extension,
    /// Listeners.
    Listener,
    /// Route configurations.
    Route,
    /// The scopes of one connection manager.
    Scopes,
    /// Secrets.
    Secret,
}

/// A field that is set and has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// What kind of resource it stands in.
    pub kind: ResourceKind,
    /// The resource's name; empty for the bootstrap.
    pub name: String,
    /// Where it stands there.
    pub path: String,
    /// Why it has none.
    pub reason: String,
}

/// How far a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceState {
    /// From the bootstrap.
    Static,
    /// Not in force yet.
    Warming,
    /// In force.
    Active,
    /// A listener that finishes its connections.
    Draining,
}

/// A piece of configuration.
#[derive(Clone, Debug)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// How far it is.
    pub state: ResourceState,
    /// Its name.
    pub name: String,
    /// The version it came with; empty for static ones.
    pub version: String,
    /// Its message.
    pub message: Content,
    /// When it came.
    pub last_updated: SystemTime,
    /// Why the last update to it was refused.
    pub error: Option<UpdateFailure>,
}

/// A resource's message. Most are many, so they are made only when it is their turn.
#[derive(Clone)]
pub enum Content {
    /// None was ever accepted.
    Nothing,
    /// In wire format, without its type.
    Encoded(Bytes),
    /// Made of what is in force: the message in JSON.
    Made(Rc<dyn Fn() -> Value>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Nothing => "Nothing",
            Content::Encoded(_) => "Encoded",
            Content::Made(_) => "Made",
        })
    }
}

/// `envoy.admin.v3.UpdateFailureState`
#[derive(Clone, Debug)]
pub struct UpdateFailure {
    /// What was refused; empty if it could not be read.
    pub failed_configuration: Bytes,
    /// When.
    pub last_update_attempt: SystemTime,
    /// Why.
    pub details: String,
    /// The version of what was refused.
    pub version_info: String,
}
