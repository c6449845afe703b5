//! Buckets for the values of a descriptor that leaves some open: one for each combination that requests have.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::route::rate_limit::Entry;

use super::config::Fill;
use super::limiter::{Bucket, fits};

/// Buckets in one table, about: to copy so many takes a few microseconds.
const BUCKETS_OF_A_TABLE: usize = 128;

/// Tables of one descriptor at most.
const MOST_TABLES: usize = 1 << 14;

/// The buckets of one descriptor. Finding one that is there writes no more than when that was; a new one takes the
/// place of the one that was used the longest time ago, in a copy of the table.
///
/// Many buckets are divided among tables by their hashes: a client that sends ever new values must not have all of them
/// copied each time. Then the bucket that has to go is the one of its table that was used the longest time ago.
#[derive(Debug)]
pub(super) struct Dynamic {
    pattern: Vec<(String, String)>,
    fill: Fill,
    shadow: bool,
    capacity: usize,
    hasher: DefaultHashBuilder,
    /// How often any was used.
    uses: AtomicU64,
    /// How many buckets there are in all tables.
    count: AtomicUsize,
    /// As many as a power of two.
    tables: Box<[ArcSwapOption<Buckets>]>,
}

type Buckets = HashTable<Arc<Used>>;

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
        let tables = capacity.div_ceil(BUCKETS_OF_A_TABLE).min(MOST_TABLES).next_power_of_two();
        Dynamic {
            pattern: pattern.to_vec(),
            fill,
            shadow,
            capacity,
            hasher: DefaultHashBuilder::default(),
            uses: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            tables: (0..tables).map(|_| ArcSwapOption::empty()).collect(),
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
        if let Some(buckets) = self.table(hash).load().as_deref()
            && let Some(used) = find(buckets, hash, entries)
        {
            used.last.store(number, Ordering::Relaxed);
            return Some(Arc::clone(&used.bucket));
        }
        Some(self.add(hash, entries, number))
    }

    /// The table of a hash, by bits that the table itself does not look at first.
    fn table(&self, hash: u64) -> &ArcSwapOption<Buckets> {
        &self.tables[(hash >> 32) as usize & (self.tables.len() - 1)]
    }

    /// A new bucket, unless another worker has just made it.
    fn add(&self, hash: u64, entries: &[Entry<'_>], number: u64) -> Arc<Bucket> {
        let fresh = Arc::new(Used {
            values: entries.iter().map(|entry| Box::from(&*entry.value)).collect(),
            bucket: Bucket::new(self.fill, self.shadow),
            last: AtomicU64::new(number),
        });
        let mut bucket = Arc::clone(&fresh.bucket);
        // Where nothing of its table can go there is one more than there should be.
        let is_full = self.count.fetch_add(1, Ordering::Relaxed) >= self.capacity;
        let mut less = 0;
        self.table(hash).rcu(|before| {
            let known = before.as_deref().and_then(|buckets| find(buckets, hash, entries));
            if let Some(used) = known {
                (bucket, less) = (Arc::clone(&used.bucket), 1);
                return before.clone();
            }
            bucket = Arc::clone(&fresh.bucket);
            let mut buckets = before.as_deref().map_or_else(HashTable::new, HashTable::clone);
            less = usize::from(is_full && !buckets.is_empty());
            if less > 0 {
                let oldest = buckets.iter().min_by_key(|used| used.last.load(Ordering::Relaxed));
                let oldest = oldest.map(Arc::as_ptr);
                buckets.retain(|used| Some(Arc::as_ptr(used)) != oldest);
            }
            let rehash = |used: &Arc<Used>| self.hash(used.values.iter().map(|value| &**value));
            buckets.insert_unique(hash, Arc::clone(&fresh), rehash);
            Some(Arc::new(buckets))
        });
        self.count.fetch_sub(less, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use super::*;

    fn dynamic(capacity: usize) -> Dynamic {
        let fill = Fill { max_tokens: 1, tokens_per_fill: 1, fill_interval: Duration::from_secs(3600) };
        Dynamic::new(&[("k".to_owned(), String::new())], fill, false, capacity)
    }

    fn bucket(dynamic: &Dynamic, value: usize) -> Arc<Bucket> {
        let value = value.to_string().into_bytes();
        dynamic.find(&[Entry { key: "k", value: Cow::Owned(value) }]).expect("any value has a bucket")
    }

    /// How many buckets there are, and how many in the largest table.
    fn sizes(dynamic: &Dynamic) -> (usize, usize) {
        let sizes = dynamic.tables.iter().map(|table| table.load().as_deref().map_or(0, HashTable::len));
        (sizes.clone().sum(), sizes.max().unwrap_or(0))
    }

    #[test]
    fn a_new_value_copies_few_buckets_however_many_there_are() {
        let dynamic = dynamic(20_000);
        let buckets: Vec<_> = (0..20_000).map(|value| bucket(&dynamic, value)).collect();
        let (all, largest) = sizes(&dynamic);
        assert_eq!(all, 20_000);
        assert!(largest < 2 * BUCKETS_OF_A_TABLE, "{largest} in one table");
        let same = buckets.iter().enumerate().filter(|(value, known)| Arc::ptr_eq(known, &bucket(&dynamic, *value)));
        assert_eq!(same.count(), 20_000);
    }

    #[test]
    fn of_ever_new_values_no_more_are_kept_than_is_said_but_for_one_in_each_table() {
        for capacity in [1, 2, 20, 128, 1000] {
            let dynamic = dynamic(capacity);
            let often = bucket(&dynamic, 0);
            for value in 1..5000 {
                bucket(&dynamic, value);
                assert!(capacity == 1 || Arc::ptr_eq(&often, &bucket(&dynamic, 0)), "{value} of {capacity}");
            }
            let (all, _) = sizes(&dynamic);
            assert!((capacity..capacity + dynamic.tables.len()).contains(&all), "{all} of {capacity}");
            assert_eq!(dynamic.count.load(Ordering::Relaxed), all);
        }
    }
}
