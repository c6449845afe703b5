//! The constraints of a message type, read from its descriptor into a table.
//!
//! They are the extension 1071 of the options of fields and oneofs: `validate.FieldRules` and `validate.required`
//! of protoc-gen-validate. Only what Envoy's API uses is understood; a test says when it comes to use more.

use std::sync::OnceLock;

use super::{
    bounds::{Bounds, Nanoseconds},
    check::{self, Check, Pattern, Text},
};
use crate::{
    descriptor::{Field, Kind, Message},
    wire::{Fields, Payload},
};

/// The number of the extension that holds the rules.
const RULES: u32 = 1071;

/// The constraints of a message type.
#[derive(Debug)]
pub(crate) struct MessageRules {
    /// For each field of the message, in the same order.
    pub(super) fields: Vec<FieldRules>,
    /// Fields that must not be absent, by index in the message, and why.
    pub(super) needed: Vec<(u16, String)>,
    /// Oneofs of which one field must be set: index, and its fields as bits.
    pub(super) needed_oneofs: Vec<(u16, u128)>,
    /// Lists and maps whose number of elements is constrained.
    pub(super) counted: Vec<u16>,
    /// The fields that are a single message, as bits. On the wire it may come in several pieces.
    pub(super) single_messages: u128,
}

/// The constraints of a field.
#[derive(Debug, Default)]
pub(super) struct FieldRules {
    /// How to go on with a value of the field.
    pub(super) content: Content,
    /// The constraint on a value; on each one in a list or map.
    pub(super) check: Option<Check>,
    /// The constraint on a map's keys.
    pub(super) key_check: Option<Check>,
    /// How many elements a list or map may have.
    pub(super) count: Count,
    /// Whether the field must be set.
    required: bool,
}

/// What a field holds, as far as looking into it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    /// A scalar, a list of scalars, or a message that has nothing to look at.
    #[default]
    Plain,
    /// A number, string or truth value in a message of its own (`google.protobuf.UInt32Value`).
    Wrapper,
    /// A message to look into.
    Message,
    /// An `Any` to look into.
    Any,
    /// A map; its values are as said.
    MapOfMessages,
    MapOfAnys,
    MapOfScalars,
}

/// How many elements a list or map may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) min: u64,
    pub(super) max: Option<u64>,
    pub(super) unique: bool,
}

impl MessageRules {
    pub(crate) fn of(message: &'static Message) -> Self {
        let fields: Vec<FieldRules> = message.fields().iter().map(FieldRules::of).collect();
        let indexed = || (0..).zip(message.fields()).zip(&fields);
        let needed =
            indexed().filter_map(|((index, field), rules)| Some((index, rules.absence(field)?))).collect();
        let counted =
            indexed().filter(|(_, rules)| rules.count.needs_counting()).map(|((index, _), _)| index);
        let counted = counted.collect();
        let needed_oneofs =
            (0..).zip(message.oneofs()).filter(|(_, oneof)| number(oneof.options(), RULES) != 0);
        let needed_oneofs = needed_oneofs.map(|(index, _)| (index, members(message, index))).collect();
        let single = (0..).zip(message.fields());
        let single = single.filter(|(_, field)| field.kind() == Kind::Message && !field.is_repeated());
        let single_messages = single.fold(0, |bits, (index, _)| bits | bit(index));
        Self { fields, needed, needed_oneofs, counted, single_messages }
    }
}

/// The fields of a oneof as bits.
fn members(message: &'static Message, oneof: u16) -> u128 {
    let members = (0..).zip(message.fields()).filter(|(_, field)| field.oneof() == Some(usize::from(oneof)));
    members.fold(0, |bits, (index, _)| bits | bit(index))
}

/// The bit of a field in a set of fields. A test says when a message has more than 128 of them.
pub(super) fn bit(index: u16) -> u128 {
    1_u128.checked_shl(u32::from(index)).unwrap_or_default()
}

