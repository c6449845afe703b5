//! All statistics of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::config::bootstrap::{StatsConfig, StatsMatcher};

use super::block::Block;
use super::cursor::Cursor;
use super::field::Layout;

/// The buckets of histograms for which none are configured, in the histogram's unit.
const DEFAULT_BUCKETS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// All statistics of a process: what `/stats` shows. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
    /// What blocks made by this handle keep, in place of what holds for the process.
    matcher: Option<Arc<StatsMatcher>>,
    /// The blocks that it decides of once it is in force; `None` where it is from the beginning.
    waiting: Option<Arc<Mutex<Waiting>>>,
}

/// Blocks that were there before a handle that is not in force yet asked for them.
#[derive(Debug)]
enum Waiting {
    Blocks(Vec<Weak<Block>>),
    /// It is in force.
    Over,
}

/// Blocks by prefix and the name of their struct.
type Blocks = HashMap<(Box<str>, &'static str), Weak<Block>>;

#[derive(Debug)]
struct Inner {
    shards: usize,
    config: StatsConfig,
    blocks: Mutex<Blocks>,
}

impl Registry {
    /// A registry for this many workers.
    pub fn new(workers: usize) -> Self {
        Self::with_config(workers, StatsConfig::default())
    }

    /// A registry for this many workers whose statistics are kept, tagged and bucketed as configured.
    pub fn with_config(workers: usize, config: StatsConfig) -> Self {
        let inner = Inner { shards: workers + 1, config, blocks: Mutex::default() };
        Registry { inner: Arc::new(inner), matcher: None, waiting: None }
    }

    /// Another handle to the same, by which a cluster or a listener makes statistics of its own choice: of what is made by
    /// it this says what is kept, in place of what holds for the process. Of several that make the same, the last decides.
    #[must_use]
    pub fn choosing(&self, matcher: Option<&Arc<StatsMatcher>>) -> Self {
        Registry { inner: Arc::clone(&self.inner), matcher: matcher.cloned(), waiting: None }
    }

    /// The same for something that is not in force yet: of statistics that are there already it decides once it is put in
    /// force.
    #[must_use]
    pub fn warming(&self, matcher: Option<&Arc<StatsMatcher>>) -> Self {
        let waiting = Some(Arc::new(Mutex::new(Waiting::Blocks(Vec::new()))));
        Registry { waiting, ..self.choosing(matcher) }
    }

    /// What a handle that was not in force says holds from now on.
    pub fn put_in_force(&self) {
        let Some(waiting) = &self.waiting else { return };
        let waiting = std::mem::replace(&mut *lock(waiting), Waiting::Over);
        if let Waiting::Blocks(blocks) = waiting {
            blocks.iter().filter_map(Weak::upgrade).for_each(|block| block.choose(self.matcher.clone()));
        }
    }

    /// Says what of a block that was there before is kept, as soon as it has a say.
    fn choose(&self, block: &Arc<Block>) {
        if let Some(waiting) = &self.waiting
            && let Waiting::Blocks(blocks) = &mut *lock(waiting)
        {
            return blocks.push(Arc::downgrade(block));
        }
        block.choose(self.matcher.clone());
    }

    /// How statistics are kept, tagged and bucketed.
    pub fn config(&self) -> &StatsConfig {
        &self.inner.config
    }

    /// The names that statistics have for the threads: `main_thread`, and `worker_<N>` for each worker.
    pub fn thread_names(&self) -> impl Iterator<Item = String> {
        let workers = (0..self.inner.shards.saturating_sub(1)).map(|index| format!("worker_{index}"));
        std::iter::once("main_thread".to_owned()).chain(workers)
    }

    /// Whether the statistic of this name, which lies in this block, is kept.
    pub fn keeps(&self, block: &Block, name: &str) -> bool {
        match block.matcher() {
            Some(own) => own.keeps(name),
            None => self.inner.config.matcher.keeps(name),
        }
    }

    /// The upper bounds of a histogram's buckets.
    pub fn buckets(&self, name: &str) -> &[f64] {
        let mut configured = self.inner.config.histogram_buckets.iter();
        configured
            .find(|one| !one.buckets.is_empty() && one.matcher.matches(name.as_bytes()))
            .map_or(&DEFAULT_BUCKETS, |one| &one.buckets)
    }

    /// The block of this prefix and layout; a new one if there is none in use.
    pub fn block(&self, prefix: &str, layout: &'static Layout) -> Arc<Block> {
        let mut blocks = self.blocks();
        let key = (Box::from(prefix), layout.name);
        if let Some(block) = blocks.get(&key).and_then(Weak::upgrade) {
            self.choose(&block);
            return block;
        }
        if blocks.len() == blocks.capacity() {
            blocks.retain(|_, block| block.strong_count() > 0);
        }
        let block = Arc::new(Block::new(prefix, layout, self.inner.shards));
        block.choose(self.matcher.clone());
        blocks.insert(key, Arc::downgrade(&block));
        block
    }

    /// All blocks in use, sorted by prefix.
    pub fn sorted_blocks(&self) -> Vec<Arc<Block>> {
        let mut blocks: Vec<_> = self.blocks().values().filter_map(Weak::upgrade).collect();
        blocks.sort_by(|a, b| a.prefix().cmp(b.prefix()));
        blocks
    }

    /// The sum of a gauge over all blocks of a struct, by their names.
    pub fn sum_of_gauge(&self, layout: &str, field: &str) -> u64 {
        let gauge = |block: &Arc<Block>| {
            let index = block.layout().fields.iter().position(|one| one.name == field)?;
            block.gauge(block.layout().slot(index))
        };
        let blocks = self.sorted_blocks();
        let own = blocks.iter().filter(|block| block.layout().name == layout);
        own.filter_map(gauge).fold(0, u64::wrapping_add)
    }

    /// A walk over all statistics in the order of their names.
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.sorted_blocks())
    }

    /// Ends the interval of all histograms; called each `stats_flush_interval`.
    pub fn latch_histograms(&self) {
        for block in self.sorted_blocks() {
            block.latch();
        }
    }

    /// Makes all counters zero for readers.
    pub fn reset_counters(&self) {
        for block in self.sorted_blocks() {
            block.reset_counters();
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        lock(&self.inner.blocks)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
