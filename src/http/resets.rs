//! Streams that the peer resets before they come to anything (CVE-2023-44487): Envoy's
//! `overload.premature_reset_*`, with its defaults.

use std::cell::Cell;
use std::time::Duration;

/// A stream that lived longer was no attack.
const PREMATURE: Duration = Duration::from_secs(2);
/// Streams after which half of them may have been reset.
const STREAMS: u64 = 500;

/// Counts the ends of a connection's streams.
#[derive(Debug, Default)]
pub(super) struct Resets {
    ended: Cell<u64>,
    premature: Cell<u64>,
}

impl Resets {
    /// Counts a stream that lived so long; `reset` says that the peer reset it before its response began. Tells
    /// whether the connection is to be closed.
    pub(super) fn count(&self, lived: Duration, reset: bool) -> bool {
        self.ended.set(self.ended.get() + 1);
        if reset && lived < PREMATURE {
            self.premature.set(self.premature.get() + 1);
        }
        self.are_too_many()
    }

    /// Whether half of the streams were reset, or will have been however the rest of the first 500 ends.
    pub(super) fn are_too_many(&self) -> bool {
        self.ended.get() > 0 && self.premature.get() * 2 >= self.ended.get().max(STREAMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_streams_may_not_be_reset_early() {
        let resets = Resets::default();
        let early = Duration::from_millis(10);
        assert_eq!((0..1000).take_while(|_| !resets.count(early, true)).count(), 249);
        let resets = Resets::default();
        assert!((0..1000).all(|at| !resets.count(early, at % 3 == 0)));
        assert!((0..1000).all(|_| !Resets::default().count(Duration::from_secs(2), true)));
    }
}
