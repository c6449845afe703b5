//! Lines in JSON, written straight into the output.

use std::io::Write;

use crate::config::format::{Format, JsonFormat, JsonValue, Part};

use super::command::{self, Within};
use super::{Absent, Context, Given, render};

/// Writes the object that the format gives, without a line break.
///
/// A single command keeps its type: numbers stand without quotes, and what is not there is `null`, or left out
/// with `omit_empty_values`. Several pieces give a string.
pub fn render_json(format: &JsonFormat, context: &Context<'_>, out: &mut Vec<u8>) {
    object(&format.fields, format.omit_empty_values, context, out);
}

fn object(fields: &[(String, JsonValue)], omit: bool, context: &Context<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    let first = out.len();
    for (key, value) in fields {
        let start = out.len();
        if start > first {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        if !self::value(value, omit, context, out) {
            out.truncate(start);
        }
    }
    out.push(b'}');
}

fn list(values: &[JsonValue], omit: bool, context: &Context<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    let first = out.len();
    for value in values {
        let start = out.len();
        if start > first {
            out.push(b',');
        }
        if !self::value(value, omit, context, out) {
            out.truncate(start);
        }
    }
    out.push(b']');
}

/// Writes a value; `false` if it is to be left out.
fn value(value: &JsonValue, omit: bool, context: &Context<'_>, out: &mut Vec<u8>) -> bool {
    match value {
        JsonValue::Null => return absent(omit, out),
        JsonValue::Literal(json) => out.extend_from_slice(json.as_bytes()),
        JsonValue::Object(fields) => {
            let start = out.len();
            object(fields, omit, context, out);
            // As in Envoy an object of which nothing is left is nothing.
            return !omit || out.len() > start + "{}".len();
        }
        JsonValue::List(values) => list(values, omit, context, out),
        JsonValue::Format(format) => return formatted(format, omit, context, out),
    }
    true
}

fn absent(omit: bool, out: &mut Vec<u8>) -> bool {
    if !omit {
        out.extend_from_slice(b"null");
    }
    !omit
}

fn formatted(format: &Format, omit: bool, context: &Context<'_>, out: &mut Vec<u8>) -> bool {
    let quote = out.len();
    out.push(b'"');
    if let [Part::Command(single)] = &format.parts[..] {
        match command::write(single, context, Within::Json, out) {
            Given::Nothing => {
                out.truncate(quote);
                return absent(omit, out);
            }
            Given::Number | Given::Json => {
                out.remove(quote);
                return true;
            }
            Given::Text => {}
        }
    } else {
        render(format, context, if omit { Absent::Omit } else { Absent::Dash }, out);
    }
    escape(quote + 1, out);
    out.push(b'"');
    true
}

/// Whether a byte stands for itself in a string.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, 0..0x20 | b'"' | b'\\' | 0x7f..)
}

/// Escapes what was written from `start` on.
pub(super) fn escape(start: usize, out: &mut Vec<u8>) {
    if out[start..].iter().all(|byte| is_plain(*byte)) {
        return;
    }
    let raw = out.split_off(start);
    let Ok(text) = std::str::from_utf8(&raw) else {
        raw.iter().for_each(|byte| escape_raw(*byte, out));
        return;
    };
    for character in text.chars() {
        match character {
            '\0'..='\u{1f}' | '"' | '\\' => escape_byte(character as u8, out),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Escapes a byte of what is no UTF-8 as if each were a character, as Envoy does.
fn escape_raw(byte: u8, out: &mut Vec<u8>) {
    match is_plain(byte) {
        true => out.push(byte),
        // Writing to a vector does not fail.
        false => write!(out, "\\u{byte:04x}").unwrap_or_default(),
    }
}

/// Escapes what JSON has no characters for.
fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        // Writing to a vector does not fail.
        0..0x20 => write!(out, "\\u{byte:04x}").unwrap_or_default(),
        _ => out.push(byte),
    }
}
