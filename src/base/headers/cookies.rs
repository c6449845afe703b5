//! Cookies of a request (RFC 6265 §5.4), as Envoy takes them apart.

use super::{Headers, Known, Name};

/// The value of a cookie, of several the first; quotes around it do not belong to it.
pub fn cookie<'h>(headers: &'h Headers, name: &[u8]) -> Option<&'h [u8]> {
    if !headers.contains(Known::Cookie) {
        return None;
    }
    let lines = headers.get_all(Name::Known(Known::Cookie));
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(pair).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Name and value; `None` without an equals sign.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', text)?;
    let name = &text[..equals];
    let spaces = name.iter().take_while(|byte| **byte == b' ').count();
    let value = &text[equals + 1..];
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some((&name[spaces..], unquoted.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_a_name_counts() {
        let mut headers = Headers::new();
        for line in ["a=1; b=\"2\";c", "a=3; d=4=5;e="] {
            headers.append(Known::Cookie, line.as_bytes());
        }
        let cases: [(&str, Option<&str>); 7] = [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", None),
            ("d", Some("4=5")),
            ("e", Some("")),
            (" b", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(cookie(&headers, name.as_bytes()), expected.map(str::as_bytes), "{name}");
        }
    }
}
