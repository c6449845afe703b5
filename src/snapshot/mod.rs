//! What is in force at one moment, as the workers see it.

mod demand;
mod places;
mod route_tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::config::runtime::Values;
use crate::config::source::SourceKind;
use crate::route::scopes::Scopes;
use crate::upstream::manager::Clusters;

use demand::Demands;

pub use demand::{Demand, Wanted};
pub use places::{Place, Places};
pub use route_tables::RouteTables;

/// Scopes of requests that came over SRDS, by their source.
pub type ScopesBySource = Vec<(SourceKind, Arc<Scopes>)>;

/// Everything that a request may refer to. A copy costs four pointers.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Clusters that are warm, by name.
    pub clusters: Arc<Clusters>,
    /// Route tables that came over RDS.
    pub routes: Arc<RouteTables>,
    /// Scopes that came over SRDS.
    pub scopes: Arc<ScopesBySource>,
    /// The runtime's values.
    pub runtime: Arc<Values>,
}

impl Snapshot {
    /// The scopes that came from this source.
    pub fn scopes_of(&self, source: &SourceKind) -> Option<&Scopes> {
        let found = self.scopes.iter().find(|(known, _)| known == source);
        found.map(|(_, scopes)| &**scopes)
    }
}

/// Where the control thread puts the snapshot in force and the workers find it.
#[derive(Debug, Default)]
pub struct Published {
    snapshot: ArcSwap<Snapshot>,
    version: AtomicU64,
    local_cluster: Box<str>,
    fellows: Box<str>,
    health_checks_fail: AtomicBool,
    demands: Demands,
    places: Places,
}

impl Published {
    /// Nothing in force yet, for a program that belongs to this cluster (`node.cluster`).
    pub fn of(local_cluster: &str) -> Self {
        Published { local_cluster: local_cluster.into(), ..Published::default() }
    }

    /// With the name of the cluster of the proxies of which this is one (`local_cluster_name`); empty for none.
    pub fn among(self, fellows: &str) -> Self {
        Published { fellows: fellows.into(), ..self }
    }

    /// The name of the cluster of the proxies of which this is one; empty where there is none.
    pub fn fellows(&self) -> &str {
        &self.fellows
    }

    /// The cluster that the program belongs to (`node.cluster`).
    pub fn local_cluster(&self) -> &str {
        &self.local_cluster
    }

    /// The places of route tables in the snapshots.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Whether the program tells who asks that it is not healthy: since `/healthcheck/fail`, until `/healthcheck/ok`.
    pub fn health_checks_fail(&self) -> bool {
        self.health_checks_fail.load(Ordering::Relaxed)
    }

    /// Lets health checks fail, or not.
    pub fn fail_health_checks(&self, fail: bool) {
        self.health_checks_fail.store(fail, Ordering::Relaxed);
    }

    /// Where the control thread hears what requests wait for. Only the first to call this is told.
    pub fn receive_demands(&self) -> mpsc::UnboundedReceiver<Demand> {
        self.demands.receive()
    }

    /// Asks the control thread for something; what comes back is ready once the answer is in force.
    pub fn demand(&self, wanted: Wanted) -> oneshot::Receiver<()> {
        self.demands.wish(wanted)
    }

    /// Puts a snapshot in force: requests that begin from now on see it. Only the control thread calls this.
    pub fn publish(&self, snapshot: Snapshot) {
        self.steer(&snapshot);
        self.snapshot.store(Arc::new(snapshot));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Lets clusters follow the runtime, where either is another one.
    fn steer(&self, snapshot: &Snapshot) {
        let before = self.snapshot.load();
        let steers = snapshot.runtime.steers_clusters();
        let other_values = !Arc::ptr_eq(&before.runtime, &snapshot.runtime);
        let other_clusters = !Arc::ptr_eq(&before.clusters, &snapshot.clusters);
        if other_values && (steers || before.runtime.steers_clusters()) || other_clusters && steers {
            snapshot.clusters.values().for_each(|cluster| cluster.follow(&snapshot.runtime));
        }
        let says_anything = !(before.runtime.is_empty() && snapshot.runtime.is_empty());
        if (other_values || other_clusters) && says_anything {
            snapshot.clusters.values().for_each(|cluster| cluster.follow_shares(&snapshot.runtime));
        }
    }

    /// Puts values of the runtime in force, and leaves the rest as it is. Only the control thread calls this.
    pub fn publish_runtime(&self, values: Values) {
        self.publish(Snapshot { runtime: Arc::new(values), ..Snapshot::clone(&self.load()) });
    }

    /// Changes with every [`publish`](Self::publish): one load to see that nothing changed.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The snapshot in force.
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}
