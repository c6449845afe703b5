//! What the control thread begins with.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::noted::Quiet;
use super::watching::OpenLog;
use crate::base::random::Rng;
use crate::config::cluster::Bind;
use crate::config::endpoint::Locality;
use crate::config::extension::Extensions;
use crate::config::source::ConfigSource;
use crate::config::{Cluster, Listener};
use crate::listener;
use crate::observability::access_log::Sink;
use crate::observability::stats::Registry;
use crate::snapshot::Published;
use crate::transport::tls::Secrets;
use crate::upstream::LocalCluster;
use crate::upstream::discovery::resolver::Resolve;
use crate::xds::{Client, Notice};

/// What the control thread begins with.
pub struct Setup<S = listener::Manager> {
    /// All statistics.
    pub registry: Registry,
    /// Where workers find what is in force.
    pub published: Arc<Published>,
    /// `static_resources.clusters`
    pub clusters: Vec<Arc<Cluster>>,
    /// The one of them that this proxy is a host of, if there is one.
    pub local: Option<LocalCluster>,
    /// Where this proxy runs; without any name where that is not configured.
    pub locality: Locality,
    /// Where connections to hosts come from whose clusters do not say it: `cluster_manager.upstream_bind_config`.
    pub bind: Option<Arc<Bind>>,
    /// `static_resources.listeners`
    pub listeners: Vec<Arc<Listener>>,
    /// `dynamic_resources.cds_config`
    pub cds: Option<ConfigSource>,
    /// `dynamic_resources.lds_config`
    pub lds: Option<ConfigSource>,
    /// The extensions that resources over xDS may use, and how strictly those are read.
    pub extensions: Extensions,
    /// What is not said of resources over xDS.
    pub quiet: Quiet,
    /// The client of xDS.
    pub client: Client,
    /// What happens to its subscriptions.
    pub notices: mpsc::Receiver<Notice>,
    /// What binds and serves listeners.
    pub server: S,
    /// What resolves names of clusters.
    pub resolver: Rc<dyn Resolve>,
    /// Seeds jitter.
    pub rng: Rng,
    /// Secrets that listeners and clusters refer to.
    pub secrets: Secrets,
    /// Where ejections of hosts are logged: `cluster_manager.outlier_detection.event_log_path`.
    pub outlier_log: Option<Sink>,
    /// Opens the files in which changes of hosts' health are logged.
    pub open_log: OpenLog,
    /// How long a route table stays in force that no listener refers to any more: as long as connections of a
    /// removed listener may last (`--drain-time-s`).
    pub linger: Duration,
}

impl<S> fmt::Debug for Setup<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

/// A listener of the bootstrap that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error adding listener '{listener}': {message}")]
pub struct SetupError {
    /// Its name.
    pub listener: String,
    /// Why.
    pub message: String,
}
