//! The connections of a worker that are open, counted.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::manager::Listener;

/// How many connections are open.
#[derive(Debug, Default)]
pub(super) struct Open {
    count: Cell<usize>,
    changed: Notify,
}

impl Open {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// Waits until there is none.
    pub(super) async fn none(&self) {
        loop {
            let changed = self.changed.notified();
            if self.count() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn change(&self, count: usize) {
        self.count.set(count);
        if count == 0 {
            self.changed.notify_waiters();
        }
    }
}

/// Counts a connection as open until it is dropped, and from the moment that it has a filter chain, for its listener.
pub(super) struct OpenConnection {
    connections: Rc<Open>,
    listener: Arc<Listener>,
    /// The worker's number.
    worker: usize,
    /// Since when it counts for the listener; `None` before.
    begun: Option<Instant>,
}

impl OpenConnection {
    pub(super) fn new(connections: Rc<Open>, listener: Arc<Listener>, worker: usize) -> Self {
        connections.change(connections.count.get() + 1);
        listener.open.opened(worker);
        if !listener.config.is_internal {
            listener.all_open.opened(worker);
        }
        OpenConnection { connections, listener, worker, begun: None }
    }

    /// It has a filter chain.
    pub(super) fn begin(&mut self) {
        let listener = &self.listener;
        listener.stats.downstream_cx_total().inc();
        listener.stats.downstream_cx_active().inc();
        if let Some(stats) = listener.worker_stats.get(self.worker) {
            stats.downstream_cx_total().inc();
            stats.downstream_cx_active().inc();
        }
        self.begun = Some(Instant::now());
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.change(self.connections.count.get() - 1);
        self.listener.open.closed(self.worker);
        if !self.listener.config.is_internal {
            self.listener.all_open.closed(self.worker);
        }
        let Some(begun) = self.begun else { return };
        let stats = &self.listener.stats;
        stats.downstream_cx_active().dec();
        stats.downstream_cx_destroy().inc();
        if let Some(stats) = self.listener.worker_stats.get(self.worker) {
            stats.downstream_cx_active().dec();
        }
        stats.downstream_cx_length_ms().record(begun.elapsed().as_millis() as u64);
    }
}
