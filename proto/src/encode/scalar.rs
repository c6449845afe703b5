//! Numbers, truth values, strings, bytes and enum values.

use super::Encoder;
use crate::{
    base64,
    descriptor::{Enum, Field, Kind},
    tree::{Entry, Node, Value},
    wire::{Scalar, integer_bounds, integer_on_the_wire},
};

/// Whole numbers up to this size survive a detour over a double, which `80.0` and `"8e1"` take.
const MAX_EXACT_SIGNED: f64 = 9_007_199_254_740_992.0;
const MAX_EXACT_UNSIGNED: f64 = 18_014_398_509_481_984.0;

impl Encoder {
    /// The wire form of a scalar; `None` after an error, and for an unknown enum value that is left out.
    pub(super) fn scalar(&mut self, node: &Node, field: &'static Field) -> Option<Scalar> {
        match field.kind() {
            Kind::Bool => self.boolean(node),
            Kind::String => self.string(node),
            Kind::Bytes => self.bytes(node),
            Kind::Enum => self.enumeration(node, field.enumeration()?),
            Kind::Float | Kind::Double => self.float(node, field.kind()),
            Kind::Message => None,
            kind => self.integer(node, kind),
        }
    }

    fn boolean(&mut self, node: &Node) -> Option<Scalar> {
        let value = match &node.value {
            Value::Null => Some(false),
            Value::Bool(value) => Some(*value),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" => Some(true),
                "false" | "f" | "no" | "n" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if value.is_none() {
            self.expected(node, "true or false");
        }
        value.map(|value| Scalar::Varint(u64::from(value)))
    }

    fn string(&mut self, node: &Node) -> Option<Scalar> {
        match &node.value {
            Value::Null => Some(Scalar::Bytes(Vec::new())),
            Value::String(text) => Some(Scalar::Bytes(text.clone().into_bytes())),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                self.expected(node, "a string (put it in quotes)");
                None
            }
            _ => {
                self.expected(node, "a string");
                None
            }
        }
    }

    fn bytes(&mut self, node: &Node) -> Option<Scalar> {
        let decoded = match &node.value {
            Value::Null => Some(Vec::new()),
            Value::String(text) => base64::decode(text),
            _ => None,
        };
        if decoded.is_none() {
            self.expected(node, "bytes in base64");
        }
        decoded.map(Scalar::Bytes)
    }

    fn enumeration(&mut self, node: &Node, enumeration: &'static Enum) -> Option<Scalar> {
        let number = match &node.value {
            Value::Null => Some(0),
            Value::Int(value) => i32::try_from(*value).ok(),
            Value::Float(value) => {
                whole(*value, MAX_EXACT_SIGNED).and_then(|value| i32::try_from(value).ok())
            }
            Value::String(name) => match enumeration.value_named(name) {
                Some(value) => Some(value.number),
                None => match name.trim_ascii().parse().ok() {
                    Some(number) => Some(number),
                    None => {
                        let text = self.no_such_value(name, enumeration);
                        self.unknown(node.at, text);
                        return None;
                    }
                },
            },
            _ => None,
        };
        let Some(number) = number else {
            self.expected(node, &format!("a value of {} by name or number", enumeration.full_name()));
            return None;
        };
        if let Some(value) = enumeration.value(number).filter(|value| value.deprecated) {
            self.warn(node.at, format!("deprecated value `{}` of {}", value.name, enumeration.full_name()));
        }
        Some(Scalar::Varint(i64::from(number) as u64))
    }

    fn float(&mut self, node: &Node, kind: Kind) -> Option<Scalar> {
        let value = match &node.value {
            Value::Null => Some(0.0),
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => number(text),
            },
            _ => None,
        };
        let fits = |value: &f64| kind == Kind::Double || !value.is_finite() || (*value as f32).is_finite();
        let Some(value) = value.filter(fits) else {
            self.expected(node, "a number");
            return None;
        };
        Some(match kind {
            Kind::Float => Scalar::Fixed32((value as f32).to_bits()),
            _ => Scalar::Fixed64(value.to_bits()),
        })
    }

    fn integer(&mut self, node: &Node, kind: Kind) -> Option<Scalar> {
        let bounds = integer_bounds(kind);
        let exact = if *bounds.start() < 0 { MAX_EXACT_SIGNED } else { MAX_EXACT_UNSIGNED };
        let value = match &node.value {
            Value::Null => Some(0),
            Value::Int(value) => Some(*value),
            Value::Float(value) => whole(*value, exact),
            // The text itself first: a double would lose digits.
            Value::String(text) => text.parse().ok().or_else(|| whole(number(text)?, exact)),
            _ => None,
        };
        let Some(value) = value.filter(|value| bounds.contains(value)) else {
            let found = if matches!(node.value, Value::Int(_)) { "another" } else { node.value.describe() };
            let (low, high) = bounds.into_inner();
            self.error(node.at, format!("expected a whole number from {low} to {high}, found {found}"));
            return None;
        };
        Some(integer_on_the_wire(value, kind))
    }

    fn no_such_value(&self, name: &str, enumeration: &Enum) -> String {
        /// Longer lists help nobody.
        const LISTED: usize = 12;
        let names = || enumeration.values().iter().map(|value| value.name);
        let help = match self.hint(name, names()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None if enumeration.values().len() <= LISTED => {
                format!("; its values are {}", names().collect::<Vec<_>>().join(", "))
            }
            None => String::new(),
        };
        format!("{} has no value `{name}`{help}", enumeration.full_name())
    }

    /// The key of a map's entry, which is text in every notation.
    pub(super) fn map_key(&mut self, entry: &Entry, field: &'static Field) -> Option<Scalar> {
        let value = match field.kind() {
            Kind::Bool => match entry.key.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                // Wider spellings are for values only.
                _ => Value::Null,
            },
            _ => Value::String(entry.key.clone()),
        };
        if value == Value::Null {
            self.error(entry.at, "expected the key `true` or `false`");
            return None;
        }
        self.scalar(&Node { value, at: entry.at }, field)
    }
}

/// The whole number that a double stands for, if it is one.
fn whole(value: f64, limit: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() <= limit).then_some(value as i128)
}

/// A finite number in quotes: decimal, or hexadecimal as Envoy's number parser takes it too.
fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let value = match unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            u128::from_str_radix(digits, 16).ok()? as f64
        }
        Some(_) => return None,
        // Words such as `inf` are numbers to Rust.
        None if unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            unsigned.parse().ok()?
        }
        None => return None,
    };
    let value = if text.starts_with('-') { -value } else { value };
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_numbers_are_decimal_or_hexadecimal() {
        for (text, value) in [("80", 80.0), ("+8e1", 80.0), ("0x50", 80.0), ("-1.5", -1.5), (".5", 0.5)] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "inf", "nan", "0x", "0xzz", "5f", "1e999", " 5", "5 ", "--5", "0x+5"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
