//! `+`, `-`, `*`, `/`, `%` and the sign. What does not fit is an error.

use std::borrow::Cow;

use super::time::{in_duration, in_timestamp};
use super::{Failure, Value};

/// The longest text that an expression makes, in bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// An operator with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Operator {
    /// `concat` says whether texts are put together.
    pub(super) fn apply<'v>(
        self,
        one: &Value<'v>,
        other: &Value<'v>,
        concat: bool,
    ) -> Result<Value<'v>, Failure> {
        use Value::{Bytes, Double, Duration, Int, String, Timestamp, Uint};
        let made = match (one, other) {
            (Int(one), Int(other)) => self.ints(*one, *other).map(Int),
            (Uint(one), Uint(other)) => self.uints(*one, *other).map(Uint),
            (Double(one), Double(other)) => self.doubles(*one, *other).map(Double),
            (String(one), String(other)) if self == Operator::Add && concat => {
                together(one, other).map(String)
            }
            (Bytes(one), Bytes(other)) if self == Operator::Add && concat => together(one, other).map(Bytes),
            (Timestamp(one), Duration(other)) => match self {
                Operator::Add => in_timestamp(one + other),
                Operator::Subtract => in_timestamp(one - other),
                _ => None,
            },
            (Duration(one), Timestamp(other)) if self == Operator::Add => in_timestamp(one + other),
            (Timestamp(one), Timestamp(other)) if self == Operator::Subtract => in_duration(one - other),
            (Duration(one), Duration(other)) => match self {
                Operator::Add => in_duration(one + other),
                Operator::Subtract => in_duration(one - other),
                _ => None,
            },
            _ => None,
        };
        made.ok_or(Failure::Error)
    }

    fn ints(self, one: i64, other: i64) -> Option<i64> {
        match self {
            Operator::Add => one.checked_add(other),
            Operator::Subtract => one.checked_sub(other),
            Operator::Multiply => one.checked_mul(other),
            Operator::Divide => one.checked_div(other),
            Operator::Modulo => one.checked_rem(other),
        }
    }

    fn uints(self, one: u64, other: u64) -> Option<u64> {
        match self {
            Operator::Add => one.checked_add(other),
            Operator::Subtract => one.checked_sub(other),
            Operator::Multiply => one.checked_mul(other),
            Operator::Divide => one.checked_div(other),
            Operator::Modulo => one.checked_rem(other),
        }
    }

    fn doubles(self, one: f64, other: f64) -> Option<f64> {
        match self {
            Operator::Add => Some(one + other),
            Operator::Subtract => Some(one - other),
            Operator::Multiply => Some(one * other),
            Operator::Divide => Some(one / other),
            Operator::Modulo => None,
        }
    }
}

fn together<'v>(one: &[u8], other: &[u8]) -> Option<Cow<'v, [u8]>> {
    (one.len() + other.len() <= MAX_TEXT).then(|| Cow::Owned([one, other].concat()))
}

/// `-x`
pub(super) fn negate<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Failure::Error),
        Value::Double(number) => Ok(Value::Double(-number)),
        _ => Err(Failure::Error),
    }
}
