//! All xDS of a process: which source has which task.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use envoy_types::pb::envoy::config::core::v3::Node;
use tokio::sync::mpsc;

use super::ads::Ads;
use super::connect;
use super::delta::Delta;
use super::file::{self, UnknownFields};
use super::handle::{Order, Subscription};
use super::load;
use super::message::{Interest, Notice, SubscriptionId};
use super::service;
use super::sotw::Sotw;
use super::stream::{self, Parts};
use super::variant::Variant;
use crate::base::random::Rng;
use crate::config::cluster::Cluster;
use crate::config::source::{ApiSource, ApiType, ConfigSource, SourceKind};
use crate::observability::stats::Registry;
use crate::observability::stats::control_plane::{ControlPlaneStats, LoadReporterStats};
use crate::observability::stats::server::ServerStats;
use crate::snapshot::Published;
use crate::transport::tls::Secrets;

/// Notices that wait to be read before streams stop reading.
const NOTICES: usize = 64;

/// What the client has to know.
#[derive(Debug)]
pub struct Setup {
    /// Who we are, as the servers are told.
    pub node: Node,
    /// The clusters of the bootstrap: over them the servers are reached.
    pub clusters: Vec<Arc<Cluster>>,
    /// `Bootstrap.DynamicResources.ads_config`
    pub ads: Option<ApiSource>,
    /// Secrets that those clusters refer to.
    pub secrets: Secrets,
    /// Where streams are counted: `control_plane.`, and the statistics of the clusters.
    pub registry: Registry,
    /// What becomes of unknown fields in files that are texts.
    pub unknown_fields: UnknownFields,
    /// Seeds the jitter of back-off.
    pub rng: Rng,
}

/// Why there can be no subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The source is ADS, and there is none.
    #[error("the source is ADS, but the bootstrap has no ads_config")]
    NoAds,
    /// The cluster is none of the bootstrap's, or has no endpoints of its own.
    #[error("cluster {0:?} cannot serve xDS: it must be a static cluster of the bootstrap with endpoints")]
    Cluster(String),
    /// No gRPC service is named.
    #[error("the source names no gRPC service")]
    NoService,
    /// No method serves this type alone.
    #[error("resources of type {0} come only over ADS")]
    Type(String),
    /// What `self` means depends on who says it.
    #[error("the source is `self`, which only the referring resource's source can stand for")]
    SelfSource,
}

/// All xDS of a process. Its tasks run on the tokio runtime in which [`subscribe`](Self::subscribe) is called
/// first; they end with their last subscription, ADS with the client.
#[derive(Debug)]
pub struct Client {
    setup: Setup,
    notices: mpsc::Sender<Notice>,
    next_id: AtomicU64,
    /// Takes the orders for ADS, once somebody gave one.
    ads: OnceLock<mpsc::UnboundedSender<Order>>,
}

impl Client {
    /// A client, and what will happen to its subscriptions. Connects nowhere yet.
    pub fn new(setup: Setup) -> (Self, mpsc::Receiver<Notice>) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        (Client { setup, notices, next_id: AtomicU64::new(1), ads: OnceLock::new() }, receiver)
    }

    /// Subscribes to resources of a type. A source and a type have one subscription; over ADS a later one takes
    /// the type over.
    ///
    /// # Errors
    /// When the source cannot be used; a server that is not there is no error.
    pub fn subscribe(
        &self,
        source: &ConfigSource,
        type_url: &str,
        interest: Interest,
    ) -> Result<Subscription, SubscribeError> {
        let orders = match &source.from {
            SourceKind::Ads => self.ads()?,
            SourceKind::SelfSource => return Err(SubscribeError::SelfSource),
            SourceKind::Path { path, watched_directory } => {
                let (orders, receiver) = mpsc::unbounded_channel();
                let file = file::Source {
                    path: path.clone(),
                    watched_directory: watched_directory.clone(),
                    unknown_fields: self.setup.unknown_fields,
                    stats: ServerStats::new(&self.setup.registry, "server."),
                };
                tokio::spawn(file::run(file, receiver, self.notices.clone()));
                orders
            }
            SourceKind::Api(api) => {
                let method = service::of_type(type_url, api.api_type == ApiType::Delta);
                self.spawn(api, method.ok_or_else(|| SubscribeError::Type(type_url.to_owned()))?)?
            }
        };
        let id = SubscriptionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        Ok(Subscription::new(id, type_url, interest, source.initial_fetch_timeout, orders))
    }

    /// Reports the load of clusters in force to a server, from now on.
    ///
    /// # Errors
    /// When the source cannot be used; a server that is not there is no error.
    pub fn report_load(&self, source: &ApiSource, published: Arc<Published>) -> Result<(), SubscribeError> {
        tokio::spawn(load::run(load::Parts {
            node: self.setup.node.clone(),
            targets: self.targets(source)?,
            published,
            stats: LoadReporterStats::new(&self.setup.registry, "load_reporter."),
        }));
        Ok(())
    }

    /// The ways to a source's servers; there is one at least.
    fn targets(&self, source: &ApiSource) -> Result<Vec<connect::Target>, SubscribeError> {
        let first = source.services.first().ok_or(SubscribeError::NoService)?;
        let targets = connect::targets(
            &source.services,
            &self.setup.clusters,
            &self.setup.registry,
            &self.setup.secrets,
        );
        if targets.is_empty() {
            return Err(SubscribeError::Cluster(first.cluster_name.clone()));
        }
        Ok(targets)
    }

    /// Whether a source speaks incremental xDS.
    pub fn is_incremental(&self, source: &ConfigSource) -> bool {
        let api = match &source.from {
            SourceKind::Ads => self.setup.ads.as_ref(),
            SourceKind::Api(api) => Some(api),
            SourceKind::SelfSource | SourceKind::Path { .. } => None,
        };
        api.is_some_and(|api| api.api_type == ApiType::Delta)
    }

    fn ads(&self) -> Result<mpsc::UnboundedSender<Order>, SubscribeError> {
        if let Some(orders) = self.ads.get() {
            return Ok(orders.clone());
        }
        let source = self.setup.ads.as_ref().ok_or(SubscribeError::NoAds)?;
        let orders = self.spawn(source, service::aggregated(source.api_type == ApiType::Delta))?;
        Ok(self.ads.get_or_init(|| orders).clone())
    }

    /// A task that serves a source.
    fn spawn(
        &self,
        source: &ApiSource,
        method: &'static str,
    ) -> Result<mpsc::UnboundedSender<Order>, SubscribeError> {
        match source.api_type {
            ApiType::Sotw => self.spawn_variant::<Sotw>(source, method),
            ApiType::Delta => self.spawn_variant::<Delta>(source, method),
        }
    }

    fn spawn_variant<V: Variant>(
        &self,
        source: &ApiSource,
        method: &'static str,
    ) -> Result<mpsc::UnboundedSender<Order>, SubscribeError> {
        let targets = self.targets(source)?;
        let (orders, receiver) = mpsc::unbounded_channel();
        tokio::spawn(stream::run(Parts {
            ads: Ads::<V>::new(self.setup.node.clone(), source.set_node_on_first_message_only),
            targets,
            method,
            orders: receiver,
            notices: self.notices.clone(),
            stats: ControlPlaneStats::new(&self.setup.registry, "control_plane."),
            rng: self.setup.rng.clone(),
        }));
        Ok(orders)
    }
}

#[cfg(test)]
mod tests;
