//! What the admin interface counts of itself: `http.admin.` and `listener.admin.`

use std::rc::Rc;

use tokio::time::Instant;

use crate::base::metered::Meter;
use crate::observability::stats::http::ListenerHttpStats;
use crate::observability::stats::listener::ListenerWorkerStats;
use crate::observability::stats::{HttpStats, ListenerStats, Registry};

/// The statistics of the admin interface. A clone counts in the same.
#[derive(Clone, Debug)]
pub struct Traffic(Rc<Stats>);

#[derive(Debug)]
struct Stats {
    listener: ListenerStats,
    thread: ListenerWorkerStats,
    http: HttpStats,
    responses: ListenerHttpStats,
}

impl Traffic {
    /// Nothing counted yet.
    pub fn new(registry: &Registry) -> Self {
        Traffic(Rc::new(Stats {
            listener: ListenerStats::new(registry, "listener.admin."),
            thread: ListenerWorkerStats::new(registry, "listener.admin.main_thread."),
            http: HttpStats::new(registry, "http.admin."),
            responses: ListenerHttpStats::new(registry, "listener.admin.http.admin."),
        }))
    }

    /// Counts a connection until the guard is dropped.
    pub(super) fn connection(&self) -> Connection {
        let Stats { listener, thread, http, .. } = &*self.0;
        listener.connections_accepted_per_socket_event().record(1);
        listener.downstream_cx_total().inc();
        listener.downstream_cx_active().inc();
        thread.downstream_cx_total().inc();
        thread.downstream_cx_active().inc();
        http.downstream_cx_total().inc();
        http.downstream_cx_active().inc();
        http.downstream_cx_http1_total().inc();
        http.downstream_cx_http1_active().inc();
        Connection { traffic: self.clone(), opened: Instant::now(), ended_by_client: false }
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn request(&self) -> Request {
        let http = &self.0.http;
        http.downstream_rq_total().inc();
        http.downstream_rq_http1_total().inc();
        http.downstream_rq_active().inc();
        Request { traffic: self.clone(), begun: Instant::now() }
    }

    /// Counts a response, before its body is made.
    pub(super) fn response(&self, status: u16) {
        self.0.http.count_response(status);
        self.0.responses.count_response(status);
    }
}

/// A connection, open until dropped.
pub(super) struct Connection {
    traffic: Traffic,
    opened: Instant,
    ended_by_client: bool,
}

impl Meter for Connection {
    fn read(&mut self, bytes: usize) {
        self.ended_by_client |= bytes == 0;
        self.traffic.0.http.downstream_cx_rx_bytes_total().add(bytes as u64);
    }

    fn written(&mut self, bytes: usize) {
        self.traffic.0.http.downstream_cx_tx_bytes_total().add(bytes as u64);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Stats { listener, thread, http, .. } = &*self.traffic.0;
        let millis = self.opened.elapsed().as_millis() as u64;
        listener.downstream_cx_active().dec();
        listener.downstream_cx_destroy().inc();
        listener.downstream_cx_length_ms().record(millis);
        thread.downstream_cx_active().dec();
        http.downstream_cx_active().dec();
        http.downstream_cx_http1_active().dec();
        http.downstream_cx_destroy().inc();
        http.downstream_cx_length_ms().record(millis);
        if self.ended_by_client {
            http.downstream_cx_destroy_remote().inc();
        } else {
            http.downstream_cx_destroy_local().inc();
        }
    }
}

/// A request, active until dropped.
#[derive(Debug)]
pub(super) struct Request {
    traffic: Traffic,
    begun: Instant,
}

impl Drop for Request {
    fn drop(&mut self) {
        let http = &self.traffic.0.http;
        http.downstream_rq_active().dec();
        http.downstream_rq_time().record(self.begun.elapsed().as_millis() as u64);
    }
}
