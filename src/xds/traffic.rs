//! What connections to a management server count in their cluster's statistics, as those of workers do.

use tokio::time::Instant;

use crate::base::metered::{Meter, Metered};
use crate::config::cluster::Cluster;
use crate::observability::stats::http::RouterStats;
use crate::observability::stats::{ClusterStats, Registry};
use crate::upstream::cluster::stat_prefix;

/// The statistics of a cluster over which a server is reached.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    cluster: ClusterStats,
    /// `http.async-client.`: requests that this process makes for itself.
    client: RouterStats,
}

impl Traffic {
    pub(super) fn new(registry: &Registry, cluster: &Cluster) -> Self {
        Traffic {
            cluster: ClusterStats::new(registry, &stat_prefix(cluster)),
            client: RouterStats::new(registry, "http.async-client."),
        }
    }

    /// Counts an attempt to connect.
    pub(super) fn connecting(&self) -> Connecting {
        self.cluster.upstream_cx_total().inc();
        self.cluster.upstream_cx_http2_total().inc();
        Connecting { stats: self.cluster.clone(), begun: Instant::now(), succeeded: false }
    }

    /// Counts a stream that somebody wants.
    pub(super) fn wanted(&self) {
        self.client.rq_total().inc();
        self.cluster.upstream_rq_pending_total().inc();
    }

    /// Counts a stream that there is no connection for.
    pub(super) fn refused(&self) {
        self.cluster.upstream_rq_pending_failure_eject().inc();
        self.answered(503);
    }

    /// Counts a response, or what stands for one.
    pub(super) fn answered(&self, status: u16) {
        self.cluster.upstream_rq().inc(status);
        self.cluster.internal_upstream_rq().inc(status);
    }

    /// Counts a stream as active until the guard is dropped.
    pub(super) fn begin(&self) -> Active {
        self.cluster.upstream_rq_total().inc();
        self.cluster.upstream_rq_active().inc();
        Active(self.cluster.clone())
    }
}

/// A stream; active until dropped.
pub(super) struct Active(ClusterStats);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.upstream_rq_active().dec();
    }
}

/// An attempt to connect; it failed when it is dropped before it became a connection.
pub(super) struct Connecting {
    stats: ClusterStats,
    begun: Instant,
    succeeded: bool,
}

impl Connecting {
    /// The attempt succeeded.
    pub(super) fn connected<S>(mut self, socket: S) -> Metered<S, Connection> {
        self.succeeded = true;
        let stats = self.stats.clone();
        stats.upstream_cx_active().inc();
        stats.upstream_cx_connect_ms().record(self.begun.elapsed().as_millis() as u64);
        Metered::new(socket, Connection { stats, opened: Instant::now(), ended_by_server: false })
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if !self.succeeded {
            self.stats.upstream_cx_connect_fail().inc();
            ended(&self.stats, self.begun, true);
        }
    }
}

fn ended(stats: &ClusterStats, opened: Instant, by_server: bool) {
    stats.upstream_cx_destroy().inc();
    if by_server {
        stats.upstream_cx_destroy_remote().inc();
    } else {
        stats.upstream_cx_destroy_local().inc();
    }
    stats.upstream_cx_length_ms().record(opened.elapsed().as_millis() as u64);
}

/// A connection, open until dropped.
pub(super) struct Connection {
    stats: ClusterStats,
    opened: Instant,
    ended_by_server: bool,
}

impl Meter for Connection {
    fn read(&mut self, bytes: usize) {
        self.ended_by_server |= bytes == 0;
        self.stats.upstream_cx_rx_bytes_total().add(bytes as u64);
    }

    fn written(&mut self, bytes: usize) {
        self.stats.upstream_cx_tx_bytes_total().add(bytes as u64);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stats.upstream_cx_active().dec();
        ended(&self.stats, self.opened, self.ended_by_server);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::upstream::testing::ClusterBuilder;

    fn traffic() -> Traffic {
        Traffic::new(&Registry::new(1), &ClusterBuilder::new("plane").config)
    }

    #[tokio::test]
    async fn a_connection_counts_its_bytes_and_who_ended_it() {
        let traffic = traffic();
        let (near, mut far) = duplex(64);
        let mut near = traffic.connecting().connected(near);
        near.write_all(b"abc").await.expect("there is room");
        far.write_all(b"12345").await.expect("there is room");
        let mut read = [0; 5];
        near.read_exact(&mut read).await.expect("five bytes come");
        let stats = &traffic.cluster;
        assert_eq!(stats.upstream_cx_active().value(), 1);
        drop(far);
        assert_eq!(near.read(&mut read).await.expect("the end comes"), 0);
        drop(near);
        assert_eq!(
            (stats.upstream_cx_tx_bytes_total().value(), stats.upstream_cx_rx_bytes_total().value()),
            (3, 5)
        );
        assert_eq!((stats.upstream_cx_active().value(), stats.upstream_cx_destroy_remote().value()), (0, 1));
    }

    #[test]
    fn an_attempt_given_up_is_a_failure_to_connect() {
        let traffic = traffic();
        drop(traffic.connecting());
        let stats = &traffic.cluster;
        assert_eq!((stats.upstream_cx_total().value(), stats.upstream_cx_connect_fail().value()), (1, 1));
        assert_eq!(stats.upstream_cx_destroy().value(), 1);
    }
}
