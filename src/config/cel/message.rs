//! Messages that an expression makes: `google.protobuf.Int64Value{value: 1}`.
//!
//! Those that stand for a value alone, as it evaluates to that: wrappers, spans and moments.

use std::borrow::Cow;

use super::time::{SECOND, in_duration, in_timestamp};
use super::{Failure, Problem, Value};

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
}

const MESSAGES: [(&str, Message); 11] = [
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

    /// Which of its fields has this name.
    ///
    /// # Errors
    /// It has none of that name.
    pub(super) fn field(self, name: &str) -> Result<usize, Problem> {
        let fields: &[&str] = match self {
            Message::Duration | Message::Timestamp => &["seconds", "nanos"],
            _ => &["value"],
        };
        fields.iter().position(|field| *field == name).ok_or_else(|| {
            let of = MESSAGES.iter().find(|(_, message)| *message == self).map_or("", |(name, _)| name);
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
            _ => None,
        };
        value.ok_or(Failure::Error)
    }
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
