//! What the control thread tells the workers.

use std::sync::Arc;
use std::time::Duration;

use crate::http::drain::Pace;

use super::{Counted, Listener};

/// What the control thread tells a worker.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve this listener, whose sockets listen; in place of the one that has its sockets now, if there is one. Where
    /// that has its number, its connections go on.
    Serve(Arc<Listener>),
    /// Accept no more, let the connections end, and close what is left after the time.
    Drain {
        /// The listener's number.
        id: u64,
        /// How fast they end.
        pace: Pace,
        /// Time for its connections.
        within: Duration,
        /// Counts it as long as it drains.
        counted: Arc<Counted>,
    },
    /// Let the connections of these filter chains end, and close what is left after the time.
    DrainChains {
        /// The listener's number.
        id: u64,
        /// The numbers of the chains.
        chains: Arc<[u64]>,
        /// How fast they end.
        pace: Pace,
        /// Time for their connections.
        within: Duration,
        /// Counts them as long as they drain.
        counted: Arc<Counted>,
    },
    /// Accept no more on any listener, let the connections end, and close what is left after the time.
    Stop {
        /// Only listeners whose traffic direction is inbound.
        inbound_only: bool,
        /// Time for the connections.
        within: Duration,
    },
    /// Let connections end on all listeners, but go on accepting.
    DrainConnections {
        /// Only listeners whose traffic direction is inbound.
        inbound_only: bool,
        /// How fast they end.
        pace: Pace,
    },
    /// Connections end with their responses, or no longer, on the listeners that heed that health checks fail; all go
    /// on accepting.
    Heed {
        /// Whether health checks fail.
        unhealthy: bool,
    },
    /// End when all connections have ended.
    Finish,
}
