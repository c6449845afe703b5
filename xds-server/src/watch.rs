//! When a changed directory is read again.
//!
//! The directory is looked at again and again rather than watched with inotify: that sees renamed files, swapped
//! links however deep, directories that are mounted over and network file systems alike, and cannot lose an
//! event. A file being written is no reason to hurry: what changed is read when a look finds it as the look
//! before did, or when it keeps changing for too long.

use std::time::{Duration, Instant};

/// How often the directory is looked at. A change is read after two looks, so within 100 ms and the time it
/// takes to read.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// How long what keeps changing is waited for.
const MAX_WAIT: Duration = Duration::from_millis(150);
/// A look takes at most this part of the time: one in a directory of very many files is a rarer one.
const MAX_SHARE: u32 = 10;

/// Decides when to read. No I/O: it is told what a look found.
#[derive(Debug)]
pub(crate) struct Watch<F> {
    read: Option<F>,
    seen: Option<F>,
    changing_since: Option<Instant>,
}

impl<F: PartialEq> Watch<F> {
    /// A directory of which nothing is known, so that the first quiet look leads to reading it.
    pub(crate) fn new() -> Self {
        Self { read: None, seen: None, changing_since: None }
    }

    /// Whether the directory has to be read now that a look found this.
    pub(crate) fn look(&mut self, found: F, now: Instant) -> bool {
        if self.read.as_ref() == Some(&found) {
            self.seen = None;
            self.changing_since = None;
            return false;
        }
        if self.seen.as_ref() == Some(&found) {
            self.read = Some(found);
            self.changing_since = None;
            return true;
        }
        self.seen = Some(found);
        let since = *self.changing_since.get_or_insert(now);
        let long = now.duration_since(since) >= MAX_WAIT;
        if long {
            // It is not noted as read: once it is quiet it is read again.
            self.changing_since = None;
        }
        long
    }
}

/// How long to wait after a look that took this long.
pub(crate) fn pause(look_took: Duration) -> Duration {
    INTERVAL.max(look_took * MAX_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every [`INTERVAL`]; returns after which looks the directory was read.
    fn reads(found: &[u32]) -> Vec<usize> {
        let start = Instant::now();
        let mut watch = Watch::new();
        let mut reads = Vec::new();
        for (index, found) in found.iter().enumerate() {
            if watch.look(*found, start + INTERVAL * index as u32) {
                reads.push(index);
            }
        }
        reads
    }

    #[test]
    fn a_change_is_read_when_it_is_over() {
        assert_eq!(reads(&[1, 1, 1, 2, 2, 2]), [1, 4]);
    }

    #[test]
    fn what_keeps_changing_is_read_after_a_while_and_again_when_it_is_over() {
        assert_eq!(reads(&[1, 1, 2, 3, 4, 5, 6, 6, 6]), [1, 5, 7]);
    }

    #[test]
    fn a_change_that_is_taken_back_is_not_read() {
        assert_eq!(reads(&[1, 1, 2, 1, 1, 2, 2]), [1, 6]);
    }

    #[test]
    fn slow_looks_are_rare() {
        assert_eq!(pause(Duration::from_millis(1)), INTERVAL);
        assert_eq!(pause(Duration::from_millis(100)), Duration::from_secs(1));
    }
}
