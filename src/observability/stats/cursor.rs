//! A walk over all statistics in the order of their names.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::block::Block;
use super::codes::NO_CODE;
use super::field::{Kind, Unit};
use super::histogram::Latch;

/// A statistic as the walk finds it.
#[derive(Debug)]
pub struct Stat<'a> {
    /// The block it lies in.
    pub block: &'a Arc<Block>,
    /// Its name after the block's prefix.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value,
}

impl Stat<'_> {
    /// Its whole name.
    pub fn full_name(&self) -> String {
        format!("{}{}", self.block.prefix(), self.name)
    }
}

/// A statistic's value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A counter's.
    Counter(u64),
    /// A gauge's; `None` if it was never changed, which shows as 0.
    Gauge(Option<u64>),
    /// A text; `None` if none was set, which shows as an empty one.
    Text(Option<Arc<str>>),
    /// A histogram as of the last flush, `None` if nothing was recorded before it.
    Histogram(Unit, Option<Box<Latch>>),
}

/// The walk. It holds on to all blocks that were there when it began, and reads values as it comes to them.
#[derive(Debug)]
pub struct Cursor {
    /// Blocks not reached yet; the next one last.
    waiting: Vec<Arc<Block>>,
    /// Blocks reached and not finished, the one with the lowest next name on top. More than one only where
    /// names of blocks interleave: `cluster.a.` and `cluster.a.http1.`.
    open: BinaryHeap<Reverse<Open>>,
}

/// A block and what is left of it, the next one last.
#[derive(Debug)]
struct Open {
    block: Arc<Block>,
    rest: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    name: Cow<'static, str>,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Field(usize),
    Counter(u64),
}

impl Cursor {
    pub(super) fn new(mut blocks: Vec<Arc<Block>>) -> Self {
        blocks.reverse();
        Cursor { waiting: blocks, open: BinaryHeap::new() }
    }

    /// The next statistic; `visit` gets it. `false` at the end.
    pub fn next(&mut self, visit: impl FnOnce(Stat<'_>)) -> bool {
        self.reach();
        let Some(Reverse(mut open)) = self.open.pop() else { return false };
        if let Some(item) = open.rest.pop() {
            let value = item.read(&open.block);
            visit(Stat { block: &open.block, name: item.name, value });
        }
        if !open.rest.is_empty() {
            self.open.push(Reverse(open));
        }
        true
    }

    /// Opens the blocks that may hold the next name.
    fn reach(&mut self) {
        while let Some(block) = self.waiting.last() {
            let is_next = self.open.peek().is_none_or(|Reverse(open)| block.prefix().bytes().le(open.name()));
            if !is_next {
                return;
            }
            let Some(block) = self.waiting.pop() else { return };
            let rest = items(&block);
            if !rest.is_empty() {
                self.open.push(Reverse(Open { block, rest }));
            }
        }
    }
}

impl Open {
    fn name(&self) -> impl Iterator<Item = u8> {
        let name = self.rest.last().map_or("", |item| &*item.name);
        self.block.prefix().bytes().chain(name.bytes())
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Item {
    fn read(&self, block: &Block) -> Value {
        match self.what {
            What::Counter(value) => Value::Counter(value),
            What::Field(index) => read(block, index),
        }
    }
}

/// The value of a field.
pub(super) fn read(block: &Block, index: usize) -> Value {
    let slot = block.layout().slot(index);
    match block.layout().fields[index].kind {
        Kind::Gauge => Value::Gauge(block.gauge(slot)),
        Kind::Text => Value::Text(block.text(slot)),
        Kind::Histogram(unit) | Kind::LazyHistogram(unit) => {
            Value::Histogram(unit, block.latched(slot, |latch| latch.cloned().map(Box::new)))
        }
        Kind::Counter | Kind::LazyCounter | Kind::Codes | Kind::LazyCodes => {
            Value::Counter(block.counter(slot))
        }
    }
}

/// What a block holds at this moment, in falling order of names.
fn items(block: &Block) -> Vec<Item> {
    let mut items = Vec::with_capacity(block.layout().fields.len());
    for (index, field) in block.layout().fields.iter().enumerate() {
        let slot = block.layout().slot(index);
        match field.kind {
            Kind::Codes | Kind::LazyCodes => {
                codes(block, field.name, slot, field.kind == Kind::Codes, &mut items)
            }
            Kind::LazyHistogram(_) if block.recorded(slot).is_none() => {}
            Kind::LazyCounter if block.counter(slot) == 0 => {}
            _ => items.push(Item { name: field.name.into(), what: What::Field(index) }),
        }
    }
    items.sort_by(|a, b| b.name.cmp(&a.name));
    items
}

/// The counters that come from one group of response codes.
fn codes(block: &Block, name: &str, slot: usize, always: bool, items: &mut Vec<Item>) {
    let mut classes = [None; 5];
    let mut completed = always.then_some(0);
    let mut push = |name: String, value| items.push(Item { name: name.into(), what: What::Counter(value) });
    for (code, count) in block.codes(slot) {
        if code != NO_CODE {
            push(format!("{name}_{code}"), count);
        }
        *completed.get_or_insert(0) += count;
        if let Some(class) = (code / 100).checked_sub(1).and_then(|class| classes.get_mut(usize::from(class)))
        {
            *class.get_or_insert(0) += count;
        }
    }
    for (class, count) in classes.into_iter().enumerate() {
        if let Some(count) = count {
            push(format!("{name}_{}xx", class + 1), count);
        }
    }
    if let Some(count) = completed {
        push(format!("{name}_completed"), count);
    }
}
