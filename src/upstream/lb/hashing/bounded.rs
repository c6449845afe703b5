//! Bounded loads: a host that has more than its share of the requests in flight passes a hash on
//! (Mirrokni et al., "Consistent Hashing with Bounded Loads"), to a host that the hash alone decides, so that all proxies
//! pass it on alike. Which host that is is Envoy's.

use crate::base::mersenne_twister::MersenneTwister;

/// What the hosts have to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Requests in flight to all hosts.
    pub(super) total: u32,
    /// Percent of its share that a host may have: `hash_balance_factor`.
    pub(super) factor: u32,
}

impl Load {
    /// How full a host is that has this share of all and so many requests in flight; above 1 it has too many.
    fn of(&self, share: f64, active: u32) -> f64 {
        let all = ((u64::from(self.total) + 1) * u64::from(self.factor)).div_ceil(100);
        f64::from(active) / (all as f64 * share).ceil().max(1.0)
    }
}

/// The number of the host of a hash whose own is `first`: that one, or else the first in an order of the hash that is
/// not too full, or else the least full of all. `host` tells share and requests in flight of each of `count` hosts.
pub(super) fn choose(first: u32, hash: u64, count: u32, load: Load, host: impl Fn(u32) -> (f64, u32)) -> u32 {
    let full = |number: u32| {
        let (share, active) = host(number);
        load.of(share, active)
    };
    let mut least = (full(first), first);
    if least.0 <= 1.0 {
        return first;
    }
    let mut order: Vec<u32> = (0..count).collect();
    #[expect(clippy::cast_possible_truncation, reason = "the generator is seeded by the lower half")]
    let mut random = MersenneTwister::new(hash as u32);
    for place in 0..count {
        let other = place + random.below(count - place);
        order.swap(place as usize, other as usize);
        let number = order[place as usize];
        if number == first {
            continue;
        }
        let full = full(number);
        if full <= 1.0 {
            return number;
        }
        if full < least.0 {
            least = (full, number);
        }
    }
    least.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Rng;

    #[test]
    fn no_host_gets_more_than_its_bound_while_another_has_room() {
        let mut rng = Rng::seeded(8);
        for factor in [100, 125, 200] {
            let mut active = [0u32; 10];
            for total in 0..500 {
                let hash = rng.next_u64();
                // Nearly all hashes lead to the first host.
                let first = if rng.below(10) > 0 { 0 } else { (hash % 10) as u32 };
                let load = Load { total, factor };
                let number = choose(first, hash, 10, load, |number| (0.1, active[number as usize]));
                active[number as usize] += 1;
                let bound = (f64::from(total + 1) * f64::from(factor) / 1000.0).ceil() as u32 + 1;
                assert!(active.iter().all(|active| *active <= bound), "{active:?} above {bound} of {total}");
            }
        }
    }

    #[test]
    fn a_hash_that_is_passed_on_goes_to_the_same_host_each_time() {
        let active = [9, 0, 0, 0, 0];
        let load = Load { total: 9, factor: 150 };
        for hash in 0..50 {
            let passed = || choose(0, hash, 5, load, |number| (0.2, active[number as usize]));
            assert_eq!(passed(), passed());
            assert_ne!(passed(), 0);
        }
    }

    #[test]
    fn the_least_full_host_is_taken_when_all_are_too_full() {
        let active = [9, 5, 7];
        let load = Load { total: 1, factor: 100 };
        assert_eq!(choose(0, 3, 3, load, |number| (0.33, active[number as usize])), 1);
    }
}