impl Count {
    /// Whether it is not enough to know that there is an element.
    fn needs_counting(self) -> bool {
        self.min > 1 || self.max.is_some() || self.unique
    }

    /// Why this number of elements is not allowed, if it is not.
    pub(super) fn violation(self, count: u64, noun: &str) -> Option<String> {
        if count >= self.min && self.max.is_none_or(|max| count <= max) {
            return None;
        }
        Some(match (self.min, self.max) {
            (min, Some(max)) if min == max => format!("value must contain exactly {min} {noun}(s)"),
            (0, Some(max)) => format!("value must contain no more than {max} {noun}(s)"),
            (min, Some(max)) => format!("value must contain between {min} and {max} {noun}s, inclusive"),
            (min, None) => format!("value must contain at least {min} {noun}(s)"),
        })
    }
}

impl FieldRules {
    /// Whether there is nothing to look at in a value of the field.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.content, Content::Plain | Content::MapOfScalars)
            && self.check.is_none()
            && self.key_check.is_none()
    }

    fn of(field: &'static Field) -> Self {
        let mut rules = Self { content: Content::of(field), ..Self::default() };
        for field_rules in submessages(field.options(), RULES) {
            rules.read(field, field_rules);
        }
        rules
    }

    /// Reads a `validate.FieldRules`.
    fn read(&mut self, field: &'static Field, field_rules: &'static [u8]) {
        for (kind, rules) in messages(field_rules) {
            match kind {
                17 => {
                    self.required |= number(rules, 2) != 0;
                    if number(rules, 1) != 0 {
                        self.content = Content::Plain;
                    }
                }
                18 => {
                    self.count = Count::read(rules);
                    self.count.unique = number(rules, 3) != 0;
                    for items in submessages(rules, 4) {
                        self.read(field, items);
                    }
                }
                19 => {
                    self.count = Count::read(rules);
                    let entry = |number| field.message().and_then(|entry| entry.field(number));
                    self.key_check = entry(1).and_then(|key| nested(key, rules, 4));
                    self.check = entry(2).and_then(|value| nested(value, rules, 5));
                }
                20 | 21 => {
                    self.required |= number(rules, 1) != 0;
                    self.check = (kind == 21).then(|| duration(rules)).flatten();
                }
                _ => self.check = scalar(field, kind, rules),
            }
        }
    }

    /// What is wrong when the field is absent.
    fn absence(&self, field: &'static Field) -> Option<String> {
        if self.required && field.oneof().is_none() {
            return Some("value is required".into());
        }
        if field.is_repeated() {
            let noun = if field.is_map() { "pair" } else { "item" };
            return self.count.violation(0, noun).filter(|_| !self.count.needs_counting());
        }
        let check = self.check.as_ref().filter(|_| !field.has_presence())?;
        check.violation(field.kind(), field.empty())
    }
}

impl Count {
    /// The first two fields of `RepeatedRules` and `MapRules`.
    fn read(rules: &'static [u8]) -> Self {
        Self { min: number(rules, 1), max: optional(rules, 2), unique: false }
    }
}

impl Content {
    fn of(field: &'static Field) -> Self {
        let Some(message) = field.message() else { return Self::Plain };
        if !field.is_map() {
            return Self::of_message(message);
        }
        match message.field(2).and_then(Field::message).map(Self::of_message) {
            Some(Self::Any) => Self::MapOfAnys,
            Some(Self::Message) => Self::MapOfMessages,
            _ => Self::MapOfScalars,
        }
    }

    /// What a message of this type is.
    pub(super) fn of_message(message: &'static Message) -> Self {
        match message.full_name().strip_prefix("google.protobuf.") {
            Some("Any") => Self::Any,
            Some("Struct" | "Value" | "ListValue" | "Duration" | "Timestamp" | "Empty") => Self::Plain,
            Some(name) if name.ends_with("Value") => Self::Wrapper,
            _ => Self::Message,
        }
    }
}

