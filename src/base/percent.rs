//! Percent-encoding (RFC 3986 §2.1).

/// Undoes it; what is no `%` with two hexadecimal digits stays.
pub fn decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match encoded(rest) {
            Some(byte) => {
                out.push(byte);
                &rest[3..]
            }
            None => {
                out.push(*first);
                after
            }
        };
    }
}

/// Undoes it where it hides what could stand in a URL as it is. What is encoded for a reason stays so, and a `%` that
/// encodes nothing goes, but for one at the end: what Envoy calls decoded.
pub fn decode_visible(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match encoded(rest) {
            Some(byte) if is_visible(byte) => {
                out.push(byte);
                &rest[3..]
            }
            Some(_) => {
                out.extend_from_slice(&rest[..3]);
                &rest[3..]
            }
            None => {
                if *first != b'%' || after.len() < 2 {
                    out.push(*first);
                }
                after
            }
        };
    }
}

/// The byte that a text begins with, if that is encoded.
fn encoded(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| (*byte as char).to_digit(16);
    match text {
        [b'%', high, low, ..] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    }
}

/// Whether a byte may stand in a URL as it is.
fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^{|}".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_for_a_reason_stays_so() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            decode_visible(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).expect("a text"), expected, "{text}");
        };
        check("a=%41%2f%60%7E", "a=A/`~");
        check("%20%3c%5C%7f%ff", "%20%3c%5C%7f%ff");
        check("%zz%%41 %4", "zzA %4");
    }
}
