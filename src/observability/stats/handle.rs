//! What the methods of a struct of statistics return: one statistic, ready to be changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::Block;
use super::codes::NO_CODE;
use super::histogram::Totals;

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            block: &'a Block,
            slot: usize,
        }

        impl<'a> $name<'a> {
            #[doc(hidden)]
            #[inline]
            pub fn new(block: &'a Block, slot: usize) -> Self {
                $name { block, slot }
            }
        }
    )*};
}

handles! {
    /// A number that only grows.
    Counter;
    /// A number that goes up and down.
    ///
    /// A thread may raise it and another lower it; the sum is right, the parts may wrap.
    Gauge;
    /// A distribution of values.
    Histogram;
    /// Counts of responses by status code.
    Codes;
    /// A text. It may be set by any thread, but not where requests pass: it takes a lock.
    Text;
}

impl Counter<'_> {
    /// One more.
    #[inline]
    pub fn inc(self) {
        self.add(1);
    }

    /// Some more.
    #[inline]
    pub fn add(self, amount: u64) {
        self.block.add(self.slot, amount);
    }

    /// The sum over all threads.
    pub fn value(self) -> u64 {
        self.block.counter(self.slot)
    }
}

impl Gauge<'_> {
    /// One more.
    #[inline]
    pub fn inc(self) {
        self.add(1);
    }

    /// One less.
    #[inline]
    pub fn dec(self) {
        self.sub(1);
    }

    /// Some more.
    #[inline]
    pub fn add(self, amount: u64) {
        self.block.add_gauge(self.slot, amount);
    }

    /// Some less.
    #[inline]
    pub fn sub(self, amount: u64) {
        self.block.add_gauge(self.slot, amount.wrapping_neg());
    }

    /// Gives this thread's part a value: for gauges that only one thread writes.
    pub fn set(self, value: u64) {
        self.block.set_gauge(self.slot, value);
    }

    /// The sum over all threads.
    pub fn value(self) -> u64 {
        self.block.gauge(self.slot).unwrap_or(0)
    }
}

impl Histogram<'_> {
    /// Records a value, in the histogram's unit.
    #[inline]
    pub fn record(self, value: u64) {
        self.block.record(self.slot, value);
    }

    /// Everything recorded up to now.
    pub fn totals(self) -> Totals {
        self.block.recorded(self.slot).unwrap_or_default()
    }
}

impl Codes<'_> {
    /// Counts a response with this status.
    #[inline]
    pub fn inc(self, code: u16) {
        self.block.inc_code(self.slot, code);
    }

    /// Counts a response whose status is not counted.
    #[inline]
    pub fn inc_completed(self) {
        self.block.inc_code(self.slot, NO_CODE);
    }

    /// Responses with this status.
    pub fn value(self, code: u16) -> u64 {
        self.all().get(&code).copied().unwrap_or(0)
    }

    /// Responses by status.
    pub fn all(self) -> BTreeMap<u16, u64> {
        self.block.codes(self.slot)
    }
}

impl Text<'_> {
    /// Replaces the text.
    pub fn set(self, text: &str) {
        self.block.set_text(self.slot, text);
    }

    /// The text; empty if none was set.
    pub fn value(self) -> Arc<str> {
        self.block.text(self.slot).unwrap_or_default()
    }
}
