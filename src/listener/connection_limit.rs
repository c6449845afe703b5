//! The limit of connections over all listeners and workers:
//! `envoy.resource_monitors.global_downstream_max_connections`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections may be open, and how many are. One for the whole process.
#[derive(Debug)]
pub struct ConnectionLimit {
    max: u64,
    open: AtomicU64,
}

impl ConnectionLimit {
    /// None is open yet.
    pub fn new(max: u64) -> Self {
        ConnectionLimit { max, open: AtomicU64::new(0) }
    }

    /// Counts one connection more as open until the place is dropped; `None` when there may be no more.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let one_more = |open: u64| (open < self.max).then_some(open + 1);
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }
}

/// The place of a connection.
#[derive(Debug)]
pub struct Place(Arc<ConnectionLimit>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_given_back_is_there_for_another() {
        let limit = Arc::new(ConnectionLimit::new(2));
        let (first, second) = (limit.take(), limit.take());
        assert!(first.is_some() && second.is_some());
        assert!(limit.take().is_none());
        drop(first);
        assert!(limit.take().is_some());
    }
}
