//! `format`: a text with places for values, `'%s is %d'.format(['x', 1])`.

use super::arithmetic::MAX_TEXT;
use super::print::{plain, short};
use super::value::{List, Map};
use super::{Failure, Value};

/// Digits behind the point where a place does not say how many.
const DEFAULT_PRECISION: usize = 6;

/// Digits behind the point that a place may ask for.
const MAX_PRECISION: usize = 1000;

/// The text with the values in its places. Values beyond the last place are left out.
pub(super) fn format<'v>(template: &Value<'v>, values: &Value<'v>) -> Result<Value<'v>, Failure> {
    let (Value::String(template), Value::List(values)) = (template, values) else {
        return Err(Failure::Error);
    };
    let mut rest = std::str::from_utf8(template).map_err(|_| Failure::Error)?;
    let (mut made, mut number) = (String::new(), 0);
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            made.push('%');
            rest = after;
            continue;
        }
        let (place, after) = Place::read(rest)?;
        place.fill(&values.get(number).ok_or(Failure::Error)?, &mut made)?;
        (number, rest) = (number + 1, after);
        if made.len() > MAX_TEXT {
            return Err(Failure::Error);
        }
    }
    made.push_str(rest);
    Ok(Value::String(made.into_bytes().into()))
}

/// A place for a value.
struct Place {
    kind: char,
    precision: usize,
}

impl Place {
    /// What stands behind a percent sign, and what follows it.
    fn read(text: &str) -> Result<(Self, &str), Failure> {
        let (precision, text) = match text.strip_prefix('.') {
            None => (DEFAULT_PRECISION, text),
            Some(text) => {
                let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
                let precision = text[..end].parse().ok().filter(|precision| *precision <= MAX_PRECISION);
                (precision.ok_or(Failure::Error)?, &text[end..])
            }
        };
        let mut letters = text.chars();
        let kind = letters.next().ok_or(Failure::Error)?;
        Ok((Place { kind, precision }, letters.as_str()))
    }

    fn fill(&self, value: &Value<'_>, made: &mut String) -> Result<(), Failure> {
        let text = match (self.kind, value) {
            ('s', value) => return text(value, made),
            ('d', Value::Double(number)) => fixed(*number, DEFAULT_PRECISION),
            ('d', value) => value.whole().ok_or(Failure::Error)?.to_string(),
            ('f', value) => fixed(number(value)?, self.precision),
            ('e', value) => scientific(number(value)?, self.precision),
            ('b', Value::Bool(truth)) => u8::from(*truth).to_string(),
            ('b', value) => signed(value, |number| format!("{number:b}"))?,
            ('o', value) => signed(value, |number| format!("{number:o}"))?,
            ('x' | 'X', Value::String(bytes) | Value::Bytes(bytes)) => {
                self.cased(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            ('x' | 'X', value) => self.cased(signed(value, |number| format!("{number:x}"))?),
            _ => return Err(Failure::Error),
        };
        made.push_str(&text);
        Ok(())
    }

    fn cased(&self, text: String) -> String {
        if self.kind == 'X' { text.to_ascii_uppercase() } else { text }
    }
}

/// A number without a fraction, its sign before what is made of it.
fn signed(value: &Value<'_>, digits: impl FnOnce(u128) -> String) -> Result<String, Failure> {
    let number = value.whole().ok_or(Failure::Error)?;
    let sign = if number < 0 { "-" } else { "" };
    Ok(format!("{sign}{}", digits(number.unsigned_abs())))
}

/// A number, or the name of what is none.
fn number(value: &Value<'_>) -> Result<f64, Failure> {
    match value {
        Value::String(text) => match &**text {
            b"NaN" => Ok(f64::NAN),
            b"Infinity" => Ok(f64::INFINITY),
            b"-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(Failure::Error),
        },
        value => value.number().ok_or(Failure::Error),
    }
}

/// The name of what has no digits.
fn name(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

fn fixed(number: f64, precision: usize) -> String {
    name(number).map_or_else(|| format!("{number:.precision$}"), str::to_owned)
}

/// With a sign and two digits in the exponent, as C writes it.
fn scientific(number: f64, precision: usize) -> String {
    if let Some(name) = name(number) {
        return name.to_owned();
    }
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Writes any value as a text.
fn text(value: &Value<'_>, made: &mut String) -> Result<(), Failure> {
    match value {
        Value::Null => made.push_str("null"),
        Value::Double(number) => made.push_str(&name(*number).map_or_else(|| short(*number), str::to_owned)),
        Value::String(text) | Value::Bytes(text) => {
            made.push_str(std::str::from_utf8(text).map_err(|_| Failure::Error)?);
        }
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Duration(_) | Value::Timestamp(_) => {
            let mut text = Vec::new();
            plain(value, &mut text);
            made.push_str(&String::from_utf8_lossy(&text));
        }
        Value::Type(name) => made.push_str(name),
        Value::List(list) => items(list, made)?,
        Value::Map(map) => entries(map, made)?,
        Value::Metadata(_) | Value::Node(_) | Value::Locality(_) | Value::Record(_) => {
            return Err(Failure::Error);
        }
    }
    if made.len() > MAX_TEXT { Err(Failure::Error) } else { Ok(()) }
}

fn items(list: &List<'_>, made: &mut String) -> Result<(), Failure> {
    made.push('[');
    for (number, item) in list.iter().enumerate() {
        if number > 0 {
            made.push_str(", ");
        }
        text(&item, made)?;
    }
    made.push(']');
    Ok(())
}

/// In the order of the keys as texts.
fn entries(map: &Map<'_>, made: &mut String) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for (key, value) in map.entries().ok_or(Failure::Error)? {
        let mut name = String::new();
        text(&key, &mut name)?;
        texts.push((name, value));
    }
    texts.sort_by(|(one, _), (other, _)| one.cmp(other));
    made.push('{');
    for (number, (key, value)) in texts.into_iter().enumerate() {
        if number > 0 {
            made.push_str(", ");
        }
        made.push_str(&key);
        made.push_str(": ");
        text(&value, made)?;
    }
    made.push('}');
    Ok(())
}
