//! The task of a cluster that counts what its hosts report, on the control thread.

use std::future::pending;
use std::sync::Arc;

use tokio::time::sleep;

use super::out_of_band;
use crate::base::random::Rng;
use crate::upstream::Cluster;
use crate::upstream::lb::load_aware::Averages;

/// Asks hosts for reports where they are to be asked, and makes weights of hosts and shares of localities of what they
/// report, again and again until dropped.
pub async fn run(cluster: Arc<Cluster>, rng: Rng) {
    tokio::join!(weigh(&cluster), divide(&cluster), out_of_band::run(&cluster, rng));
}

async fn weigh(cluster: &Cluster) {
    let Some(config) = &cluster.config.lb.client_side else { return pending().await };
    loop {
        sleep(config.weight_update_period).await;
        cluster.reweigh();
    }
}

async fn divide(cluster: &Cluster) {
    let Some(config) = &cluster.config.lb.load_aware else { return pending().await };
    let mut averages = Averages::default();
    loop {
        sleep(config.weight_update_period).await;
        cluster.redivide(&mut averages);
    }
}
