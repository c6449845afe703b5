//! Bytes as text and back: how cases write what goes over the wire, and how transcripts show it.

use std::fmt::Write as _;

/// A run of one character longer than this is shown as `${c*N}`.
const LONGEST_RUN: usize = 64;

/// The bytes that `text` stands for: each character up to U+00FF is one byte, and `${c*N}` is `c` N times.
///
/// Longer characters are their UTF-8 bytes. YAML's own escapes (`"\r\n\0\xff"`) have been undone by then.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((run, times, after)) = repetition(rest) {
            let unit = wire(run);
            (0..times).for_each(|_| bytes.extend_from_slice(&unit));
            rest = after;
            continue;
        }
        match u8::try_from(u32::from(first)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = &rest[first.len_utf8()..];
    }
    bytes
}

/// Splits a leading `${run*times}` off.
fn repetition(text: &str) -> Option<(&str, usize, &str)> {
    let inner = text.strip_prefix("${")?;
    let (inner, after) = inner.split_once('}')?;
    let (run, times) = inner.rsplit_once('*')?;
    Some((run, times.parse().ok()?, after))
}

/// `bytes` for people: CRLF ends a line, a bare LF is shown as `\n` and ends it too; every other control byte, a bare
/// CR and bytes over 0x7e are escaped.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let run = bytes[at..].iter().take_while(|next| **next == byte).count();
        if run > LONGEST_RUN {
            text.push_str("${");
            show_byte(byte, &mut text);
            write!(text, "*{run}}}").expect("a string takes every write");
            at += run;
        } else if bytes[at..].starts_with(b"\r\n") {
            text.push('\n');
            at += 2;
        } else {
            show_byte(byte, &mut text);
            at += 1;
        }
    }
    text
}

fn show_byte(byte: u8, text: &mut String) {
    match byte {
        b'\\' => text.push_str("\\\\"),
        b'\r' => text.push_str("\\r"),
        b'\n' => text.push_str("\\n\n"),
        b' '..=b'~' => text.push(char::from(byte)),
        _ => write!(text, "\\x{byte:02x}").expect("a string takes every write"),
    }
}
