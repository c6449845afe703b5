//! Earliest deadline first: weighted round robin as Envoy's `EdfScheduler` does it, pick for pick.
//!
//! Each entry has a deadline one weight's share after its last pick; the earliest is picked, the one that was
//! inserted first among equals. A scheduler begins as if it had been picked from a random number of times, so that
//! workers, and proxies, do not all begin with the same host.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Added to weights while picks are emulated, as Envoy does: keeps deadlines of weights that are multiples of each
/// other from falling to either side of one another by rounding.
const EPSILON: f64 = 1e-13;

/// Envoy's bound on emulated picks.
const MAX_EMULATED_PICKS: u64 = 429_496_729;

/// A scheduler over entries that are known by their index.
#[derive(Clone, Debug)]
pub struct Edf {
    now: f64,
    next_order: u64,
    queue: BinaryHeap<Reverse<Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: f64,
    order: u64,
    index: u32,
}

impl Edf {
    /// A scheduler over `0..count` from which `picks` picks have been made; every weight is above zero.
    pub fn new(count: usize, weight: impl Fn(usize) -> f64, picks: u64) -> Self {
        // Envoy passes its 64-bit seed as a 32-bit number of picks.
        let picks = (picks & u64::from(u32::MAX)) % MAX_EMULATED_PICKS;
        let sum: f64 = (0..count).map(|index| weight(index) + EPSILON).sum();
        let mut edf = Edf { now: 0.0, next_order: count as u64, queue: BinaryHeap::with_capacity(count) };
        let mut made = 0;
        for index in 0..count {
            let weight = weight(index) + EPSILON;
            let own = whole_picks(weight, sum, picks);
            edf.now = edf.now.max(own as f64 / weight);
            made += own;
            let deadline = (own + 1) as f64 / weight;
            edf.queue.push(Reverse(Entry { deadline, order: index as u64, index: index as u32 }));
        }
        for _ in made..picks {
            edf.pick(&weight);
        }
        edf
    }

    /// The next entry's index, put back with the weight it has now; `None` when there are no entries.
    pub fn pick(&mut self, weight: impl Fn(usize) -> f64) -> Option<usize> {
        let mut top = self.queue.peek_mut()?;
        let Reverse(Entry { deadline, index, .. }) = *top;
        self.now = deadline;
        // Replacing the top sifts once, where a pop and a push would sift twice.
        *top = Reverse(Entry {
            deadline: deadline + 1.0 / weight(index as usize),
            order: self.next_order,
            index,
        });
        self.next_order += 1;
        Some(index as usize)
    }
}

/// How many of `picks` an entry has surely had.
fn whole_picks(weight: f64, sum: f64, picks: u64) -> u64 {
    let own = (weight * picks as f64 / sum) as u64;
    // Rounding may have given one too many.
    let too_many = own > 0 && own as f64 / weight >= picks as f64 / sum;
    own - u64::from(too_many)
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline.total_cmp(&other.deadline).then(self.order.cmp(&other.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Rng;

    fn sequence(weights: &[f64], picks_before: u64, length: usize) -> Vec<usize> {
        let mut edf = Edf::new(weights.len(), |index| weights[index], picks_before);
        (0..length).map_while(|_| edf.pick(|index| weights[index])).collect()
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(sequence(&[1.0; 3], 0, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn weights_interleave_smoothly() {
        // Deadlines of the first: 1/3, 2/3, 1; of the second: 1. The first was inserted anew later.
        assert_eq!(sequence(&[3.0, 1.0], 0, 8), [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        assert!(sequence(&[], 5, 3).is_empty());
    }

    #[test]
    fn emulated_picks_equal_real_ones() {
        let mut rng = Rng::seeded(11);
        for _ in 0..200 {
            let weights: Vec<f64> = (0..rng.below(9) + 2).map(|_| (rng.below(128) + 1) as f64).collect();
            let before = rng.below(1000);
            let emulated = sequence(&weights, before, 300);
            let real = sequence(&weights, 0, before as usize + 300).split_off(before as usize);
            // Entries of equal weight may swap their turns, so shares are compared, not turns.
            let share = |picks: &[usize]| -> Vec<f64> {
                let mut shares = vec![0.0; weights.len()];
                picks.iter().for_each(|&index| shares[index] += 1.0);
                shares
            };
            let differ =
                share(&emulated).iter().zip(share(&real)).any(|(one, other)| (one - other).abs() > 1.0);
            assert!(!differ, "weights {weights:?}, {before} picks before");
        }
    }

    #[test]
    fn shares_follow_weights_exactly_over_whole_rounds() {
        let weights = [1.0, 2.0, 5.0, 8.0];
        let mut counts = [0; 4];
        sequence(&weights, 0, 1600).into_iter().for_each(|index| counts[index] += 1);
        assert_eq!(counts, [100, 200, 500, 800]);
    }

    #[test]
    fn a_weight_that_changes_counts_from_the_next_pick_on() {
        let mut edf = Edf::new(2, |_| 1.0, 0);
        assert_eq!(edf.pick(|_| 0.1), Some(0));
        let next: Vec<_> = (0..9).map_while(|_| edf.pick(|_| 1.0)).collect();
        assert_eq!(next, [1; 9]);
    }
}
