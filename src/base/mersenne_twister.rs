//! The Mersenne Twister MT19937: the sequence of random numbers that proxies share where they have to come to the same
//! order from the same number (Matsumoto and Nishimura, "Mersenne Twister").

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// A generator that gives the same numbers for the same seed everywhere.
#[derive(Clone, Debug)]
pub struct MersenneTwister {
    words: [u32; WORDS],
    next: usize,
}

impl MersenneTwister {
    /// The sequence of this seed.
    pub fn new(seed: u32) -> Self {
        let mut words = [seed; WORDS];
        for index in 1..WORDS {
            let before = words[index - 1];
            words[index] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(index as u32);
        }
        MersenneTwister { words, next: WORDS }
    }

    /// The next number.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number below `bound`, which is above zero: each as likely as the others.
    pub fn below(&mut self, bound: u32) -> u32 {
        let width = (1u64 << 32) / u64::from(bound.max(1));
        loop {
            let number = (u64::from(self.next_u32()) / width) as u32;
            if number < bound.max(1) {
                return number;
            }
        }
    }

    fn twist(&mut self) {
        for index in 0..WORDS {
            let joined = (self.words[index] & 0x8000_0000) | (self.words[(index + 1) % WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[index] = self.words[(index + SHIFT) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_number_is_the_one_that_the_standard_of_c_plus_plus_names() {
        let mut numbers = MersenneTwister::new(5489);
        assert_eq!((0..10_000).map(|_| numbers.next_u32()).last(), Some(4_123_659_995));
    }

    #[test]
    fn numbers_are_below_their_bound_and_all_of_them_come() {
        let mut numbers = MersenneTwister::new(7);
        let mut seen = [0; 7];
        (0..7_000).for_each(|_| seen[numbers.below(7) as usize] += 1);
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        assert_eq!(numbers.below(1), 0);
    }
}
