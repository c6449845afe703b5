//! The maps of METADATA frames in HPACK (RFC 7541). Each is packed by itself, so nothing is kept between two.

use std::collections::HashMap;

use bytes::{BufMut, BytesMut};

/// Bytes of names and values looked at in one map: a name out of the table of HPACK takes one byte, and may be 4 KiB long.
const MOST_DECODED: usize = 64 * 1024 * 1024;
/// Bytes of the table that a packed map may make use of (RFC 7541 §4.2).
const TABLE_SIZE: usize = 4096;

/// Names and values, of which each name stands once.
pub(super) type Fields = HashMap<Box<[u8]>, Box<[u8]>>;

/// Unpacks a map. Of several values of a name the first counts, as in Envoy. `None` for what is no map.
pub(super) fn decode(block: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    if is_without_fields(block)? {
        return Some(fields);
    }
    let mut decoder = loona_hpack::Decoder::new();
    decoder.set_max_allowed_table_size(TABLE_SIZE);
    let mut decoded = 0_usize;
    let unpacked = decoder.decode_with_cb(block, |name, value| {
        decoded = decoded.saturating_add(name.len() + value.len());
        if decoded <= MOST_DECODED && !fields.contains_key(&*name) {
            fields.insert(name.into(), value.into());
        }
    });
    (unpacked.is_ok() && decoded <= MOST_DECODED).then_some(fields)
}

/// Whether there is nothing but changes of the table's size. `None` if one of them asks for too much.
fn is_without_fields(mut block: &[u8]) -> Option<bool> {
    while let [first @ 0x20..0x40, rest @ ..] = block {
        let mut size = usize::from(first & 0x1f);
        block = rest;
        if size == 0x1f {
            let (more, rest) = long_integer(block)?;
            size += more;
            block = rest;
        }
        if size > TABLE_SIZE {
            return None;
        }
    }
    Some(block.is_empty())
}

/// What an integer has beyond its prefix (RFC 7541 §5.1), and what follows it; two bytes tell all that is asked for.
fn long_integer(block: &[u8]) -> Option<(usize, &[u8])> {
    match block {
        [low @ 0..0x80, rest @ ..] => Some((usize::from(*low), rest)),
        [low, high @ 0..0x80, rest @ ..] => Some((usize::from(low & 0x7f) | usize::from(*high) << 7, rest)),
        _ => None,
    }
}

/// Packs a map: literals that nobody is to remember (RFC 7541 §6.2.2).
pub(super) fn encode(fields: &Fields) -> BytesMut {
    let mut block = BytesMut::new();
    for (name, value) in fields {
        block.put_u8(0);
        for text in [name, value] {
            put_length(text.len(), &mut block);
            block.put_slice(text);
        }
    }
    block
}

/// The length of a string that is not packed (RFC 7541 §5.2).
fn put_length(length: usize, block: &mut BytesMut) {
    let Some(mut rest) = length.checked_sub(0x7f) else {
        return block.put_u8(length as u8);
    };
    block.put_u8(0x7f);
    while rest >= 0x80 {
        block.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.put_u8(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Rng;

    fn map(fields: &[(&[u8], &[u8])]) -> Fields {
        fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        for length in [0, 1, 126, 127, 128, 254, 255, 256, 16_383, 70_000] {
            let long = vec![b'x'; length];
            let fields = map(&[(b"a", &long), (&[&long[..], b"n"].concat(), b"")]);
            assert_eq!(decode(&encode(&fields)), Some(fields), "{length}");
        }
    }

    #[test]
    fn the_first_value_of_a_name_counts() {
        assert_eq!(decode(b"\0\x01a\x01b\0\x01a\x01c"), Some(map(&[(b"a", b"b")])));
        // `:method: GET`, which the table knows, and a packed string.
        assert_eq!(decode(b"\x82\0\x01a\x81\x1f"), Some(map(&[(b":method", b"GET"), (b"a", b"a")])));
    }

    #[test]
    fn nothing_but_changes_of_the_table_is_an_empty_map() {
        for block in [&b""[..], b"\x20", b"\x3f\xe1\x1f", b"\x20\x3e"] {
            assert_eq!(decode(block), Some(Fields::new()), "{block:?}");
        }
        for block in
            [&b"\x3f\xe2\x1f"[..], b"\x3f\xff\xff\xff\x0f", b"\x3f", b"\0\x01a\x01b\x20", b"\xff", b"\0\x05a"]
        {
            assert_eq!(decode(block), None, "{block:?}");
        }
    }

    #[test]
    fn a_name_of_the_table_over_and_over_is_no_map() {
        let long = vec![b'x'; 4000];
        let mut block = BytesMut::new();
        block.put_slice(b"\x40\x01a");
        put_length(long.len(), &mut block);
        block.put_slice(&long);
        let first = block.len();
        block.put_bytes(0xbe, 1000);
        assert_eq!(decode(&block).map(|fields| fields.len()), Some(1));
        block.put_bytes(0xbe, MOST_DECODED / 4000);
        assert_eq!(decode(&block), None);
        assert_eq!(decode(&block[..first]).map(|fields| fields.len()), Some(1));
    }

    #[test]
    fn any_bytes_are_a_map_or_none() {
        let mut random = Rng::seeded(7);
        for _ in 0..20_000 {
            let length = random.below(40) as usize;
            let block: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
            if let Some(fields) = decode(&block) {
                assert_eq!(decode(&encode(&fields)), Some(fields));
            }
        }
    }
}
