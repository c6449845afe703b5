//! The values of one struct of statistics.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::field::{Kind, Layout};
use super::histogram::{Latch, Totals};
use super::shard::{self, Shard};
use crate::config::bootstrap::StatsMatcher;

/// Added to a gauge's value in its slot, so that zero says: never set. No gauge gets near it.
const GAUGE_OFFSET: u64 = 0x5a5a_0000_0000_0001;

/// The statistics of one listener, cluster, …: a shard for each thread that writes.
#[derive(Debug)]
pub struct Block {
    prefix: Box<str>,
    layout: &'static Layout,
    shards: Box<[OnceLock<Shard>]>,
    texts: Box<[Mutex<Option<Arc<str>>>]>,
    read: Mutex<ReadSide>,
}

/// What only readers need.
#[derive(Debug, Default)]
struct ReadSide {
    /// Counter values at the last `/reset_counters`; empty before.
    values: Vec<u64>,
    codes: Vec<BTreeMap<u16, u64>>,
    /// Histograms as of the last flush; empty as long as none was used.
    latches: Vec<Latch>,
    /// What is kept, where that is not what holds for the process.
    matcher: Option<Arc<StatsMatcher>>,
}

impl Block {
    pub(super) fn new(prefix: &str, layout: &'static Layout, shards: usize) -> Self {
        Block {
            prefix: prefix.into(),
            layout,
            shards: (0..shards.max(1)).map(|_| OnceLock::new()).collect(),
            texts: (0..layout.texts()).map(|_| Mutex::new(None)).collect(),
            read: Mutex::default(),
        }
    }

    /// What all names in this block begin with, such as `cluster.app.`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What is in this block.
    pub fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// Says what of it is kept, where that is not what holds for the process.
    pub(super) fn choose(&self, matcher: Option<Arc<StatsMatcher>>) {
        self.read_side().matcher = matcher;
    }

    pub(super) fn matcher(&self) -> Option<Arc<StatsMatcher>> {
        self.read_side().matcher.clone()
    }

    /// The shard of this thread.
    #[inline]
    fn shard(&self) -> &Shard {
        let index = shard::current();
        // A worker beyond the number the registry was made for is counted with the shared shard.
        let index = if index < self.shards.len() { index } else { 0 };
        match self.shards[index].get() {
            Some(shard) => shard,
            None => self.first_use(index),
        }
    }

    #[cold]
    fn first_use(&self, index: usize) -> &Shard {
        self.shards[index].get_or_init(|| Shard::new(self.layout, index == 0))
    }

    fn written(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(OnceLock::get)
    }

    #[inline]
    pub(super) fn add(&self, slot: usize, amount: u64) {
        self.shard().update(slot, |old| old.wrapping_add(amount));
    }

    #[inline]
    pub(super) fn add_gauge(&self, slot: usize, amount: u64) {
        self.shard().update(slot, |old| {
            let old = if old == 0 { GAUGE_OFFSET } else { old };
            old.wrapping_add(amount)
        });
    }

    pub(super) fn set_gauge(&self, slot: usize, value: u64) {
        self.shard().update(slot, |_| GAUGE_OFFSET.wrapping_add(value));
    }

    #[inline]
    pub(super) fn record(&self, slot: usize, value: u64) {
        self.shard().record(slot, value);
    }

    #[inline]
    pub(super) fn inc_code(&self, slot: usize, code: u16) {
        let shard = self.shard();
        shard.codes(slot).inc(code, shard.is_shared());
    }

    pub(super) fn set_text(&self, slot: usize, text: &str) {
        *self.texts[slot].lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
    }

    /// The text, once one was set.
    pub(super) fn text(&self, slot: usize) -> Option<Arc<str>> {
        self.texts[slot].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A counter's value.
    pub(super) fn counter(&self, slot: usize) -> u64 {
        let sum = self.sum(slot);
        sum.wrapping_sub(self.read_side().values.get(slot).copied().unwrap_or(0))
    }

    fn sum(&self, slot: usize) -> u64 {
        self.written().fold(0, |sum, shard| sum.wrapping_add(shard.value(slot).load(Ordering::Relaxed)))
    }

    /// A gauge's value, once it was changed.
    pub(super) fn gauge(&self, slot: usize) -> Option<u64> {
        let values = self.written().map(|shard| shard.value(slot).load(Ordering::Relaxed));
        let decoded = values.filter(|value| *value != 0).map(|value| value.wrapping_sub(GAUGE_OFFSET));
        decoded.reduce(u64::wrapping_add)
    }

    /// Responses by code.
    pub(super) fn codes(&self, slot: usize) -> BTreeMap<u16, u64> {
        let mut sums = self.code_sums(slot);
        if let Some(before) = self.read_side().codes.get(slot) {
            for (code, count) in &mut sums {
                *count = count.wrapping_sub(before.get(code).copied().unwrap_or(0));
            }
        }
        sums
    }

    fn code_sums(&self, slot: usize) -> BTreeMap<u16, u64> {
        let mut sums = BTreeMap::new();
        for shard in self.written() {
            shard.codes(slot).for_each(|code, count| *sums.entry(code).or_insert(0) += count);
        }
        sums
    }

    /// Everything recorded in a histogram up to now, flushed or not; `None` before the first value.
    pub(super) fn recorded(&self, slot: usize) -> Option<Totals> {
        let mut totals: Option<Totals> = None;
        for bins in self.written().filter_map(|shard| shard.histogram(slot)) {
            totals.get_or_insert_default().add(bins);
        }
        totals
    }

    /// A histogram as of the last flush.
    pub(super) fn latched<R>(&self, slot: usize, read: impl FnOnce(Option<&Latch>) -> R) -> R {
        read(self.read_side().latches.get(slot).filter(|latch| latch.used()))
    }

    /// Ends the interval of the histograms: what was recorded since the last call becomes visible.
    pub(super) fn latch(&self) {
        let count = self.layout.histograms();
        let mut read = self.read_side();
        for slot in 0..count {
            let Some(totals) = self.recorded(slot) else { continue };
            read.latches.resize_with(count, Latch::default);
            read.latches[slot].advance(totals);
        }
    }

    /// Makes all counters zero for readers.
    pub(super) fn reset_counters(&self) {
        let counts = |kind: Kind| matches!(kind, Kind::Counter | Kind::LazyCounter);
        let sums = |kind: Kind, at: usize| counts(kind).then(|| self.sum(self.layout.slot(at)));
        let values = self.layout.fields.iter().enumerate().filter_map(|(at, field)| match field.kind {
            Kind::Counter | Kind::LazyCounter | Kind::Gauge => Some(sums(field.kind, at).unwrap_or(0)),
            _ => None,
        });
        let values = values.collect();
        let codes = (0..self.layout.codes()).map(|slot| self.code_sums(slot)).collect();
        let mut read = self.read_side();
        (read.values, read.codes) = (values, codes);
    }

    fn read_side(&self) -> std::sync::MutexGuard<'_, ReadSide> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
