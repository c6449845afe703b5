//! The types of `google.protobuf` that have a notation of their own in JSON, and the TypedStructs.

use serde_json::{Map, Value, json};

use super::{PrintOptions, Printer, REDACTED, Result, print, scalar};
use crate::{
    WireError, base64,
    descriptor::{self, Message},
    encode::{Options, is_well_known},
    time,
    typed_struct::{is_typed_struct, typed_struct_to_any},
    wire::{Fields, MAX_DEPTH, Payload},
};

impl Printer {
    /// Prints a type that has a notation of its own; `None` for all others.
    pub(super) fn well_known(
        &mut self,
        bytes: &[u8],
        message: &'static Message,
        secret: bool,
    ) -> Result<Option<Value>> {
        let name = message.full_name();
        if self.redact && is_typed_struct(name) {
            return self.typed_struct(bytes, message, secret).map(Some);
        }
        let Some(name) = name.strip_prefix("google.protobuf.").filter(|_| is_well_known(message)) else {
            return Ok(None);
        };
        Ok(Some(match name {
            "Any" => self.any(bytes, secret)?,
            "Struct" => structure(bytes, self.depth, secret)?,
            "Value" => dynamic(bytes, self.depth, secret)?,
            "ListValue" => list(bytes, self.depth, secret)?,
            "Duration" | "Timestamp" if secret => Value::Null,
            "Duration" => {
                let (seconds, nanos) = time_fields(bytes)?;
                Value::from(time::print_duration(seconds, nanos))
            }
            "Timestamp" => {
                let (seconds, nanos) = time_fields(bytes)?;
                Value::from(time::print_timestamp(seconds, nanos))
            }
            "FieldMask" => field_mask(bytes)?,
            _ => wrapper(bytes, message, secret)?,
        }))
    }

    fn any(&mut self, bytes: &[u8], secret: bool) -> Result<Value> {
        let (type_url, value) = (text_field(bytes, 1)?, bytes_field(bytes, 2)?);
        let mut object = Map::new();
        if type_url.is_empty() && value.is_empty() {
            return Ok(Value::Object(object));
        }
        object.insert("@type".into(), Value::from(type_url));
        match descriptor::message_of_url(type_url) {
            Some(message) if is_well_known(message) => {
                object.insert("value".into(), self.message(value, message, secret)?);
            }
            Some(message) => match self.message(value, message, secret)? {
                Value::Object(fields) => object.extend(fields),
                other => drop(object.insert("value".into(), other)),
            },
            None => {
                let shown = if secret { REDACTED.as_bytes() } else { value };
                object.insert("value".into(), Value::from(base64::encode(shown)));
            }
        }
        Ok(Value::Object(object))
    }

    /// Prints a TypedStruct with the secrets of the message that its `value` stands for replaced.
    fn typed_struct(&mut self, bytes: &[u8], message: &'static Message, secret: bool) -> Result<Value> {
        let mut object = self.fields(bytes, message, secret)?;
        if !secret && let Ok((type_url, encoded)) = typed_struct_to_any(bytes, &Options::default()) {
            let name = descriptor::name_of_url(&type_url).unwrap_or_default();
            if let Ok(redacted) = print(&encoded.bytes, name, &PrintOptions { redact: true }) {
                object.insert("value".into(), redacted);
            }
        }
        Ok(Value::Object(object))
    }
}

fn wrapper(bytes: &[u8], message: &'static Message, secret: bool) -> Result<Value> {
    let Some(field) = message.field(1) else { return Ok(Value::Null) };
    let mut last = None;
    for found in Fields::new(bytes) {
        match found? {
            (1, payload) if scalar::fits(field, &payload) => last = Some(payload),
            _ => {}
        }
    }
    let printed = match last {
        Some(payload) => scalar::print(field, payload, secret),
        None => scalar::default(field),
    };
    Ok(printed.unwrap_or_default())
}

/// `google.protobuf.Struct`
fn structure(bytes: &[u8], depth: usize, secret: bool) -> Result<Value> {
    let mut object = Map::new();
    for field in Fields::new(bytes) {
        if let (1, Payload::Bytes(entry)) = field? {
            let value = dynamic(bytes_field(entry, 2)?, depth, secret)?;
            object.insert(text_field(entry, 1)?.to_owned(), value);
        }
    }
    Ok(Value::Object(object))
}

/// `google.protobuf.ListValue`
fn list(bytes: &[u8], depth: usize, secret: bool) -> Result<Value> {
    let mut list = Vec::new();
    for field in Fields::new(bytes) {
        if let (1, Payload::Bytes(element)) = field? {
            list.push(dynamic(element, depth, secret)?);
        }
    }
    Ok(Value::Array(list))
}

/// `google.protobuf.Value`
fn dynamic(bytes: &[u8], depth: usize, secret: bool) -> Result<Value> {
    if depth >= MAX_DEPTH {
        return Err(WireError::TooDeep);
    }
    let mut value = Value::Null;
    for field in Fields::new(bytes) {
        value = match field? {
            (1, Payload::Varint(_)) => Value::Null,
            (2, Payload::Fixed64(_)) | (4, Payload::Varint(_)) if secret => Value::Null,
            (2, Payload::Fixed64(bits)) => scalar::double(f64::from_bits(bits)),
            (3, Payload::Bytes(_)) if secret => Value::from(REDACTED),
            (3, Payload::Bytes(text)) => Value::from(String::from_utf8_lossy(text)),
            (4, Payload::Varint(value)) => Value::Bool(value != 0),
            (5, Payload::Bytes(inner)) => structure(inner, depth + 1, secret)?,
            (6, Payload::Bytes(inner)) => list(inner, depth + 1, secret)?,
            _ => continue,
        };
    }
    Ok(value)
}

/// Paths in camel case, separated by commas.
fn field_mask(bytes: &[u8]) -> Result<Value> {
    let mut paths = Vec::new();
    for field in Fields::new(bytes) {
        if let (1, Payload::Bytes(path)) = field? {
            paths.push(camel(&String::from_utf8_lossy(path)));
        }
    }
    Ok(json!(paths.join(",")))
}

fn camel(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut upper = false;
    for letter in snake.chars() {
        match letter {
            '_' => upper = true,
            _ if std::mem::take(&mut upper) => camel.push(letter.to_ascii_uppercase()),
            _ => camel.push(letter),
        }
    }
    camel
}

/// Seconds and nanoseconds of a `Duration` or `Timestamp`.
fn time_fields(bytes: &[u8]) -> Result<(i64, i32)> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(bytes) {
        match field? {
            (1, Payload::Varint(value)) => seconds = value as i64,
            (2, Payload::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

fn bytes_field(bytes: &[u8], wanted: u32) -> Result<&[u8]> {
    let mut last: &[u8] = &[];
    for field in Fields::new(bytes) {
        match field? {
            (number, Payload::Bytes(value)) if number == wanted => last = value,
            _ => {}
        }
    }
    Ok(last)
}

/// A string; empty when absent or not UTF-8.
fn text_field(bytes: &[u8], wanted: u32) -> Result<&str> {
    Ok(std::str::from_utf8(bytes_field(bytes, wanted)?).unwrap_or_default())
}
