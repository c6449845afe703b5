//! What is counted of a host: for `/clusters` always, as statistics where the cluster asks for them
//! (`track_cluster_stats.per_endpoint_stats`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::host::Host;
use crate::observability::stats::EndpointStats;

/// Counts of one host, as `/clusters` shows them.
#[derive(Debug, Default)]
pub struct HostStats {
    /// Connections open or being opened.
    pub cx_active: AtomicU32,
    /// Requests in flight; what the least request balancer compares.
    pub rq_active: AtomicU32,
    /// Requests that wait for a connection.
    pub rq_pending_active: AtomicU32,
    /// Connections ever begun.
    pub cx_total: AtomicU64,
    /// Connections that failed to be established.
    pub cx_connect_fail: AtomicU64,
    /// Requests ever begun.
    pub rq_total: AtomicU64,
    /// Responses that were not 5xx.
    pub rq_success: AtomicU64,
    /// Responses that were 5xx, resets and failures to connect.
    pub rq_error: AtomicU64,
    /// Requests that timed out.
    pub rq_timeout: AtomicU64,
    /// The same as statistics, where they are asked for.
    pub published: Option<EndpointStats>,
}

impl HostStats {
    /// Counts nothing yet.
    pub(super) fn new(published: Option<EndpointStats>) -> Self {
        HostStats { published, ..HostStats::default() }
    }

    /// Counts a connection that is begun.
    pub(super) fn count_connection(&self) {
        self.cx_total.fetch_add(1, Ordering::Relaxed);
        self.publish(|stats| stats.cx_total().inc());
    }

    /// Counts a connection that could not be established.
    pub(super) fn count_connect_fail(&self) {
        self.cx_connect_fail.fetch_add(1, Ordering::Relaxed);
        self.publish(|stats| stats.cx_connect_fail().inc());
    }

    /// Counts a request that timed out.
    pub fn count_timeout(&self) {
        self.rq_timeout.fetch_add(1, Ordering::Relaxed);
        self.publish(|stats| stats.rq_timeout().inc());
    }

    /// Counts what a request ended in: a response that was not 5xx, or an error.
    pub fn count_response(&self, success: bool) {
        if success {
            self.rq_success.fetch_add(1, Ordering::Relaxed);
            self.publish(|stats| stats.rq_success().inc());
        } else {
            self.rq_error.fetch_add(1, Ordering::Relaxed);
            self.publish(|stats| stats.rq_error().inc());
        }
    }

    #[inline]
    pub(super) fn publish(&self, change: impl FnOnce(&EndpointStats)) {
        if let Some(stats) = &self.published {
            change(stats);
        }
    }
}

/// A request to a host; counted as active until dropped.
#[derive(Debug)]
pub struct ActiveRequest(Arc<Host>);

impl ActiveRequest {
    #[inline]
    pub(super) fn new(host: Arc<Host>) -> Self {
        host.stats.rq_total.fetch_add(1, Ordering::Relaxed);
        host.stats.rq_active.fetch_add(1, Ordering::Relaxed);
        host.stats.publish(|stats| {
            stats.rq_total().inc();
            stats.rq_active().inc();
        });
        ActiveRequest(host)
    }

    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        &self.0
    }
}

impl Drop for ActiveRequest {
    #[inline]
    fn drop(&mut self) {
        self.0.stats.rq_active.fetch_sub(1, Ordering::Relaxed);
        self.0.stats.publish(|stats| stats.rq_active().dec());
    }
}

/// A connection to a host; counted as active until dropped.
#[derive(Debug)]
pub struct ActiveConnection(Arc<Host>);

impl ActiveConnection {
    pub(super) fn new(host: Arc<Host>) -> Self {
        host.stats.count_connection();
        host.stats.cx_active.fetch_add(1, Ordering::Relaxed);
        host.stats.publish(|stats| stats.cx_active().inc());
        ActiveConnection(host)
    }

    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        &self.0
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.0.stats.cx_active.fetch_sub(1, Ordering::Relaxed);
        self.0.stats.publish(|stats| stats.cx_active().dec());
    }
}

/// A request that waits for a connection to a host; counted until dropped.
#[derive(Debug)]
pub(super) struct PendingRequest<'a>(&'a HostStats);

impl<'a> PendingRequest<'a> {
    pub(super) fn new(stats: &'a HostStats) -> Self {
        stats.rq_pending_active.fetch_add(1, Ordering::Relaxed);
        stats.publish(|stats| stats.rq_pending_active().inc());
        PendingRequest(stats)
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        self.0.rq_pending_active.fetch_sub(1, Ordering::Relaxed);
        self.0.publish(|stats| stats.rq_pending_active().dec());
    }
}
