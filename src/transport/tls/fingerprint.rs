//! Fingerprints of greetings: what kind of client it is by what it offers, JA3 and JA4.
//!
//! [JA3](https://github.com/salesforce/ja3) and [JA4](https://github.com/FoxIO-LLC/ja4) as Envoy makes them of TLS over
//! TCP. They tell clients apart; nothing is trusted for them.

use std::fmt::Write;

use aws_lc_rs::digest;

use super::client_hello::{APPLICATION_PROTOCOLS, Parts, SERVER_NAME, prefixed_8, prefixed_16};

/// `supported_groups` (RFC 8422 §5.1.1).
const GROUPS: u16 = 10;
/// `ec_point_formats` (RFC 8422 §5.1.2).
const POINT_FORMATS: u16 = 11;
/// `signature_algorithms` (RFC 8446 §4.2.3).
const SIGNATURE_ALGORITHMS: u16 = 13;
/// `supported_versions` (RFC 8446 §4.2.1).
const VERSIONS: u16 = 43;

/// Digits that JA4 keeps of a hash.
const JA4_DIGITS: usize = 12;

/// The MD5 of the JA3 text, in hexadecimal digits.
pub(super) fn ja3(hello: &Parts<'_>) -> Box<str> {
    let groups = numbers(hello.extension(GROUPS).and_then(|groups| groups.get(2..)).unwrap_or_default());
    let formats = hello.extension(POINT_FORMATS).and_then(|formats| formats.get(1..)).unwrap_or_default();
    let text = format!(
        "{},{},{},{},{}",
        hello.version,
        dashed(meant(numbers(hello.cipher_suites))),
        dashed(meant(hello.extensions().map(|(kind, _)| kind))),
        dashed(groups),
        dashed(formats.iter().copied().map(u16::from)),
    );
    format!("{:x}", md5::compute(text)).into()
}

/// The JA4, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub(super) fn ja4(hello: &Parts<'_>) -> Box<str> {
    let kinds: Vec<u16> = meant(hello.extensions().map(|(kind, _)| kind)).collect();
    let mut suites: Vec<u16> = meant(numbers(hello.cipher_suites)).collect();
    suites.sort_unstable();
    let name = if hello.extension(SERVER_NAME).is_some() { 'd' } else { 'i' };
    format!(
        "t{}{name}{:02}{:02}{}_{}_{}",
        version(hello),
        suites.len().min(99),
        kinds.len().min(99),
        first_protocol(hello),
        hash(&suites, &[]),
        offers(hello, kinds),
    )
    .into()
}

/// The hash of the extensions, but for the two that say where to, and of the signature algorithms in their order.
fn offers(hello: &Parts<'_>, mut kinds: Vec<u16>) -> String {
    kinds.retain(|kind| ![SERVER_NAME, APPLICATION_PROTOCOLS].contains(kind));
    kinds.sort_unstable();
    let listed = hello.extension(SIGNATURE_ALGORITHMS).and_then(|listed| listed.get(2..));
    hash(&kinds, &numbers(listed.unwrap_or_default()).collect::<Vec<_>>())
}

/// The highest version that is offered.
fn version(hello: &Parts<'_>) -> &'static str {
    let highest = |mut content| Some(meant(numbers(prefixed_8(&mut content)?)).max().unwrap_or(0));
    let offered = match hello.extension(VERSIONS).map(highest) {
        None | Some(Some(0)) => hello.version,
        Some(offered) => offered.unwrap_or(0),
    };
    match offered {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        _ => "00",
    }
}

/// The first and the last letter of the first protocol, `00` where there is none.
fn first_protocol(hello: &Parts<'_>) -> String {
    let first = hello.extension(APPLICATION_PROTOCOLS).and_then(|mut content| {
        let mut names = prefixed_16(&mut content)?;
        let name = prefixed_8(&mut names)?;
        Some((*name.first()?, *name.last()?))
    });
    match first {
        None => "00".to_owned(),
        Some((first, last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => {
            [char::from(first), char::from(last)].into_iter().collect()
        }
        Some((first, last)) => format!("{:x}{:x}", first >> 4, last & 0xf),
    }
}

/// The beginning of the SHA-256 of a list and of what follows it; zeros where the list is empty.
fn hash(list: &[u16], behind: &[u16]) -> String {
    if list.is_empty() {
        return "0".repeat(JA4_DIGITS);
    }
    let mut text = joined(list.iter().map(|number| format!("{number:04x}")), ',');
    if !behind.is_empty() {
        text.push('_');
        text.push_str(&joined(behind.iter().map(|number| format!("{number:04x}")), ','));
    }
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref()[..JA4_DIGITS / 2].iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        write!(digits, "{byte:02x}").ok();
        digits
    })
}

fn dashed(numbers: impl Iterator<Item = u16>) -> String {
    joined(numbers.map(|number| number.to_string()), '-')
}

fn joined(items: impl Iterator<Item = String>, between: char) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push(between);
        }
        text.push_str(&item);
    }
    text
}

