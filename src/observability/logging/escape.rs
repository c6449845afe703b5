//! Escaping of log text, for lines that have to stay on one line or inside a JSON string.

use std::fmt::Write;

/// Appends `text` as the inside of a JSON string (RFC 8259 §7).
pub(super) fn json(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control)).unwrap_or_default(),
            plain => out.push(plain),
        }
    }
}

/// Appends `text` with line feeds as `\n`.
pub(super) fn newlines(text: &str, out: &mut String) {
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push_str("\\n");
        }
        out.push_str(line);
    }
}

/// Replaces everything in `text` that is not printable ASCII by C escape sequences, as
/// `--log-format-escaped` asks; white space at the end stays, so a line keeps its end.
pub(super) fn c_style(text: &str) -> String {
    let body = text.trim_ascii_end();
    let mut escaped = String::with_capacity(text.len() + 8);
    for &byte in body.as_bytes() {
        match byte {
            b'\n' => escaped.push_str("\\n"),
            b'\r' => escaped.push_str("\\r"),
            b'\t' => escaped.push_str("\\t"),
            b'"' | b'\'' | b'\\' => escaped.extend(['\\', char::from(byte)]),
            b' '..=b'~' => escaped.push(char::from(byte)),
            other => write!(escaped, "\\{other:03o}").unwrap_or_default(),
        }
    }
    escaped.push_str(&text[body.len()..]);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_style_keeps_the_end_of_the_line() {
        assert_eq!(c_style("a\tb'\\ é\n  \n"), "a\\tb\\'\\\\ \\303\\251\n  \n");
    }

    #[test]
    fn json_text_stays_inside_its_string() {
        let mut out = String::new();
        json("a\"b\\\n\u{1}é", &mut out);
        assert_eq!(out, "a\\\"b\\\\\\n\\u0001é");
    }

    #[test]
    fn only_line_feeds_are_escaped() {
        let mut out = String::new();
        newlines("a\nb\tc\n", &mut out);
        assert_eq!(out, "a\\nb\tc\\n");
    }
}
