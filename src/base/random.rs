//! Random numbers for load balancing, jitter and sampling: fast, seedable, not for secrets.
//!
//! The generator is xoshiro256++ (Blackman and Vigna), its state filled by SplitMix64 from one seed. Each worker
//! owns one; tests seed theirs and see the same choices on every run.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// A generator of pseudo-random numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator whose numbers depend on `seed` alone.
    pub fn seeded(seed: u64) -> Self {
        let mut next = seed;
        Rng { state: std::array::from_fn(|_| split_mix(&mut next)) }
    }

    /// A generator with a seed of its own from the operating system's randomness.
    pub fn from_entropy() -> Self {
        Rng::seeded(RandomState::new().build_hasher().finish())
    }

    /// A number of 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (self.state[1] << 17), d.rotate_left(45)];
        result
    }

    /// A number below `bound`, each as likely as the others but for 1 in 2^64; 0 when `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 to below 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A span of time from zero to below `limit`.
    pub fn duration_below(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.fraction())
    }
}

/// One step of SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_those_of_the_reference_implementation() {
        // xoshiro256plusplus.c with the state 1, 2, 3, 4.
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let expected = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(expected.map(|_| rng.next_u64()), expected);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut one, mut other) = (Rng::seeded(7), Rng::seeded(7));
        assert!((0..100).all(|_| one.next_u64() == other.next_u64()));
        assert_ne!(Rng::seeded(7).next_u64(), Rng::seeded(8).next_u64());
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let mut rng = Rng::seeded(1);
        let mut seen = [0u32; 10];
        (0..100_000).for_each(|_| seen[rng.below(10) as usize] += 1);
        assert!(seen.iter().all(|&count| (9_600..10_400).contains(&count)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn fractions_stay_below_one() {
        let mut rng = Rng::seeded(3);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&rng.fraction())));
        assert!(rng.duration_below(Duration::from_secs(2)) < Duration::from_secs(2));
    }
}
