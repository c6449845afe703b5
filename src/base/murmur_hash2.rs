//! MurmurHash2, 64 bits (`MurmurHash64A`): what `std::hash` of GNU's C++ library is, by which `RING_HASH` can place
//! hosts (`hash_function: MURMUR_HASH_2`).

const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;

/// The seed of GNU's C++ library.
const SEED: u64 = 0xc70f_6907;

/// The hash of `bytes`.
pub fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    for word in words {
        let mixed = mix(u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
        state = (state ^ mixed).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
        state = (state ^ last).wrapping_mul(MULTIPLIER);
    }
    mix(mix(state).wrapping_mul(MULTIPLIER))
}

fn mix(word: u64) -> u64 {
    word ^ (word >> 47)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_come_out() {
        // What `std::hash<std::string>` of GNU's C++ library gives.
        assert_eq!(hash(b""), 6_142_509_188_972_423_790);
        assert_eq!(hash(b"abcd"), 16_030_370_620_903_852_840);
        assert_eq!(hash(b"alpha_12"), 17_584_840_293_572_365_367);
        assert_eq!(hash(b"alpha_1234567"), 1_753_997_908_543_624_153);
    }
}
