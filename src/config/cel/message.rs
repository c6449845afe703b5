//! Messages that an expression makes: `google.protobuf.Int64Value{value: 1}`.
//!
//! Those that stand for a value alone, as it evaluates to that: wrappers, spans and moments, and what JSON is made of.

use std::borrow::Cow;

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::print::plain;
use super::time::{SECOND, in_duration, in_timestamp};
use super::{Failure, List, Map, Problem, Value};

/// Whole numbers up to this are numbers in JSON, and others texts, as in Envoy.
const MAX_WHOLE: i128 = (1 << 53) - 1;

/// A message that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Float,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    Struct,
    ListValue,
    /// With the one of its fields that is set.
    Value(Kind),
}

/// `google.protobuf.Value.kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unset,
    Null,
    Number,
    String,
    Bool,
    Struct,
    List,
}

const KINDS: [(&str, Kind); 6] = [
    ("null_value", Kind::Null),
    ("number_value", Kind::Number),
    ("string_value", Kind::String),
    ("bool_value", Kind::Bool),
    ("struct_value", Kind::Struct),
    ("list_value", Kind::List),
];

const MESSAGES: [(&str, Message); 14] = [
    ("BoolValue", Message::Bool),
    ("Int32Value", Message::Int32),
    ("Int64Value", Message::Int64),
    ("UInt32Value", Message::Uint32),
    ("UInt64Value", Message::Uint64),
    ("FloatValue", Message::Float),
    ("DoubleValue", Message::Double),
    ("StringValue", Message::String),
    ("BytesValue", Message::Bytes),
    ("Duration", Message::Duration),
    ("Timestamp", Message::Timestamp),
    ("Struct", Message::Struct),
    ("ListValue", Message::ListValue),
    ("Value", Message::Value(Kind::Unset)),
];

impl Message {
    /// The message of this name.
    ///
    /// # Errors
    /// There is none, or none that is known here.
    pub(super) fn find(name: &str) -> Result<Self, Problem> {
        let short = name.trim_start_matches('.').strip_prefix("google.protobuf.");
        let known = short.and_then(|short| MESSAGES.iter().find(|(name, _)| *name == short));
        match known {
            Some((_, message)) => Ok(*message),
            None if name.contains('.') => {
                Err(Problem::unsupported(format!("expressions make no messages of type {name} here")))
            }
            None => Err(Problem::wrong(format!(
                "failed to create an expression: Invalid struct creation: missing type info for '{name}'"
            ))),
        }
    }

    /// Which of its fields has this name. Of those that exclude each other the last counts.
    ///
    /// # Errors
    /// It has none of that name.
    pub(super) fn field(&mut self, name: &str) -> Result<usize, Problem> {
        if let Message::Value(kind) = self
            && let Some((_, set)) = KINDS.iter().find(|(known, _)| *known == name)
        {
            *kind = *set;
            return Ok(0);
        }
        let fields: &[&str] = match self {
            Message::Duration | Message::Timestamp => &["seconds", "nanos"],
            Message::Struct => &["fields"],
            Message::ListValue => &["values"],
            Message::Value(_) => &[],
            _ => &["value"],
        };
        fields.iter().position(|field| *field == name).ok_or_else(|| {
            let is_it = |message: &Message| std::mem::discriminant(message) == std::mem::discriminant(self);
            let of = MESSAGES.iter().find(|(_, message)| is_it(message)).map_or("", |(name, _)| name);
            Problem::wrong(format!(
                "failed to create an expression: Invalid message creation: field '{name}' not found in \
                 'google.protobuf.{of}'"
            ))
        })
    }

