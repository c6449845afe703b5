//! Buckets for the values of a descriptor that leaves some open: one for each combination that requests have.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::route::rate_limit::Entry;

use super::config::Fill;
use super::limiter::{Bucket, fits};

/// The buckets of one descriptor. Finding one that is there writes no more than when that was; a new one takes the
/// place of the one that was used the longest time ago, in a copy of the table.
#[derive(Debug)]
pub(super) struct Dynamic {
    pattern: Vec<(String, String)>,
    fill: Fill,
    shadow: bool,
    capacity: usize,
    hasher: DefaultHashBuilder,
    /// How often any was used.
    uses: AtomicU64,
    buckets: ArcSwap<HashTable<Arc<Used>>>,
}

/// A bucket and for what.
#[derive(Debug)]
struct Used {
    values: Box<[Box<[u8]>]>,
    bucket: Arc<Bucket>,
    /// The number of its last use.
    last: AtomicU64,
}

impl Dynamic {
    pub(super) fn new(pattern: &[(String, String)], fill: Fill, shadow: bool, capacity: usize) -> Self {
        Dynamic {
            pattern: pattern.to_vec(),
            fill,
            shadow,
            capacity,
            hasher: DefaultHashBuilder::default(),
            uses: AtomicU64::new(0),
            buckets: ArcSwap::default(),
        }
    }

    /// The bucket for these entries; `None` where the descriptor does not match them.
    pub(super) fn find(&self, entries: &[Entry<'_>]) -> Option<Arc<Bucket>> {
        let same = entries.len() == self.pattern.len();
        if !same || !entries.iter().zip(&self.pattern).all(|(entry, pattern)| fits(entry, pattern)) {
            return None;
        }
        let number = self.uses.fetch_add(1, Ordering::Relaxed);
        let hash = self.hash(entries.iter().map(|entry| &*entry.value));
        if let Some(used) = find(&self.buckets.load(), hash, entries) {
            used.last.store(number, Ordering::Relaxed);
            return Some(Arc::clone(&used.bucket));
        }
        Some(self.add(hash, entries, number))
    }

    /// A new bucket, unless another worker has just made it.
    fn add(&self, hash: u64, entries: &[Entry<'_>], number: u64) -> Arc<Bucket> {
        let fresh = Arc::new(Used {
            values: entries.iter().map(|entry| Box::from(&*entry.value)).collect(),
            bucket: Bucket::new(self.fill, self.shadow),
            last: AtomicU64::new(number),
        });
        let mut bucket = Arc::clone(&fresh.bucket);
        self.buckets.rcu(|buckets| {
            if let Some(used) = find(buckets, hash, entries) {
                bucket = Arc::clone(&used.bucket);
                return Arc::clone(buckets);
            }
            bucket = Arc::clone(&fresh.bucket);
            let mut buckets = HashTable::clone(buckets);
            if buckets.len() >= self.capacity {
                let oldest = buckets.iter().min_by_key(|used| used.last.load(Ordering::Relaxed));
                let oldest = oldest.map(Arc::as_ptr);
                buckets.retain(|used| Some(Arc::as_ptr(used)) != oldest);
            }
            let rehash = |used: &Arc<Used>| self.hash(used.values.iter().map(|value| &**value));
            buckets.insert_unique(hash, Arc::clone(&fresh), rehash);
            Arc::new(buckets)
        });
        bucket
    }

    fn hash<'v>(&self, values: impl Iterator<Item = &'v [u8]>) -> u64 {
        let mut state = self.hasher.build_hasher();
        values.for_each(|value| value.hash(&mut state));
        state.finish()
    }
}

fn find<'b>(buckets: &'b HashTable<Arc<Used>>, hash: u64, entries: &[Entry<'_>]) -> Option<&'b Arc<Used>> {
    buckets.find(hash, |used| {
        let values = used.values.iter().map(|value| &**value);
        values.eq(entries.iter().map(|entry| &*entry.value))
    })
}