/// The check in a `validate.FieldRules` that is a field of other rules.
fn nested(field: &'static Field, rules: &'static [u8], number: u32) -> Option<Check> {
    let mut inner = FieldRules::default();
    submessages(rules, number).for_each(|field_rules| inner.read(field, field_rules));
    inner.check
}

/// The rules of a scalar type, by their number in `validate.FieldRules`.
fn scalar(field: &'static Field, kind: u32, rules: &'static [u8]) -> Option<Check> {
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
fn duration(rules: &'static [u8]) -> Option<Check> {
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

fn messages(bytes: &'static [u8]) -> impl Iterator<Item = (u32, &'static [u8])> {
    Fields::new(bytes).flatten().filter_map(|(number, payload)| match payload {
        Payload::Bytes(inner) => Some((number, inner)),
        _ => None,
    })
}

fn submessages(bytes: &'static [u8], wanted: u32) -> impl Iterator<Item = &'static [u8]> {
    messages(bytes).filter(move |(number, _)| *number == wanted).map(|(_, inner)| inner)
}

fn strings(bytes: &'static [u8], wanted: u32) -> impl Iterator<Item = &'static str> {
    submessages(bytes, wanted).filter_map(|text| std::str::from_utf8(text).ok())
}

fn number(bytes: &'static [u8], wanted: u32) -> u64 {
    optional(bytes, wanted).unwrap_or_default()
}

fn optional(bytes: &'static [u8], wanted: u32) -> Option<u64> {
    varints(bytes, wanted).pop()
}

fn varints(bytes: &'static [u8], wanted: u32) -> Vec<u64> {
    let values = Fields::new(bytes).flatten().filter_map(|(number, payload)| match payload {
        Payload::Varint(value) if number == wanted => Some(value),
        _ => None,
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor;

    /// The rules that [`FieldRules::read`] understands, by number in `validate.FieldRules` and in the rules.
    fn is_understood(kind: u32, rule: u32) -> bool {
        match kind {
            1 | 2 => (2..=5).contains(&rule),
            3..=12 => matches!(rule, 2..=5 | 8),
            13 => rule == 1,
            14 => matches!(rule, 2 | 3 | 5..=8 | 10 | 24..=26),
            15 => matches!(rule, 2 | 3),
            16 => matches!(rule, 2 | 4),
            17 => matches!(rule, 1 | 2),
            18 => (1..=4).contains(&rule),
            19 => matches!(rule, 1 | 2 | 4 | 5),
            20 => rule == 1,
            21 => matches!(rule, 1 | 3..=6),
            _ => false,
        }
    }

    fn check(field: &Field, field_rules: &'static [u8]) -> usize {
        let mut count = 0;
        for (kind, rules) in messages(field_rules) {
            for (rule, payload) in Fields::new(rules).flatten() {
                assert!(is_understood(kind, rule), "{}: rule {kind}.{rule}", field.name());
                count += 1;
                match payload {
                    Payload::Bytes(inner) if kind == 18 && rule == 4 => count += check(field, inner),
                    Payload::Bytes(inner) if kind == 19 && rule >= 4 => count += check(field, inner),
                    _ => {}
                }
            }
        }
        count
    }

    #[test]
    fn every_rule_of_the_api_is_understood() {
        let mut count = 0;
        for name in descriptor::message_names() {
            let message = descriptor::message(&name).expect("listed");
            assert!(message.fields().len() <= 128, "{name}: too many fields for a set of bits");
            for field in message.fields() {
                submessages(field.options(), RULES).for_each(|rules| count += check(field, rules));
            }
        }
        assert!(count > 1000, "{count} rules");
    }

    #[test]
    fn every_pattern_of_the_api_compiles() {
        for name in descriptor::message_names() {
            for rules in &descriptor::message(&name).expect("listed").rules().fields {
                if let Some(Check::Text(Text { pattern: Some(Pattern::Regex(source, _)), .. })) = &rules.check
                {
                    assert!(regex::Regex::new(source).is_ok(), "{source}");
                }
            }
        }
    }
}
