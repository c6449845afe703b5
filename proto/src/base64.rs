//! Base64 (RFC 4648), in which JSON carries bytes.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes in the standard alphabet, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for position in 0..4 {
            let sextet = (bits >> (18 - 6 * position) & 63) as usize;
            out.push(if position <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}

/// Decodes the standard or the URL-safe alphabet, with padding or without.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let padding = match text {
        [.., b'=', b'='] if text.len().is_multiple_of(4) => 2,
        [.., b'='] if text.len().is_multiple_of(4) => 1,
        _ => 0,
    };
    let text = &text[..text.len() - padding];
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.chunks(4) {
        let bits = chunk.iter().try_fold(0_u32, |bits, &letter| Some(bits << 6 | sextet(letter)?))?;
        match chunk.len() {
            4 => out.extend_from_slice(&bits.to_be_bytes()[1..]),
            3 => out.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
            2 => out.push((bits >> 4) as u8),
            _ => return None,
        }
    }
    Some(out)
}

fn sextet(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_and_any_padding_are_read() {
        for (text, bytes) in [("", &b""[..]), ("YQ==", b"a"), ("YQ", b"a"), ("YWI=", b"ab"), ("YWJj", b"abc")]
        {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(decode("-_-_"), decode("+/+/"));
        for text in ["Y", "Y===", "Y Q=", "YQ==YQ==", "=", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for length in 0..8 {
            let bytes: Vec<u8> = (0..length).map(|index| 255 - index * 31).collect();
            let text = encode(&bytes);
            assert!(text.len().is_multiple_of(4));
            assert_eq!(decode(&text), Some(bytes));
        }
        assert_eq!(encode(b"[redacted]"), "W3JlZGFjdGVkXQ==");
    }
}
