//! Cookies of a request (RFC 6265 §5.4), as Envoy takes them apart.

use super::{Entry, Headers, Known, Name, Span};

/// The value of a cookie, of several the first; quotes around it do not belong to it.
pub fn cookie<'h>(headers: &'h Headers, name: &[u8]) -> Option<&'h [u8]> {
    if !headers.contains(Known::Cookie) {
        return None;
    }
    let lines = headers.get_all(Name::Known(Known::Cookie));
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(pair).find(|(known, _)| *known == name).map(|(_, value)| value)
}

impl Headers {
    /// Makes one header of all that have this name and are not empty, with `separator` between their values, and puts it
    /// at the end. One that is alone is moved, not copied.
    pub fn gather(&mut self, known: Known, separator: &[u8]) {
        if !self.contains(known) {
            return;
        }
        let Headers { text, entries, present, .. } = self;
        let mut values = entries.iter().filter(|entry| entry.is_of(known.bit())).map(|entry| entry.value);
        let mut value = values.next().unwrap_or_default();
        for more in values.filter(|more| more.len > 0) {
            value = if value.len == 0 { more } else { join(text, value, separator, more) };
        }
        entries.retain(|entry| !entry.is_of(known.bit()));
        if value.len == 0 {
            *present &= !known.bit();
        } else {
            entries.push(Entry { known: Some(known), name: Span::default(), value });
        }
    }
}

/// Writes two values as one; the first is not copied where it is the last thing that was written.
fn join(text: &mut Vec<u8>, first: Span, separator: &[u8], second: Span) -> Span {
    let mut at = first.at;
    if (first.at + first.len) as usize != text.len() {
        at = text.len() as u32;
        text.extend_from_within(first.range());
    }
    text.extend_from_slice(separator);
    text.extend_from_within(second.range());
    Span { at, len: text.len() as u32 - at }
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
    fn cookies_are_gathered_at_the_end() {
        let gathered = |cookies: &[&str]| {
            let mut headers = Headers::new();
            for cookie in cookies {
                headers.append(Known::Cookie, cookie.as_bytes());
                headers.append(Known::Via, b"x");
            }
            headers.gather(Known::Cookie, b"; ");
            assert_eq!(headers.len(), cookies.len() + usize::from(headers.contains(Known::Cookie)));
            headers.iter().last().map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        for (cookies, expected) in [
            (&["a=1"][..], "a=1"),
            (&["a=1", "b=2", "c=3"], "a=1; b=2; c=3"),
            (&["", "a=1", "", "b=2"], "a=1; b=2"),
            (&["", ""], "x"),
        ] {
            assert_eq!(gathered(cookies).as_deref(), Some(expected), "{cookies:?}");
        }
    }

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
