//! The task of a cluster whose hosts are weighed by what they report, on the control thread.

use std::sync::Arc;

use tokio::time::sleep;

use crate::upstream::Cluster;

/// Makes weights of what the hosts report, again and again until dropped. Ends at once where they are weighed otherwise.
pub async fn run(cluster: Arc<Cluster>) {
    let Some(config) = &cluster.config.lb.client_side else { return };
    loop {
        sleep(config.weight_update_period).await;
        cluster.reweigh();
    }
}
