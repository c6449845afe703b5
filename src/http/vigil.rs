//! The times that an HTTP/2 connection must keep, beside those of its streams: whoever lets one pass is cut off, for
//! nothing on the connection can go on.

use std::time::Duration;

use tokio::time::Instant;

use crate::codec::h2::Watch;
use crate::config::HttpConnectionManager;

/// Watches over one connection. Takes the time as an argument.
#[derive(Debug)]
pub(super) struct Vigil {
    /// For half a header block: the time for heads, or for streams on which nothing happens.
    head: Option<Duration>,
    /// For a peer that takes nothing of what waits to be written: the time for streams on which nothing happens.
    stall: Option<Duration>,
    /// For a peer to close a connection on which all was said.
    goodbye: Duration,
    head_due: Option<Instant>,
    stall_due: Option<Instant>,
    goodbye_due: Option<Instant>,
    written: u64,
}

impl Vigil {
    pub(super) fn new(options: &HttpConnectionManager) -> Self {
        let idle = options.timeouts.stream_idle_timeout;
        Vigil {
            head: options.timeouts.request_headers_timeout.into_iter().chain(idle).min(),
            stall: idle,
            goodbye: options.timeouts.delayed_close_timeout.unwrap_or_default(),
            head_due: None,
            stall_due: None,
            goodbye_due: None,
            written: 0,
        }
    }

    /// Looks at the connection. `leaving` says that it was told to end and has no stream.
    pub(super) fn observe(&mut self, watch: &Watch, leaving: bool) {
        let (_, written) = watch.bytes();
        if written != self.written {
            self.written = written;
            self.stall_due = None;
        }
        note(&mut self.stall_due, watch.is_blocked(), self.stall);
        note(&mut self.head_due, watch.block_is_open(), self.head);
        note(&mut self.goodbye_due, leaving || watch.is_closing(), Some(self.goodbye));
    }

    /// When the first of the times is over.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.head_due, self.stall_due, self.goodbye_due].into_iter().flatten().min()
    }

    /// Whether that of a peer who does not close is over.
    pub(super) fn is_goodbye_over(&self, now: Instant) -> bool {
        !self.goodbye.is_zero() && self.goodbye_due.is_some_and(|due| due <= now)
    }

    /// Whether one is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.next().is_some_and(|due| due <= now)
    }
}

/// Sets a time when what it is for begins, and forgets it when that ends.
fn note(due: &mut Option<Instant>, holds: bool, time: Option<Duration>) {
    match (holds, *due) {
        (true, None) => *due = time.map(|time| Instant::now() + time),
        (false, Some(_)) => *due = None,
        _ => {}
    }
}
