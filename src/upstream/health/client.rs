//! Connections to Redis servers, which Envoy makes as those of its Redis proxy: they count among the cluster's and the
//! host's, with what is asked on them.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::io::Io;
use crate::observability::stats::{ClusterStats, RedisCommandStats};
use crate::upstream::host_stats::{ActiveConnection, ActiveRequest};
use crate::upstream::{Cluster, Host};

/// A connection, counted as active until dropped.
#[derive(Debug)]
pub(super) struct Client {
    cluster: Arc<Cluster>,
    connection: ActiveConnection,
    io: Option<Io>,
    /// Commands without a reply, and when each was given.
    asked: RefCell<Vec<(ActiveRequest, Instant)>>,
    end: Cell<End>,
}

/// Who ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Who asks, and does not wait any longer.
    Local,
    /// Who asks, since the host said what it must not say.
    Misunderstood,
    /// The host.
    Remote,
}

impl Client {
    /// A connection that is begun.
    pub(super) fn new(cluster: &Arc<Cluster>, host: &Arc<Host>) -> Self {
        cluster.stats.upstream_cx_total().inc();
        cluster.stats.upstream_cx_active().inc();
        Client {
            cluster: Arc::clone(cluster),
            connection: ActiveConnection::new(Arc::clone(host)),
            io: None,
            asked: RefCell::default(),
            end: Cell::new(End::Local),
        }
    }

    /// The connection, once it is made.
    pub(super) fn io(&self) -> Option<&Io> {
        self.io.as_ref()
    }

    /// It is made.
    pub(super) fn connected(&mut self, io: Io) {
        self.io = Some(io);
    }

    /// It could not be made.
    pub(super) fn failed_to_connect(&self) {
        self.end.set(End::Remote);
        self.stats().upstream_cx_connect_fail().inc();
        self.connection.host().stats.count_connect_fail();
    }

    /// The host has ended it.
    pub(super) fn ended(&self) {
        self.end.set(End::Remote);
    }

    /// The host said what it must not say, for which the connection ends.
    pub(super) fn misunderstood(&self) {
        self.end.set(End::Misunderstood);
        self.stats().upstream_cx_protocol_error().inc();
    }

    /// A command is sent.
    pub(super) fn asked(&self) {
        self.stats().upstream_rq_total().inc();
        self.stats().upstream_rq_active().inc();
        // From the first command on their times can be looked up.
        self.times();
        let active = ActiveRequest::new(Arc::clone(self.connection.host()));
        self.asked.borrow_mut().push((active, Instant::now()));
    }

    /// All commands have their replies.
    pub(super) fn answered(&self) {
        for (_, began) in self.asked.take() {
            self.stats().upstream_rq_active().dec();
            if let Some(times) = self.times() {
                times.upstream_rq_time().record(began.elapsed().as_micros() as u64);
            }
        }
    }

    fn times(&self) -> Option<&RedisCommandStats> {
        self.cluster.checks.as_ref().map(|checks| checks.commands(&self.cluster))
    }

    fn stats(&self) -> &ClusterStats {
        &self.cluster.stats
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let (stats, is_remote) = (self.stats(), self.end.get() == End::Remote);
        stats.upstream_cx_active().dec();
        stats.upstream_cx_destroy().inc();
        match is_remote {
            true => stats.upstream_cx_destroy_remote().inc(),
            false => stats.upstream_cx_destroy_local().inc(),
        }
        let asked = self.asked.take();
        if asked.is_empty() {
            return;
        }
        stats.upstream_cx_destroy_with_active_rq().inc();
        match is_remote {
            true => stats.upstream_cx_destroy_remote_with_active_rq().inc(),
            false => stats.upstream_cx_destroy_local_with_active_rq().inc(),
        }
        if self.end.get() == End::Local {
            // Who does not wait any longer cancels what was asked last.
            stats.upstream_rq_cancelled().inc();
        }
        for _ in asked {
            stats.upstream_rq_active().dec();
        }
    }
}
