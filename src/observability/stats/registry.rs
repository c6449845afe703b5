//! All statistics of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::block::Block;
use super::cursor::Cursor;
use super::field::Layout;

/// All statistics of a process: what `/stats` shows. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: usize,
    blocks: Mutex<HashMap<(Box<str>, &'static str), Weak<Block>>>,
}

impl Registry {
    /// A registry for this many workers.
    pub fn new(workers: usize) -> Self {
        Registry { inner: Arc::new(Inner { shards: workers + 1, blocks: Mutex::default() }) }
    }

    /// The block of this prefix and layout; a new one if there is none in use.
    pub fn block(&self, prefix: &str, layout: &'static Layout) -> Arc<Block> {
        let mut blocks = self.blocks();
        let key = (Box::from(prefix), layout.name);
        if let Some(block) = blocks.get(&key).and_then(Weak::upgrade) {
            return block;
        }
        if blocks.len() == blocks.capacity() {
            blocks.retain(|_, block| block.strong_count() > 0);
        }
        let block = Arc::new(Block::new(prefix, layout, self.inner.shards));
        blocks.insert(key, Arc::downgrade(&block));
        block
    }

    /// All blocks in use, sorted by prefix.
    pub fn sorted_blocks(&self) -> Vec<Arc<Block>> {
        let mut blocks: Vec<_> = self.blocks().values().filter_map(Weak::upgrade).collect();
        blocks.sort_by(|a, b| a.prefix().cmp(b.prefix()));
        blocks
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

    fn blocks(&self) -> MutexGuard<'_, HashMap<(Box<str>, &'static str), Weak<Block>>> {
        self.inner.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