/// Numbers of two bytes, one behind the other.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|number| u16::from_be_bytes(*number))
}

/// Without the numbers that mean nothing and only keep servers used to new ones (RFC 8701).
fn meant(numbers: impl Iterator<Item = u16>) -> impl Iterator<Item = u16> {
    numbers.filter(|number| number & 0x0f0f != 0x0a0a || number >> 8 != number & 0xff)
}

#[cfg(test)]
mod tests {
    use super::super::client_hello::Parts;
    use super::*;

    /// An extension.
    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("a short extension");
        [&kind.to_be_bytes(), &length.to_be_bytes(), content].concat()
    }

    fn bytes(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// A greeting of Chrome, as the description of JA4 takes it for its example.
    #[test]
    fn the_example_of_ja4_is_found_again() {
        let suites = bytes(&[
            0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x009c, 0x009d, 0x002f, 0x0035,
        ]);
        let schemes = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        let extensions = [
            extension(0x1a1a, b""),
            extension(0x001b, b""),
            extension(0x0000, b""),
            extension(0x0033, b""),
            extension(0x0010, b"\x00\x0c\x02h2\x08http/1.1"),
            extension(0x4469, b""),
            extension(0x0017, b""),
            extension(0x002d, b""),
            extension(0x000d, &[&[0, 16][..], &bytes(&schemes)].concat()),
            extension(0x0005, b""),
            extension(0x0023, b""),
            extension(0x0012, b""),
            extension(0x002b, b"\x06\x2a\x2a\x03\x04\x03\x03"),
            extension(0xff01, b""),
            extension(0x000b, b""),
            extension(0x000a, b""),
            extension(0x0015, b""),
        ];
        let hello = Parts { version: 0x0303, cipher_suites: &suites, extensions: &extensions.concat() };
        assert_eq!(&*ja4(&hello), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    /// The example in the description of JA3.
    #[test]
    fn the_example_of_ja3_is_found_again() {
        let suites = bytes(&[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4]);
        let groups = extension(GROUPS, &bytes(&[6, 23, 24, 25]));
        let extensions = [extension(0, b""), groups, extension(POINT_FORMATS, &[1, 0])].concat();
        let hello = Parts { version: 769, cipher_suites: &suites, extensions: &extensions };
        assert_eq!(&*ja3(&hello), "ada70206e40642a3e4461f35503241d5");
    }

    #[test]
    fn a_greeting_that_offers_nothing_has_fingerprints_too() {
        let hello = Parts { version: 0x0303, cipher_suites: &[], extensions: &[] };
        assert_eq!(&*ja4(&hello), "t12i000000_000000000000_000000000000");
    }

    #[test]
    fn protocols_that_are_no_letters_become_digits() {
        for (names, expected) in [
            (&b"\x00\x03\x02h2"[..], "h2"),
            (b"\x00\x09\x08http/1.1", "h1"),
            (b"\x00\x03\x02\xab\xcd", "ad"),
            (b"\x00\x01\x00", "00"),
            (b"\x00", "00"),
        ] {
            let extensions = extension(APPLICATION_PROTOCOLS, names);
            let hello = Parts { version: 0x0303, cipher_suites: &[], extensions: &extensions };
            assert_eq!(first_protocol(&hello), expected, "{names:?}");
        }
    }
}
