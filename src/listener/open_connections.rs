//! How many connections of a listener, or of all, are open, over all workers, and how many there may be.
//!
//! The limit is a key of the runtime, as in Envoy: it can be set while connections are open, so that they are counted where
//! there is none, too. Each worker counts its own.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::runtime::Values;

/// The connections of a listener, or of all that listen on sockets.
#[derive(Debug)]
pub(super) struct OpenConnections {
    per_worker: Box<[Line]>,
    limit: String,
}

/// What one worker counts, in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl OpenConnections {
    /// None is open of the listener of this name at any of so many workers.
    pub(super) fn of_listener(name: &str, workers: usize) -> Self {
        Self::limited_by(format!("envoy.resource_limits.listener.{name}.connection_limit"), workers)
    }

    /// None is open of any listener at any of so many workers.
    pub(super) fn of_all(workers: usize) -> Self {
        Self::limited_by("overload.global_downstream_max_connections".to_owned(), workers)
    }

    fn limited_by(limit: String, workers: usize) -> Self {
        OpenConnections { per_worker: (0..workers).map(|_| Line::default()).collect(), limit }
    }

    /// Whether there may be another one.
    pub(super) fn may_grow(&self, runtime: &Values) -> bool {
        let limit = runtime.integer(&self.limit, u64::MAX);
        limit == u64::MAX || self.count() < limit
    }

    fn count(&self) -> u64 {
        self.per_worker.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }

    /// A connection of this worker is open.
    pub(super) fn opened(&self, worker: usize) {
        if let Some(line) = self.per_worker.get(worker) {
            line.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection of this worker, which was open, is no longer.
    pub(super) fn closed(&self, worker: usize) {
        if let Some(line) = self.per_worker.get(worker) {
            line.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connections_of_all_workers_count() {
        let open = OpenConnections::of_listener("web", 2);
        open.opened(0);
        open.opened(1);
        open.opened(1);
        assert_eq!((open.count(), open.may_grow(&Values::default())), (3, true));
        open.closed(1);
        assert_eq!(open.count(), 2);
    }
}
