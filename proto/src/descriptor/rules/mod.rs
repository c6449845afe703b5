//! The constraints of a message type, read from its descriptor into a table.
//!
//! They are the extension 1071 of the options of fields and oneofs: `validate.FieldRules` and `validate.required`
//! of protoc-gen-validate. Only what Envoy's API uses is understood; a test says when it comes to use more.

mod bounds;
mod check;
mod read;

pub(crate) use check::Check;
use read::{duration, messages, number, optional, scalar, submessages};

use super::{Field, Kind, Message};

/// The number of the extension that holds the rules.
const RULES: u32 = 1071;

/// The constraints of a message type.
#[derive(Debug)]
pub(crate) struct MessageRules {
    /// For each field of the message, in the same order.
    pub(crate) fields: Vec<FieldRules>,
    /// Fields that must not be absent, by index in the message, and why.
    pub(crate) needed: Vec<(u16, String)>,
    /// Oneofs of which one field must be set: index, and its fields as bits.
    pub(crate) needed_oneofs: Vec<(u16, u128)>,
    /// Lists and maps whose number of elements is constrained.
    pub(crate) counted: Vec<u16>,
    /// The fields that are a single message, as bits. On the wire it may come in several pieces.
    pub(crate) single_messages: u128,
}

/// The constraints of a field.
#[derive(Debug, Default)]
pub(crate) struct FieldRules {
    /// How to go on with a value of the field.
    pub(crate) content: Content,
    /// The constraint on a value; on each one in a list or map.
    pub(crate) check: Option<Check>,
    /// The constraint on a map's keys.
    pub(crate) key_check: Option<Check>,
    /// How many elements a list or map may have.
    pub(crate) count: Count,
    /// Whether the field must be set.
    required: bool,
}

/// What a field holds, as far as looking into it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Content {
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
pub(crate) struct Count {
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    pub(crate) unique: bool,
}

/// Messages whose constraints Envoy does not look at.
const UNCHECKED: [&str; 2] = [
    "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
    "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain",
];

impl MessageRules {
    pub(crate) fn of(message: &'static Message) -> Self {
        let is_checked = !UNCHECKED.contains(&message.full_name());
        let of = if is_checked { FieldRules::of } else { FieldRules::unchecked };
        let fields: Vec<FieldRules> = message.fields().iter().map(of).collect();
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
pub(crate) fn bit(index: u16) -> u128 {
    1_u128.checked_shl(u32::from(index)).unwrap_or_default()
}

impl Count {
    /// Whether it is not enough to know that there is an element.
    fn needs_counting(self) -> bool {
        self.min > 1 || self.max.is_some() || self.unique
    }

    /// Why this number of elements is not allowed, if it is not.
    pub(crate) fn violation(self, count: u64, noun: &str) -> Option<String> {
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
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.content, Content::Plain | Content::MapOfScalars)
            && self.check.is_none()
            && self.key_check.is_none()
    }

    /// Those of a field whose constraints do not count.
    fn unchecked(field: &'static Field) -> Self {
        Self { content: Content::of(field), ..Self::default() }
    }

    fn of(field: &'static Field) -> Self {
        let mut rules = Self::unchecked(field);
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
    pub(crate) fn of_message(message: &'static Message) -> Self {
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

#[cfg(test)]
mod tests;
