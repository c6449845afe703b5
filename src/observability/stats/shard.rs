//! The values that one thread writes.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::codes::CodeCounts;
use super::field::Layout;
use super::histogram::Bins;

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(0) };
}

/// Makes this thread the writer of a shard: 1 to the number of workers.
///
/// Threads that do not call this write to shard 0, which they may do together.
pub fn enter_shard(index: usize) {
    SHARD.set(index);
}

/// The index of this thread's shard.
#[inline]
pub(super) fn current() -> usize {
    SHARD.get()
}

/// One thread's part of a block.
#[derive(Debug)]
pub(super) struct Shard {
    /// Whether several threads write here.
    shared: bool,
    values: Box<[AtomicU64]>,
    /// Made when something is recorded: most histograms of most clusters are never used.
    histograms: Box<[OnceLock<Box<Bins>>]>,
    codes: Box<[CodeCounts]>,
}

impl Shard {
    pub(super) fn new(layout: &Layout, shared: bool) -> Self {
        Shard {
            shared,
            values: (0..layout.values()).map(|_| AtomicU64::new(0)).collect(),
            histograms: (0..layout.histograms()).map(|_| OnceLock::new()).collect(),
            codes: (0..layout.codes()).map(|_| CodeCounts::default()).collect(),
        }
    }

    #[inline]
    pub(super) fn value(&self, slot: usize) -> &AtomicU64 {
        &self.values[slot]
    }

    pub(super) fn histogram(&self, slot: usize) -> Option<&Bins> {
        self.histograms[slot].get().map(|bins| &**bins)
    }

    #[inline]
    pub(super) fn record(&self, slot: usize, value: u64) {
        self.histograms[slot].get_or_init(Box::default).record(value, self.shared);
    }

    #[inline]
    pub(super) fn codes(&self, slot: usize) -> &CodeCounts {
        &self.codes[slot]
    }

    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Changes a value as `change` says.
    #[inline]
    pub(super) fn update(&self, slot: usize, change: impl Fn(u64) -> u64) {
        update(&self.values[slot], self.shared, change);
    }
}

/// Changes a value: plainly where only this thread writes it.
#[inline]
pub(super) fn update(value: &AtomicU64, shared: bool, change: impl Fn(u64) -> u64) {
    if shared {
        let changed = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(change(old)));
        debug_assert!(changed.is_ok(), "the change is never refused");
    } else {
        value.store(change(value.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}
