//! What IP matchers count: values that are no addresses.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// A counter that lives elsewhere: this module makes no statistics.
pub trait Count: fmt::Debug + Send + Sync {
    /// One more.
    fn inc(&self);
}

/// Where values that are no addresses are counted: `<stat_prefix>.ip_parsing_failed`.
///
/// Clones share the counter, which whoever puts the conditions in force sets. Two are equal where their prefixes are.
#[derive(Clone, Debug)]
pub struct Unparsed {
    stat_prefix: Box<str>,
    counter: Arc<OnceLock<Box<dyn Count>>>,
}

impl Unparsed {
    /// `Ip.stat_prefix`
    pub(super) fn new(stat_prefix: &str) -> Self {
        Unparsed { stat_prefix: stat_prefix.into(), counter: Arc::default() }
    }

    /// Counts one, once there is a counter.
    pub(super) fn inc(&self) {
        if let Some(counter) = self.counter.get() {
            counter.inc();
        }
    }

    /// Counts from now on, with what `make` makes of the prefix.
    pub(super) fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        self.counter.get_or_init(|| make(&self.stat_prefix));
    }
}

impl PartialEq for Unparsed {
    fn eq(&self, other: &Self) -> bool {
        self.stat_prefix == other.stat_prefix
    }
}
