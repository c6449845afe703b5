//! The snapshots that one request takes: each is kept to its end, so that what is found there lives as long as its filters.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::snapshot::Snapshot;

/// What a request has taken, in this order: one snapshot, and another each time that its route is looked for anew.
#[derive(Debug, Default)]
#[expect(clippy::redundant_allocation, reason = "the outer pointer is counted without other threads")]
pub(super) struct Snapshots {
    first: OnceCell<Rc<Arc<Snapshot>>>,
    next: OnceCell<Box<Snapshots>>,
}

impl Snapshots {
    /// Keeps this one, too.
    #[expect(clippy::redundant_allocation, reason = "the outer pointer is counted without other threads")]
    pub(super) fn keep(&self, snapshot: Rc<Arc<Snapshot>>) -> &Snapshot {
        let mut free = self;
        while free.first.get().is_some() {
            free = free.next.get_or_init(Box::default);
        }
        free.first.get_or_init(|| snapshot)
    }
}

/// One after the other: nothing says how often a request may wait for its route.
impl Drop for Snapshots {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut kept) = next {
            next = kept.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_snapshot_stays_beside_those_before() {
        let (taken, one, other) = (Snapshots::default(), Rc::default(), Rc::default());
        let first = taken.keep(Rc::clone(&one));
        let second = taken.keep(Rc::clone(&other));
        assert!(std::ptr::eq(first, &**one) && std::ptr::eq(second, &**other));
        assert_eq!((Rc::strong_count(&one), Rc::strong_count(&other)), (2, 2));
        drop(taken);
        assert_eq!((Rc::strong_count(&one), Rc::strong_count(&other)), (1, 1));
    }
}
