//! Times as the C library writes them, where flags and widths count.

use std::borrow::Cow;

use crate::config::format::{Directive, Pad, Piece, Strftime, What};

use super::time::Civil;

/// Writes a time; nothing where there is no room for it.
pub(super) fn write(format: &Strftime, time: &Civil, out: &mut Vec<u8>) {
    let start = out.len();
    for piece in &format.pieces {
        match piece {
            Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Directive(directive) => one(directive, time, out),
        }
    }
    if out.len() - start >= format.room {
        out.truncate(start);
    }
}

fn one(directive: &Directive, time: &Civil, out: &mut Vec<u8>) {
    let letter = match &directive.what {
        What::Letter(letter) => *letter,
        What::Text(text) => return add(directive, directive.width, cased(directive, text.as_bytes()), out),
    };
    if letter == 'z' {
        let sign: &[u8] = if time.offset() < 0 { b"-" } else { b"+" };
        add(directive, directive.width, sign.into(), out);
    }
    match number(letter, time) {
        Some((value, digits)) => padded(directive, letter, value, digits, out),
        None => {
            let mut text = Vec::new();
            time.directive(letter, &mut text);
            let text = match letter {
                'p' | 'Z' if directive.swap => text.to_ascii_lowercase().into(),
                'a' | 'A' | 'b' | 'B' | 'h' if directive.swap => text.to_ascii_uppercase().into(),
                'P' => text.into(),
                _ => cased(directive, &text).into_owned().into(),
            };
            add(directive, directive.width, text, out);
        }
    }
}

/// What is a number, and its digits at least.
fn number(letter: char, time: &Civil) -> Option<(i64, usize)> {
    if letter == 's' {
        return Some((time.epoch(), 1));
    }
    if letter == 'z' {
        let minutes = time.offset().abs() / 60;
        return Some((minutes / 60 * 100 + minutes % 60, 4));
    }
    let digits = match letter {
        'C' | 'd' | 'e' | 'g' | 'H' | 'I' | 'k' | 'l' | 'm' | 'M' | 'S' | 'U' | 'V' | 'W' | 'y' => 2,
        'j' => 3,
        'G' | 'u' | 'w' | 'Y' => 1,
        _ => return None,
    };
    let mut text = Vec::new();
    time.directive(letter, &mut text);
    let value = std::str::from_utf8(&text).ok()?.trim_start().parse().ok()?;
    Some((value, digits))
}

/// A number with so many digits, or as long as the directive wants it.
fn padded(directive: &Directive, letter: char, value: i64, digits: usize, out: &mut Vec<u8>) {
    let pad = directive.pad.or(matches!(letter, 'e' | 'k' | 'l').then_some(Pad::Spaces));
    let value = value.to_string();
    // Of seconds the width does not count as digits.
    let wanted = if letter == 's' { digits } else { digits.max(directive.width) };
    let missing = wanted.saturating_sub(value.len());
    let mut width = directive.width;
    let text = match pad {
        Some(Pad::Nothing) => value,
        Some(Pad::Spaces) => {
            out.resize(out.len() + missing, b' ');
            width = width.saturating_sub(missing);
            value
        }
        Some(Pad::Zeros) | None => "0".repeat(missing) + &value,
    };
    add(directive, width, text.as_bytes().into(), out);
}

fn cased<'t>(directive: &Directive, text: &'t [u8]) -> Cow<'t, [u8]> {
    if directive.upper { text.to_ascii_uppercase().into() } else { text.into() }
}

/// Writes a text, and before it what fills up.
fn add(directive: &Directive, width: usize, text: Cow<'_, [u8]>, out: &mut Vec<u8>) {
    let fill = if directive.pad == Some(Pad::Zeros) { b'0' } else { b' ' };
    out.resize(out.len() + width.saturating_sub(text.len()), fill);
    out.extend_from_slice(&text);
}
