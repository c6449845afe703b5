//! Functions of texts by their characters: what CEL calls the strings extension.

use super::arithmetic::MAX_TEXT;
use super::value::List;
use super::{Failure, Value};

/// A function of a text, or of a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    CharAt,
    IndexOf,
    LastIndexOf,
    Substring,
    Trim,
    Reverse,
    Join,
    /// `strings.quote`
    Quote,
}

impl Function {
    /// The member of this name, with so many arguments, what it is a member of counted.
    pub(super) fn find(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("charAt", 2) => Function::CharAt,
            ("indexOf", 2 | 3) => Function::IndexOf,
            ("lastIndexOf", 2 | 3) => Function::LastIndexOf,
            ("substring", 2 | 3) => Function::Substring,
            ("trim", 1) => Function::Trim,
            ("reverse", 1) => Function::Reverse,
            ("join", 1 | 2) => Function::Join,
            _ => return None,
        })
    }

    pub(super) fn call<'v>(self, arguments: &[Value<'v>]) -> Result<Value<'v>, Failure> {
        let made = match (self, arguments) {
            (Function::Join, [Value::List(list), rest @ ..]) => join(list, rest),
            (_, [Value::String(text), rest @ ..]) => {
                let text = std::str::from_utf8(text).map_err(|_| Failure::Error)?;
                return self.of_text(text, rest).ok_or(Failure::Error);
            }
            _ => None,
        };
        made.map(|text| Value::String(text.into_bytes().into())).ok_or(Failure::Error)
    }

    fn of_text<'v>(self, text: &str, rest: &[Value<'v>]) -> Option<Value<'v>> {
        let made = match (self, rest) {
            (Function::CharAt, [at]) => from(text, place(at)?)?.chars().take(1).collect(),
            (Function::Substring, [start]) => from(text, place(start)?)?.to_owned(),
            (Function::Substring, [start, end]) => {
                let (start, end) = (place(start)?, place(end)?);
                let length = end.checked_sub(start)?;
                let rest = from(text, start)?;
                rest[..rest.len() - from(rest, length)?.len()].to_owned()
            }
            (Function::Trim, []) => text.trim().to_owned(),
            (Function::Reverse, []) => text.chars().rev().collect(),
            (Function::Quote, []) => quote(text),
            (Function::IndexOf, [Value::String(part), start @ ..]) => {
                let start = start.first().map_or(Some(0), place)?;
                let found = from(text, start)?.find(std::str::from_utf8(part).ok()?);
                let skipped = text.len() - from(text, start)?.len();
                return number(text, found.map(|found| skipped + found));
            }
            (Function::LastIndexOf, [Value::String(part), end @ ..]) => {
                let part = std::str::from_utf8(part).ok()?;
                let last = match end.first() {
                    Some(end) => text.len() - from(text, place(end)?)?.len(),
                    None => text.len(),
                };
                // It may begin there at the latest.
                let mut end = (last + part.len()).min(text.len());
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                return number(text, text[..end].rfind(part));
            }
            _ => return None,
        };
        Some(Value::String(made.into_bytes().into()))
    }
}

/// A number of characters.
fn place(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::Int(at) => usize::try_from(*at).ok(),
        _ => None,
    }
}

/// What follows so many characters; `None` where there are not so many.
fn from(text: &str, characters: usize) -> Option<&str> {
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    places.into_iter().nth(characters).map(|at| &text[at..])
}

/// How many characters stand before a place; -1 for none.
fn number<'v>(text: &str, place: Option<usize>) -> Option<Value<'v>> {
    let Some(place) = place else { return Some(Value::Int(-1)) };
    i64::try_from(text[..place].chars().count()).ok().map(Value::Int)
}

fn join(list: &List<'_>, rest: &[Value<'_>]) -> Option<String> {
    let separator = match rest {
        [] => "",
        [Value::String(separator)] => std::str::from_utf8(separator).ok()?,
        _ => return None,
    };
    let mut made = String::new();
    for (number, item) in list.iter().enumerate() {
        let Value::String(text) = item else { return None };
        if number > 0 {
            made.push_str(separator);
        }
        made.push_str(std::str::from_utf8(&text).ok()?);
        if made.len() > MAX_TEXT {
            return None;
        }
    }
    Some(made)
}

/// A text between quotation marks, with escapes.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let escaped = match character {
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\x0b' => "\\v",
            '\\' => "\\\\",
            '"' => "\\\"",
            other => {
                quoted.push(other);
                continue;
            }
        };
        quoted.push_str(escaped);
    }
    quoted.push('"');
    quoted
}
