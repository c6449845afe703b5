//! Constraints on a single value.

use std::sync::OnceLock;

use regex::Regex;

use super::bounds::{Bounds, Nanoseconds};
use crate::{
    descriptor::{Enum, Kind},
    wire::{Fields, Payload, zigzag},
};

/// A constraint on a single value.
#[derive(Debug)]
pub(crate) enum Check {
    Integer { bounds: Bounds<i128>, ignore_zero: bool },
    Float { bounds: Bounds<f64> },
    Duration { bounds: Bounds<Nanoseconds> },
    Bool { wanted: bool },
    Enum { defined: Option<&'static Enum>, forbidden: Vec<i32> },
    Text(Text),
}

/// Constraints on a string or on bytes.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) min_length: u64,
    pub(crate) max_length: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) prefix: &'static str,
    pub(crate) suffix: &'static str,
    pub(crate) allowed: Vec<&'static str>,
    pub(crate) ignore_empty: bool,
    /// Whether this is about bytes: lengths count bytes then, and not characters.
    pub(crate) is_bytes: bool,
}

/// What a string must match.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// A regular expression, compiled when first needed.
    Regex(&'static str, OnceLock<Option<Regex>>),
    HeaderName,
    HeaderValue,
    /// Any header string without NUL, CR and LF: what `strict: false` makes of the other two.
    HeaderString,
}

impl Check {
    /// Why the value is not allowed, if it is not.
    #[inline]
    pub(crate) fn violation(&self, kind: Kind, payload: Payload<'_>) -> Option<String> {
        match self {
            Self::Text(text) => match payload {
                Payload::Bytes(bytes) => text.violation(bytes),
                _ => None,
            },
            Self::Integer { bounds, ignore_zero } => {
                let value = integer(kind, payload)?;
                let fine = *ignore_zero && value == 0 || bounds.allow(value);
                (!fine).then(|| bounds.describe())
            }
            Self::Float { bounds } => (!bounds.allow(float(payload)?)).then(|| bounds.describe()),
            Self::Duration { bounds } => (!bounds.allow(duration(payload)?)).then(|| bounds.describe()),
            Self::Bool { wanted } => {
                (payload != Payload::Varint(u64::from(*wanted))).then(|| format!("value must equal {wanted}"))
            }
            Self::Enum { defined, forbidden } => {
                let Payload::Varint(value) = payload else { return None };
                let value = value as i32;
                if defined.is_some_and(|defined| defined.value(value).is_none()) {
                    return Some("value must be one of the defined enum values".into());
                }
                forbidden
                    .contains(&value)
                    .then(|| format!("value must not be in list {}", go_list(forbidden)))
            }
        }
    }
}

impl Text {
    fn violation(&self, bytes: &[u8]) -> Option<String> {
        if self.ignore_empty && bytes.is_empty() {
            return None;
        }
        let unit = if self.is_bytes { "bytes" } else { "characters" };
        let (min, max) = (self.min_length, self.max_length);
        // No text has more characters than bytes, and most constraints ask for one character.
        let length = if self.is_bytes || min <= 1 && max.is_none_or(|max| bytes.len() as u64 <= max) {
            bytes.len() as u64
        } else {
            bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
        };
        if length < min || max.is_some_and(|max| length > max) {
            return Some(match max {
                Some(max) if max == min => format!("value length must be {max} {unit}"),
                Some(max) if min > 0 => {
                    format!("value length must be between {min} and {max} {unit}, inclusive")
                }
                Some(max) => format!("value length must be at most {max} {unit}"),
                None => format!("value length must be at least {min} {unit}"),
            });
        }
        if let Some(max) = self.max_bytes.filter(|max| bytes.len() as u64 > *max) {
            return Some(format!("value length must be at most {max} bytes"));
        }
        if !self.prefix.is_empty() && !bytes.starts_with(self.prefix.as_bytes()) {
            return Some(format!("value does not have prefix {}", go_quote(self.prefix)));
        }
        if !self.suffix.is_empty() && !bytes.ends_with(self.suffix.as_bytes()) {
            return Some(format!("value does not have suffix {}", go_quote(self.suffix)));
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed.as_bytes() == bytes) {
            return Some(format!("value must be in list {}", go_list(&self.allowed)));
        }
        let pattern = self.pattern.as_ref().filter(|pattern| !pattern.matches(bytes))?;
        Some(format!("value does not match regex pattern {}", go_quote(pattern.source())))
    }
}

impl Pattern {
    fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Regex(source, compiled) => {
                let compiled = compiled.get_or_init(|| Regex::new(source).ok());
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                compiled.as_ref().is_none_or(|regex| regex.is_match(text))
            }
            Self::HeaderName => {
                let name = bytes.strip_prefix(b":").unwrap_or(bytes);
                !name.is_empty() && name.iter().all(|byte| is_header_name_byte(*byte))
            }
            Self::HeaderValue => bytes.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()),
            Self::HeaderString => bytes.iter().all(|byte| !matches!(byte, 0 | b'\n' | b'\r')),
        }
    }

    fn source(&self) -> &'static str {
        match self {
            Self::Regex(source, _) => source,
            Self::HeaderName => "^:?[0-9a-zA-Z!#$%&'*+-.^_|~`]+$",
            Self::HeaderValue => "^[^\0-\x08\n-\x1f\x7f]*$",
            Self::HeaderString => "^[^\0\n\r]*$",
        }
    }
}

/// The class in [`Pattern::source`], in which `+-.` is a range and so holds the comma as well.
fn is_header_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+,-.^_|~`".contains(&byte)
}

fn integer(kind: Kind, payload: Payload<'_>) -> Option<i128> {
    Some(match (kind, payload) {
        (Kind::Uint32 | Kind::Uint64, Payload::Varint(value)) => value.into(),
        (Kind::Sint32 | Kind::Sint64, Payload::Varint(value)) => zigzag(value).into(),
        (_, Payload::Varint(value)) => (value as i64).into(),
        (Kind::Sfixed64, Payload::Fixed64(value)) => (value as i64).into(),
        (_, Payload::Fixed64(value)) => value.into(),
        (Kind::Sfixed32, Payload::Fixed32(value)) => (value as i32).into(),
        (_, Payload::Fixed32(value)) => value.into(),
        _ => return None,
    })
}

fn float(payload: Payload<'_>) -> Option<f64> {
    match payload {
        Payload::Fixed64(bits) => Some(f64::from_bits(bits)),
        Payload::Fixed32(bits) => Some(f32::from_bits(bits).into()),
        _ => None,
    }
}

/// An encoded `google.protobuf.Duration`.
pub(crate) fn duration(payload: Payload<'_>) -> Option<Nanoseconds> {
    let Payload::Bytes(bytes) = payload else { return None };
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(bytes) {
        match field.ok()? {
            (1, Payload::Varint(value)) => seconds = value as i64,
            (2, Payload::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    Some(Nanoseconds(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)))
}

/// A list as Go prints it.
fn go_list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", values.join(" "))
}

/// A string as Go quotes it.
fn go_quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x08' => quoted.push_str("\\b"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", control as u32)),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