    /// What it stands for, from the values of its fields.
    ///
    /// # Errors
    /// A value is of another type than its field, or too large for it.
    pub(super) fn value<'v>(self, [first, nanos]: [Option<Value<'v>>; 2]) -> Result<Value<'v>, Failure> {
        let value = match (self, first) {
            (Message::Bool, None) => Some(Value::Bool(false)),
            (Message::Bool, Some(value @ Value::Bool(_))) => Some(value),
            (Message::Int32 | Message::Int64, None) => Some(Value::Int(0)),
            (Message::Int32, Some(Value::Int(number))) => {
                i32::try_from(number).ok().map(|number| Value::Int(number.into()))
            }
            (Message::Int64, Some(value @ Value::Int(_))) => Some(value),
            (Message::Uint32 | Message::Uint64, None) => Some(Value::Uint(0)),
            (Message::Uint32, Some(Value::Uint(number))) => {
                u32::try_from(number).ok().map(|number| Value::Uint(number.into()))
            }
            (Message::Uint64, Some(value @ Value::Uint(_))) => Some(value),
            (Message::Float | Message::Double, None) => Some(Value::Double(0.0)),
            (Message::Float, Some(Value::Double(number))) => Some(Value::Double(f64::from(number as f32))),
            (Message::Double, Some(value @ Value::Double(_))) => Some(value),
            (Message::String, None) => Some(Value::String(Cow::Borrowed(b""))),
            (Message::String, Some(value @ Value::String(_))) => Some(value),
            (Message::Bytes, None) => Some(Value::Bytes(Cow::Borrowed(b""))),
            (Message::Bytes, Some(value @ Value::Bytes(_))) => Some(value),
            (Message::Duration, seconds) => nanoseconds(seconds, nanos).and_then(in_duration),
            (Message::Timestamp, seconds) => nanoseconds(seconds, nanos).and_then(in_timestamp),
            (Message::Struct, None) => Some(Value::Map(Map::Entries([].into()))),
            (Message::ListValue, None) => Some(Value::List(List::Items([].into()))),
            (Message::Value(_), None) => Some(Value::Null),
            (Message::Struct | Message::Value(Kind::Struct), Some(value @ Value::Map(_)))
            | (Message::ListValue | Message::Value(Kind::List), Some(value @ Value::List(_)))
            | (Message::Value(Kind::Number), Some(value @ Value::Double(_)))
            | (Message::Value(Kind::String), Some(value @ Value::String(_)))
            | (Message::Value(Kind::Bool), Some(value @ Value::Bool(_))) => json(value),
            (Message::Value(Kind::Null), Some(Value::Int(_))) => Some(Value::Null),
            _ => None,
        };
        value.ok_or(Failure::Error)
    }
}

/// What JSON has in the place of a value; `None` where it has nothing.
fn json(value: Value<'_>) -> Option<Value<'_>> {
    let text = |value: &Value<'_>| {
        let mut text = Vec::new();
        plain(value, &mut text);
        Value::String(Cow::Owned(text))
    };
    Some(match value {
        Value::Null | Value::Bool(_) | Value::Double(_) | Value::String(_) => value,
        Value::Int(_) | Value::Uint(_) => {
            let whole = value.whole().filter(|whole| whole.abs() <= MAX_WHOLE);
            whole.and_then(|_| value.number()).map_or_else(|| text(&value), Value::Double)
        }
        Value::Bytes(bytes) => Value::String(Cow::Owned(STANDARD.encode(&*bytes).into_bytes())),
        Value::Duration(_) | Value::Timestamp(_) => text(&value),
        Value::List(list) => {
            let items: Option<Rc<[Value<'_>]>> = list.iter().map(json).collect();
            Value::List(List::Items(items?))
        }
        Value::Map(map) => {
            let entry = |(key, value)| match key {
                Value::String(_) => Some((key, json(value)?)),
                _ => None,
            };
            let entries: Option<Rc<[_]>> = map.entries()?.into_iter().map(entry).collect();
            Value::Map(Map::Entries(entries?))
        }
        Value::Metadata(_) | Value::Node(_) | Value::Locality(_) | Value::Record(_) | Value::Type(_) => {
            return None;
        }
    })
}

fn nanoseconds(seconds: Option<Value<'_>>, nanos: Option<Value<'_>>) -> Option<i128> {
    let number = |value: Option<Value<'_>>| match value {
        None => Some(0),
        Some(Value::Int(number)) => Some(i128::from(number)),
        Some(_) => None,
    };
    let nanos = number(nanos).filter(|nanos| i32::try_from(*nanos).is_ok())?;
    Some(number(seconds)? * SECOND + nanos)
}
