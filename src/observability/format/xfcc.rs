//! `XFCC_VALUE`: what `x-forwarded-client-cert` says of the certificate that the first proxy was shown.
//!
//! The header's elements have commas between them, an element's pairs semicolons; neither counts within quotes.

use crate::base::headers::{Headers, Known};

use super::Given;
use super::command::text;

/// Writes the value of the first pair with this key, which is in lower case, without its quotes.
pub(super) fn value(key: &str, request: &Headers, out: &mut Vec<u8>) -> Given {
    let Some(found) = request.get(Known::XForwardedClientCert).and_then(|header| find(key, header)) else {
        return Given::Nothing;
    };
    let quoted = found.len() >= 2 && found.starts_with(b"\"") && found.ends_with(b"\"");
    let found = if quoted { &found[1..found.len() - 1] } else { found };
    let mut rest = found.iter().peekable();
    while let Some(byte) = rest.next() {
        match (byte, rest.peek()) {
            (b'\\', Some(escaped @ (b'"' | b'\\'))) => {
                out.push(**escaped);
                rest.next();
            }
            _ => out.push(*byte),
        }
    }
    text(Some(b""), out)
}

/// The value as it stands there; nothing where quotes are left open in its element.
fn find<'h>(key: &str, header: &'h [u8]) -> Option<&'h [u8]> {
    let mut elements = header;
    while !elements.is_empty() {
        let (mut pairs, rest) = split(elements, b',')?;
        while !pairs.is_empty() {
            let (pair, rest) = split(pairs, b';')?;
            let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(equals);
            if name.trim_ascii().eq_ignore_ascii_case(key.as_bytes()) {
                return Some(value.strip_prefix(b"=").unwrap_or(value).trim_ascii());
            }
            pairs = rest;
        }
        elements = rest;
    }
    None
}

/// What stands before the first separator that no quotes hold, or before the end, and what follows it; nothing
/// where the end is within quotes.
fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (mut in_quotes, mut is_escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        if *byte == separator && !in_quotes {
            return Some((&text[..at], &text[at + 1..]));
        }
        if *byte == b'"' && !is_escaped {
            in_quotes = !in_quotes;
        }
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    (!in_quotes).then_some((text, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the header's value gives for the key `uri`.
    fn check(header: &str, expected: Option<&str>) {
        let found = find("uri", header.as_bytes()).map(|found| std::str::from_utf8(found).unwrap());
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn the_first_pair_with_the_key_counts_whichever_element_it_is_in() {
        check("By=a;URI=b;uri=c", Some("b"));
        check("By=a, Uri = b ;Hash=c,URI=d", Some("b"));
        check("By=a;Hash=b", None);
        check("", None);
        check("URI", Some(""));
    }

    #[test]
    fn separators_within_quotes_are_text() {
        check(r#"Subject="O=x;URI=no,URI=no";URI=yes"#, Some("yes"));
        check(r#"Subject="say \";URI=no";URI="a,b""#, Some(r#""a,b""#));
        check(r#"URI=yes,Subject="open"#, Some("yes"));
        check(r#"URI=no;Subject="open"#, None);
    }
}
