//! The functions that expressions may call, by name, style and number of arguments, as cel-cpp resolves them.

use std::cmp::Ordering;

use super::arithmetic::{Operator, negate};
use super::format::format;
use super::time::{self, Part};
use super::value::{List, Map};
use super::{Attributes, Failure, Options, Value, strings, text};

/// A function or an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Not,
    Negate,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Arithmetic(Operator, bool),
    Index,
    In,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    ToInt,
    ToUint,
    ToDouble,
    ToBool,
    ToBytes,
    ToString,
    ToDuration,
    ToTimestamp,
    Dyn,
    TypeOf,
    Time(Part),
    LowerAscii,
    UpperAscii,
    Replace,
    Split,
    Format,
    Text(strings::Function),
}

impl Function {
    /// The function of this name, called as a member or not, with so many arguments, what it is a member of counted;
    /// `None` where there is none.
    pub(super) fn find(name: &str, member: bool, arguments: usize, options: Options) -> Option<Self> {
        let found = if member { None } else { Self::global(name, arguments, options) };
        let found = found.or_else(|| Self::either(name, arguments));
        found.or_else(|| if member { Self::member(name, arguments, options) } else { None })
    }

    fn global(name: &str, arguments: usize, options: Options) -> Option<Self> {
        Some(match (name, arguments) {
            ("!_", 1) => Function::Not,
            ("-_", 1) => Function::Negate,
            ("_==_", 2) => Function::Equal,
            ("_!=_", 2) => Function::NotEqual,
            ("_<_", 2) => Function::Less,
            ("_<=_", 2) => Function::LessOrEqual,
            ("_>_", 2) => Function::Greater,
            ("_>=_", 2) => Function::GreaterOrEqual,
            ("_+_", 2) => Function::Arithmetic(Operator::Add, options.string_concat),
            ("_-_", 2) => Function::Arithmetic(Operator::Subtract, false),
            ("_*_", 2) => Function::Arithmetic(Operator::Multiply, false),
            ("_/_", 2) => Function::Arithmetic(Operator::Divide, false),
            ("_%_", 2) => Function::Arithmetic(Operator::Modulo, false),
            ("_[_]", 2) => Function::Index,
            ("@in" | "_in_" | "in", 2) => Function::In,
            ("int", 1) => Function::ToInt,
            ("uint", 1) => Function::ToUint,
            ("double", 1) => Function::ToDouble,
            ("bool", 1) => Function::ToBool,
            ("bytes", 1) => Function::ToBytes,
            ("string", 1) if options.string_conversion => Function::ToString,
            ("duration", 1) => Function::ToDuration,
            ("timestamp", 1) => Function::ToTimestamp,
            ("dyn", 1) => Function::Dyn,
            ("type", 1) => Function::TypeOf,
            _ => return None,
        })
    }

