//! Random UUIDs (RFC 9562 §5.4): ids of requests, names of listeners that have none.

use super::random::Rng;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A UUID that nobody else has.
pub fn fresh() -> String {
    let mut rng = Rng::from_entropy();
    random(rng.next_u64(), rng.next_u64()).map(char::from).iter().collect()
}

/// The text of a version 4 UUID made of these random bits.
pub fn random(high: u64, low: u64) -> [u8; 36] {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let bits = u128::from(high) << 64 | u128::from(low);
    let mut text = [b'-'; 36];
    let places = (0..36).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
    for (digit, place) in places.enumerate() {
        text[place] = HEX[(bits >> (124 - 4 * digit)) as usize & 0xf];
    }
    text
}

/// The number that a UUID begins with: its first eight digits.
pub fn number(id: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(id.get(..8)?).ok()?;
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_version_and_the_variant_of_random_ones() {
        let text = |high, low| String::from_utf8(random(high, low).to_vec()).unwrap();
        assert_eq!(text(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(
            text(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
