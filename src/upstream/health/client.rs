//! Connections to Redis servers, which Envoy makes as those of its Redis proxy: they count among the cluster's and the
//! host's, with what is asked on them.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::base::io::Io;
use crate::observability::stats::ClusterStats;
use crate::upstream::host_stats::{ActiveConnection, ActiveRequest};
use crate::upstream::{Cluster, Host};

/// A connection, counted as active until dropped.
#[derive(Debug)]
pub(super) struct Client {
    cluster: Arc<Cluster>,
    connection: ActiveConnection,
    io: Option<Io>,
    /// Commands without a reply.
    asked: RefCell<Vec<ActiveRequest>>,
    ended: Cell<bool>,
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
            ended: Cell::new(false),
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
        self.ended.set(true);
        self.stats().upstream_cx_connect_fail().inc();
        self.connection.host().stats.count_connect_fail();
    }

    /// The host has ended it.
    pub(super) fn ended(&self) {
        self.ended.set(true);
    }

    /// The host said what it must not say, for which the connection ends.
    pub(super) fn misunderstood(&self) {
        self.stats().upstream_cx_protocol_error().inc();
    }

    /// A command is sent.
    pub(super) fn asked(&self) {
        self.stats().upstream_rq_total().inc();
        self.stats().upstream_rq_active().inc();
        self.asked.borrow_mut().push(ActiveRequest::new(Arc::clone(self.connection.host())));
    }

    /// All commands have their replies.
    pub(super) fn answered(&self) {
        for _ in self.asked.take() {
            self.stats().upstream_rq_active().dec();
        }
    }

    fn stats(&self) -> &ClusterStats {
        &self.cluster.stats
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let (stats, ended) = (self.stats(), self.ended.get());
        stats.upstream_cx_active().dec();
        stats.upstream_cx_destroy().inc();
        match ended {
            true => stats.upstream_cx_destroy_remote().inc(),
            false => stats.upstream_cx_destroy_local().inc(),
        }
        if self.asked.borrow().is_empty() {
            return;
        }
        stats.upstream_cx_destroy_with_active_rq().inc();
        match ended {
            true => stats.upstream_cx_destroy_remote_with_active_rq().inc(),
            false => {
                stats.upstream_cx_destroy_local_with_active_rq().inc();
                // Who does not wait any longer cancels what was asked last.
                stats.upstream_rq_cancelled().inc();
            }
        }
        self.answered();
    }
}
