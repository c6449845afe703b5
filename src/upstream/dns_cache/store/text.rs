//! The text of a file of keys and values, as Envoy writes it: each with its length in a line before it. A third text may
//! say until when they hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What comes before the third text.
const TTL: &[u8] = b"TTL";

/// A key and its value.
pub(super) type Pair = (String, String);

/// Writes keys and values.
pub(super) fn write<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for part in pairs.flat_map(|(key, value)| [key, value]) {
        text.push_str(&part.len().to_string());
        text.push('\n');
        text.push_str(part);
    }
    text
}

/// Reads keys and values up to the first that cannot be read; those that held until before `now` are left out. Whether
/// that was all.
pub(super) fn read(mut bytes: &[u8], now: SystemTime) -> (Vec<Pair>, bool) {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let Some((pair, holds_until)) = read_pair(&mut bytes) else { return (pairs, false) };
        if holds_until.is_none_or(|end| end > now) {
            pairs.push(pair);
        }
    }
    (pairs, true)
}

fn read_pair(bytes: &mut &[u8]) -> Option<(Pair, Option<SystemTime>)> {
    let pair = (read_part(bytes)?, read_part(bytes)?);
    let Some(mut rest) = bytes.strip_prefix(TTL) else { return Some((pair, None)) };
    let seconds = read_part(&mut rest)?.parse().ok()?;
    *bytes = rest;
    Some((pair, UNIX_EPOCH.checked_add(Duration::from_secs(seconds))))
}

fn read_part(bytes: &mut &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let length: usize = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
    let (part, rest) = bytes[end + 1..].split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(part.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> Pair {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn what_is_written_is_what_envoy_writes_and_is_read_again() {
        let text = write([("127.0.0.1:1", "127.0.0.1:1|0|14717"), ("a", "")].into_iter());
        assert_eq!(text, "11\n127.0.0.1:119\n127.0.0.1:1|0|147171\na0\n");
        let read = read(text.as_bytes(), UNIX_EPOCH);
        assert_eq!(read, (vec![pair("127.0.0.1:1", "127.0.0.1:1|0|14717"), pair("a", "")], true));
    }

    #[test]
    fn reading_ends_at_what_cannot_be_read() {
        let before = || vec![pair("k", "v")];
        for bad in ["x", "x\n", "9\nshort", "1\nk", "1\nkx\nv", "18446744073709551616\nk", "-1\nk"] {
            assert_eq!(read(format!("1\nk1\nv{bad}").as_bytes(), UNIX_EPOCH), (before(), false), "{bad}");
        }
        assert_eq!(read(b"1\n\xff1\nv", UNIX_EPOCH), (Vec::new(), false), "no text");
        assert_eq!(read(b"", UNIX_EPOCH), (Vec::new(), true));
    }

    #[test]
    fn what_does_not_hold_any_more_is_left_out() {
        let text = b"1\na1\n1TTL2\n501\nb1\n2TTL3\n1001\nc1\n3";
        let at = |seconds| read(text, UNIX_EPOCH + Duration::from_secs(seconds)).0;
        assert_eq!(at(49), [pair("a", "1"), pair("b", "2"), pair("c", "3")]);
        assert_eq!(at(50), [pair("b", "2"), pair("c", "3")]);
        assert_eq!(at(1000), [pair("c", "3")]);
        assert_eq!(read(b"1\na1\n1TTL1\nx", UNIX_EPOCH), (Vec::new(), false));
    }
}
