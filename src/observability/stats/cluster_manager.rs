//! Statistics of the cluster manager: `cluster_manager.`

use crate::stats;

stats! {
    /// All clusters together.
    pub struct ClusterManagerStats {
        gauge active_clusters;
        counter cluster_added;
        counter cluster_modified;
        counter cluster_removed;
        counter cluster_updated;
        counter cluster_updated_via_merge;
        counter update_merge_cancelled;
        counter update_out_of_merge_window;
        gauge warming_clusters;
    }
}

stats! {
    /// Clusters as one thread sees them: `thread_local_cluster_manager.worker_<N>.` and `….main_thread.`
    pub struct ThreadLocalClusterStats {
        gauge clusters_inflated;
    }
}
