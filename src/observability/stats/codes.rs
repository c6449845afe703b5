//! Counts of responses by status code.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shard::update;

/// Codes of a chunk. Most clusters answer with two or three.
const CHUNK: usize = 6;
/// A slot holds its code above this bit and the count below.
const CODE_SHIFT: u32 = 48;
const COUNT_MASK: u64 = (1 << CODE_SHIFT) - 1;

/// What a response is counted as whose status is not counted: it is completed, and nothing more.
pub(super) const NO_CODE: u16 = 0;

/// Counts by code, as a list of slots that each hold a code and its count in one number. A code keeps its slot.
#[derive(Debug, Default)]
pub(super) struct CodeCounts {
    first: OnceLock<Box<Chunk>>,
}

#[derive(Debug, Default)]
struct Chunk {
    slots: [AtomicU64; CHUNK],
    next: OnceLock<Box<Chunk>>,
}

impl CodeCounts {
    /// Counts a response.
    ///
    /// Where several threads write, two that meet a new code at once may give it two slots; the sum is right.
    pub(super) fn inc(&self, code: u16, shared: bool) {
        let mut chunk = &self.first;
        loop {
            let here = chunk.get_or_init(Box::default);
            if here.slots.iter().any(|slot| take(slot, code, shared)) {
                return;
            }
            chunk = &here.next;
        }
    }

    /// Codes and their counts, in no order.
    pub(super) fn for_each(&self, mut visit: impl FnMut(u16, u64)) {
        let mut chunk = self.first.get();
        while let Some(here) = chunk {
            for slot in &here.slots {
                let content = slot.load(Ordering::Relaxed);
                if content != 0 {
                    visit((content >> CODE_SHIFT) as u16, content & COUNT_MASK);
                }
            }
            chunk = here.next.get();
        }
    }
}

/// Counts in this slot if it belongs to the code or is free.
fn take(slot: &AtomicU64, code: u16, shared: bool) -> bool {
    let content = slot.load(Ordering::Relaxed);
    let free = content == 0;
    if !free && (content >> CODE_SHIFT) as u16 != code {
        return false;
    }
    if free && shared {
        let first = u64::from(code) << CODE_SHIFT | 1;
        return slot.compare_exchange(0, first, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    }
    let base = if free { u64::from(code) << CODE_SHIFT } else { 0 };
    update(slot, shared, |old| old.wrapping_add(base).wrapping_add(1));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_any_number_of_codes() {
        for shared in [false, true] {
            let counts = CodeCounts::default();
            for code in (200..220).chain(200..210) {
                counts.inc(code, shared);
            }
            let mut seen = Vec::new();
            counts.for_each(|code, count| seen.push((code, count)));
            seen.sort_unstable();
            let expected: Vec<_> = (200..220).map(|code| (code, if code < 210 { 2 } else { 1 })).collect();
            assert_eq!(seen, expected);
        }
    }
}