    fn either(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("size", 1) => Function::Size,
            ("contains", 2) => Function::Contains,
            ("startsWith", 2) => Function::StartsWith,
            ("endsWith", 2) => Function::EndsWith,
            _ => return None,
        })
    }

    fn member(name: &str, arguments: usize, options: Options) -> Option<Self> {
        match (name, arguments) {
            ("lowerAscii", 1) if options.string_functions => Some(Function::LowerAscii),
            ("upperAscii", 1) if options.string_functions => Some(Function::UpperAscii),
            ("replace", 3 | 4) if options.string_functions => Some(Function::Replace),
            ("split", 2 | 3) if options.string_functions => Some(Function::Split),
            ("format", 2) if options.string_functions => Some(Function::Format),
            (_, 1) if let Some(part) = Part::by_name(name) => Some(Function::Time(part)),
            _ if options.string_functions => strings::Function::find(name, arguments).map(Function::Text),
            _ => None,
        }
    }

    /// Calls it with as many arguments as it was found with.
    pub(super) fn call<'v>(
        self,
        arguments: &[Value<'v>],
        attributes: &'v dyn Attributes,
    ) -> Result<Value<'v>, Failure> {
        if let Function::Text(function) = self {
            return function.call(arguments);
        }
        match arguments {
            [one] => self.of_one(one),
            [one, other] => self.of_two(one, other, attributes),
            [text, arguments @ ..] => self.of_text(text, arguments),
            [] => Err(Failure::Error),
        }
    }

    fn of_one<'v>(self, value: &Value<'v>) -> Result<Value<'v>, Failure> {
        match (self, value) {
            (Function::Not, Value::Bool(truth)) => Ok(Value::Bool(!truth)),
            (Function::Negate, value) => negate(value),
            (Function::Size, value) => size(value),
            (Function::ToInt, value) => text::to_int(value).map(Value::Int),
            (Function::ToUint, value) => text::to_uint(value).map(Value::Uint),
            (Function::ToDouble, value) => text::to_double(value).map(Value::Double),
            (Function::ToBool, value) => text::to_bool(value).map(Value::Bool),
            (Function::ToBytes, Value::String(bytes) | Value::Bytes(bytes)) => {
                Ok(Value::Bytes(bytes.clone()))
            }
            (Function::ToString, value) => text::to_string(value),
            (Function::ToDuration, value) => time::to_duration(value),
            (Function::ToTimestamp, value) => time::to_timestamp(value),
            (Function::Dyn, value) => Ok(value.clone()),
            (Function::TypeOf, value) => Ok(Value::Type(value.type_name())),
            (Function::Time(part), value) => part.of(value).map(Value::Int),
            (Function::LowerAscii, Value::String(text)) => {
                Ok(Value::String(text.to_ascii_lowercase().into()))
            }
            (Function::UpperAscii, Value::String(text)) => {
                Ok(Value::String(text.to_ascii_uppercase().into()))
            }
            _ => Err(Failure::Error),
        }
    }

    fn of_two<'v>(
        self,
        one: &Value<'v>,
        other: &Value<'v>,
        attributes: &'v dyn Attributes,
    ) -> Result<Value<'v>, Failure> {
        let ordered = |holds: fn(Ordering) -> bool| {
            one.compare(other).map(|order| Value::Bool(holds(order))).ok_or(Failure::Error)
        };
        match (self, one, other) {
            (Function::Equal, ..) => Ok(Value::Bool(one.equals(other))),
            (Function::NotEqual, ..) => Ok(Value::Bool(!one.equals(other))),
            (Function::Less, ..) => ordered(Ordering::is_lt),
            (Function::LessOrEqual, ..) => ordered(Ordering::is_le),
            (Function::Greater, ..) => ordered(Ordering::is_gt),
            (Function::GreaterOrEqual, ..) => ordered(Ordering::is_ge),
            (Function::Arithmetic(operator, concat), ..) => operator.apply(one, other, concat),
            (Function::Index, Value::Map(map), key) => map.get(key, attributes),
            (Function::Index, Value::List(list), at) => {
                let at = at.whole().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| list.get(at)).ok_or(Failure::Error)
            }
            (Function::In, value, Value::List(list)) => {
                Ok(Value::Bool(list.iter().any(|item| item.equals(value))))
            }
            (Function::In, key, Value::Map(map)) => is_key(key, map, attributes).map(Value::Bool),
            (Function::Contains, Value::String(text), Value::String(part)) => {
                Ok(Value::Bool(memchr::memmem::find(text, part).is_some()))
            }
            (Function::StartsWith, Value::String(text), Value::String(part)) => {
                Ok(Value::Bool(text.starts_with(part)))
            }
            (Function::EndsWith, Value::String(text), Value::String(part)) => {
                Ok(Value::Bool(text.ends_with(part)))
            }
            (Function::Split, ..) => self.of_text(one, std::slice::from_ref(other)),
            (Function::Format, ..) => format(one, other),
            _ => Err(Failure::Error),
        }
    }

    fn of_text<'v>(self, text: &Value<'v>, arguments: &[Value<'v>]) -> Result<Value<'v>, Failure> {
        match (self, text, arguments) {
            (Function::Replace, Value::String(text), [Value::String(from), Value::String(to), rest @ ..]) => {
                text::replace(text, from, to, limit(rest)?).map(|made| Value::String(made.into()))
            }
            (Function::Split, Value::String(text), [Value::String(separator), rest @ ..]) => {
                let items = text::split(text, separator, limit(rest)?)?;
                let items: Vec<Value<'v>> =
                    items.into_iter().map(|item| Value::String(item.into())).collect();
                Ok(Value::List(List::Items(items.into())))
            }
            _ => Err(Failure::Error),
        }
    }
}

/// A limit that may stand at the end; a negative one is none.
fn limit(arguments: &[Value<'_>]) -> Result<Option<usize>, Failure> {
    match arguments {
        [] => Ok(None),
        [Value::Int(limit)] => Ok(usize::try_from(*limit).ok()),
        _ => Err(Failure::Error),
    }
}

fn size<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    let size = match value {
        Value::String(text) => std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count()),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return Err(Failure::Error),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| Failure::Error)
}

fn is_key<'v>(key: &Value<'v>, map: &Map<'v>, attributes: &'v dyn Attributes) -> Result<bool, Failure> {
    match (map.get(key, attributes), key) {
        (Ok(_), _) => Ok(true),
        (Err(Failure::Error), Value::String(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_)) => {
            Ok(false)
        }
        (Err(failure), _) => Err(failure),
    }
}
