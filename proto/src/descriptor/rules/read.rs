//! Reading the rules for a single value: the messages of protoc-gen-validate's `validate.proto`.

use std::sync::OnceLock;

use super::{
    bounds::{Bounds, Nanoseconds},
    check::{self, Check, Pattern, Text},
};
use crate::{
    descriptor::Field,
    wire::{Fields, Payload},
};

/// The rules of a scalar type, by their number in `validate.FieldRules`.
pub(super) fn scalar(field: &'static Field, kind: u32, rules: &'static [u8]) -> Option<Check> {
    match kind {
        1 | 2 => Some(Check::Float { bounds: float_bounds(rules) }),
        3..=12 => Some(Check::Integer { bounds: integer_bounds(rules), ignore_zero: number(rules, 8) != 0 }),
        13 => Some(Check::Bool { wanted: number(rules, 1) != 0 }),
        14 => Some(Check::Text(text(rules))),
        15 => Some(Check::Text(bytes(rules))),
        16 => {
            let defined = field.enumeration().filter(|_| number(rules, 2) != 0);
            let forbidden = varints(rules, 4).into_iter().map(|value| value as i32).collect();
            Some(Check::Enum { defined, forbidden })
        }
        _ => None,
    }
}

/// `lt`, `lte`, `gt` and `gte` are the fields 2 to 5 of the rules of all numbers.
fn integer_bounds(rules: &'static [u8]) -> Bounds<i128> {
    let mut bounds = Bounds::default();
    for (field, payload) in Fields::new(rules).flatten() {
        let Payload::Varint(value) = payload else { continue };
        set(&mut bounds, field, i128::from(value as i64));
    }
    bounds
}

fn float_bounds(rules: &'static [u8]) -> Bounds<f64> {
    let mut bounds = Bounds::default();
    for (field, payload) in Fields::new(rules).flatten() {
        match payload {
            Payload::Fixed64(bits) => set(&mut bounds, field, f64::from_bits(bits)),
            Payload::Fixed32(bits) => set(&mut bounds, field, f32::from_bits(bits).into()),
            _ => {}
        }
    }
    bounds
}

/// In the rules of durations the four are one number higher.
pub(super) fn duration(rules: &'static [u8]) -> Option<Check> {
    let mut bounds = Bounds::<Nanoseconds>::default();
    for (field, payload) in Fields::new(rules).flatten() {
        if let Some(value) = check::duration(payload) {
            set(&mut bounds, field - 1, value);
        }
    }
    (bounds != Bounds::default()).then_some(Check::Duration { bounds })
}

fn set<T>(bounds: &mut Bounds<T>, field: u32, value: T) {
    match field {
        2 => bounds.upper = Some((value, false)),
        3 => bounds.upper = Some((value, true)),
        4 => bounds.lower = Some((value, false)),
        5 => bounds.lower = Some((value, true)),
        _ => {}
    }
}

fn text(rules: &'static [u8]) -> Text {
    let is_strict = optional(rules, 25).is_none_or(|strict| strict != 0);
    let well_known = match number(rules, 24) {
        1 if is_strict => Some(Pattern::HeaderName),
        2 if is_strict => Some(Pattern::HeaderValue),
        1 | 2 => Some(Pattern::HeaderString),
        _ => None,
    };
    let regex = strings(rules, 6).next().map(|source| Pattern::Regex(source, OnceLock::new()));
    Text {
        min_length: number(rules, 2),
        max_length: optional(rules, 3),
        max_bytes: optional(rules, 5),
        pattern: regex.or(well_known),
        prefix: strings(rules, 7).next().unwrap_or_default(),
        suffix: strings(rules, 8).next().unwrap_or_default(),
        allowed: strings(rules, 10).collect(),
        ignore_empty: number(rules, 26) != 0,
        is_bytes: false,
    }
}

fn bytes(rules: &'static [u8]) -> Text {
    Text { min_length: number(rules, 2), max_length: optional(rules, 3), is_bytes: true, ..Text::default() }
}

pub(super) fn messages(bytes: &'static [u8]) -> impl Iterator<Item = (u32, &'static [u8])> {
    Fields::new(bytes).flatten().filter_map(|(number, payload)| match payload {
        Payload::Bytes(inner) => Some((number, inner)),
        _ => None,
    })
}

pub(super) fn submessages(bytes: &'static [u8], wanted: u32) -> impl Iterator<Item = &'static [u8]> {
    messages(bytes).filter(move |(number, _)| *number == wanted).map(|(_, inner)| inner)
}

fn strings(bytes: &'static [u8], wanted: u32) -> impl Iterator<Item = &'static str> {
    submessages(bytes, wanted).filter_map(|text| std::str::from_utf8(text).ok())
}

pub(super) fn number(bytes: &'static [u8], wanted: u32) -> u64 {
    optional(bytes, wanted).unwrap_or_default()
}

pub(super) fn optional(bytes: &'static [u8], wanted: u32) -> Option<u64> {
    varints(bytes, wanted).pop()
}

fn varints(bytes: &'static [u8], wanted: u32) -> Vec<u64> {
    let values = Fields::new(bytes).flatten().filter_map(|(number, payload)| match payload {
        Payload::Varint(value) if number == wanted => Some(value),
        _ => None,
    });
    values.collect()
}
