//! Numbers, truth values, strings, bytes and enum values in JSON.

use serde_json::{Value, json};

use super::{REDACTED, is_null_value};
use crate::{
    base64,
    descriptor::{Field, Kind},
    wire::{Payload, scalar_fits, zigzag},
};

/// Whether a value on the wire may belong to a field of this declaration.
pub(super) fn fits(field: &Field, payload: &Payload<'_>) -> bool {
    match payload {
        Payload::Bytes(_) => !field.kind().is_packable() || field.is_repeated(),
        payload => scalar_fits(field.kind(), payload),
    }
}

/// Prints a single value. A secret is replaced, or left out when it is no text.
pub(super) fn print(field: &'static Field, payload: Payload<'_>, secret: bool) -> Option<Value> {
    if secret {
        return match field.kind() {
            Kind::String => Some(Value::from(REDACTED)),
            Kind::Bytes => Some(Value::from(base64::encode(REDACTED.as_bytes()))),
            _ => None,
        };
    }
    Some(match (field.kind(), payload) {
        (Kind::Bool, Payload::Varint(value)) => Value::Bool(value != 0),
        (Kind::Enum, Payload::Varint(value)) => enumeration(field, value as i32),
        (Kind::Int32, Payload::Varint(value)) => Value::from(value as i32),
        (Kind::Uint32, Payload::Varint(value)) => Value::from(value as u32),
        (Kind::Sint32, Payload::Varint(value)) => Value::from(zigzag(value) as i32),
        // Numbers of 64 bits are strings in JSON, since JavaScript's are doubles.
        (Kind::Int64, Payload::Varint(value)) => Value::from((value as i64).to_string()),
        (Kind::Uint64, Payload::Varint(value)) => Value::from(value.to_string()),
        (Kind::Sint64, Payload::Varint(value)) => Value::from(zigzag(value).to_string()),
        (Kind::Fixed64, Payload::Fixed64(value)) => Value::from(value.to_string()),
        (Kind::Sfixed64, Payload::Fixed64(value)) => Value::from((value as i64).to_string()),
        (Kind::Double, Payload::Fixed64(bits)) => double(f64::from_bits(bits)),
        (Kind::Fixed32, Payload::Fixed32(value)) => Value::from(value),
        (Kind::Sfixed32, Payload::Fixed32(value)) => Value::from(value as i32),
        (Kind::Float, Payload::Fixed32(bits)) => float(f32::from_bits(bits)),
        (Kind::String, Payload::Bytes(text)) => Value::from(String::from_utf8_lossy(text)),
        (Kind::Bytes, Payload::Bytes(bytes)) => Value::from(base64::encode(bytes)),
        _ => return None,
    })
}

/// What an absent value in a map means.
pub(super) fn default(field: &'static Field) -> Option<Value> {
    print(field, field.empty(), false)
}

/// Prints the key of a map's entry, which is always a string in JSON.
pub(super) fn print_key(field: &'static Field, payload: Option<&Payload<'_>>) -> String {
    let printed = payload.map_or_else(|| default(field), |payload| print(field, *payload, false));
    match printed {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn enumeration(field: &'static Field, number: i32) -> Value {
    match field.enumeration().and_then(|enumeration| enumeration.value(number)) {
        _ if is_null_value(field) => Value::Null,
        Some(value) => Value::from(value.name),
        None => Value::from(number),
    }
}

/// A double; whole ones without a point, as protobuf prints them.
pub(super) fn double(value: f64) -> Value {
    /// Beyond this, not every whole number is a double, and the exponent is the better notation.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else if value.fract() == 0.0 && value.abs() <= EXACT && !(value == 0.0 && value.is_sign_negative()) {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// A float, with as many digits as it takes to tell it from its neighbours.
fn float(value: f32) -> Value {
    double(value.to_string().parse().unwrap_or(f64::from(value)))
}
