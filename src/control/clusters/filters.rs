//! Configurations of HTTP filters that are discovered for clusters (`HttpProtocolOptions.http_filters`).
//!
//! As in Envoy a cluster waits for them once its hosts are known, and before these are checked.

use std::sync::Arc;

use super::Clusters;
use super::warming::Stage;
use crate::config::extension_configs::ExtensionConfigs;
use crate::control::references::{ExtensionReference, cluster_references};
use crate::upstream::Cluster;

impl Clusters {
    /// Whether other clusters refer to configurations than at the last call.
    pub fn take_refers_anew(&mut self) -> bool {
        std::mem::take(&mut self.refers_anew)
    }

    /// All configurations that they refer to.
    pub fn extension_references(&self) -> Vec<ExtensionReference> {
        let live = self.live.values().flatten();
        live.flat_map(|live| cluster_references(&live.cluster.config)).collect()
    }

    /// Puts configurations in force that came.
    pub fn configure(&mut self, configs: &Arc<ExtensionConfigs>) {
        self.manager.configure(configs);
    }

    /// Whether a cluster waits for configurations.
    pub fn awaits_filters(&self) -> bool {
        self.waiting.values().any(|waiting| waiting.stage == Stage::Filters)
    }

    /// Goes on with the clusters that need not wait for configurations any more. True if there were any.
    pub fn go_on_with_filters(&mut self, is_settled: impl Fn(&ExtensionReference) -> bool) -> bool {
        let waiting = self.waiting.values().filter(|waiting| waiting.stage == Stage::Filters);
        let settled =
            waiting.filter(|waiting| cluster_references(&waiting.cluster.config).all(|one| is_settled(&one)));
        let settled: Vec<Arc<Cluster>> = settled.map(|waiting| Arc::clone(&waiting.cluster)).collect();
        for cluster in &settled {
            self.configured(cluster);
        }
        self.release();
        !settled.is_empty()
    }
}
