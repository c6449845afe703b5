//! What drains, counted.

use std::sync::Arc;

use crate::observability::stats::listener_manager::ListenerManagerStats;

/// Counts what drains until every worker is done with it and has dropped this.
#[derive(Debug)]
pub struct Counted {
    stats: ListenerManagerStats,
    /// How many filter chains; `None` where it is a whole listener.
    chains: Option<u64>,
}

impl Counted {
    /// A listener.
    pub(super) fn listener(stats: &ListenerManagerStats) -> Arc<Self> {
        stats.total_listeners_draining().inc();
        Arc::new(Counted { stats: stats.clone(), chains: None })
    }

    /// So many filter chains of a listener that goes on.
    pub(super) fn chains(stats: &ListenerManagerStats, count: u64) -> Arc<Self> {
        stats.total_filter_chains_draining().add(count);
        Arc::new(Counted { stats: stats.clone(), chains: Some(count) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        match self.chains {
            None => self.stats.total_listeners_draining().dec(),
            Some(count) => self.stats.total_filter_chains_draining().sub(count),
        }
    }
}
