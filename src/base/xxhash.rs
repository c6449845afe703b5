//! XXH64: the hash by which Envoy shows versions (`version` of a subscription's statistics) and chooses hosts.

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// The hash of `bytes` with seed 0.
pub fn hash(bytes: &[u8]) -> u64 {
    hash_with_seed(bytes, 0)
}

/// The hash of `bytes`.
pub fn hash_with_seed(bytes: &[u8], seed: u64) -> u64 {
    let (stripes, rest) = bytes.as_chunks::<32>();
    let mut state = if stripes.is_empty() { seed.wrapping_add(PRIMES[4]) } else { long(stripes, seed) };
    state = state.wrapping_add(bytes.len() as u64);
    finish(tail(state, rest))
}

/// What whole stripes of 32 bytes come to: four lanes, mixed in the end.
fn long(stripes: &[[u8; 32]], seed: u64) -> u64 {
    let starts = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0u64.wrapping_sub(PRIMES[0])];
    let mut lanes = starts.map(|start| seed.wrapping_add(start));
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let rotated = [1, 7, 12, 18].iter().zip(lanes).map(|(&by, lane)| lane.rotate_left(by));
    let sum = rotated.fold(0u64, u64::wrapping_add);
    lanes
        .iter()
        .fold(sum, |state, &lane| (state ^ round(0, lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]))
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// Mixes in what is left over: words of eight bytes, one of four, single bytes.
fn tail(mut state: u64, rest: &[u8]) -> u64 {
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        state ^= round(0, u64::from_le_bytes(*word));
        state = state.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        state ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIMES[0]);
        state = state.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
    }
    for &byte in rest {
        state ^= u64::from(byte).wrapping_mul(PRIMES[4]);
        state = state.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    state
}

fn finish(state: u64) -> u64 {
    let state = (state ^ (state >> 33)).wrapping_mul(PRIMES[1]);
    let state = (state ^ (state >> 29)).wrapping_mul(PRIMES[2]);
    state ^ (state >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_come_out() {
        // Of the reference implementation; the last is longer than a stripe.
        assert_eq!(hash(b""), 0xef46_db37_51d8_e999);
        assert_eq!(hash(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_eq!(hash(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
        assert_eq!(hash_with_seed(b"", 1), 0xd5af_ba13_36a3_be4b);
    }
}
