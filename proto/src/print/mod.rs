//! From the wire form of a message to JSON, as Envoy's admin interface prints it.
//!
//! This is proto3's JSON mapping with the field names as declared (`connect_timeout`), fields in the order
//! of their numbers, and nothing printed for a field that has its default value and no presence. An `Any`
//! is printed as the message it holds; one of a type that the API does not have keeps its bytes, in base64.
//! Fields that the API does not have are left out; [`inspect`](crate::inspect()) finds them.

mod scalar;
mod well_known;

use serde_json::{Map, Value};

use crate::{
    MessageError, WireError, descriptor,
    descriptor::{Field, Kind, Message},
    tree::{Step, steps},
    wire::{Fields, MAX_DEPTH, Payload, unpack},
};

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrintOptions {
    /// Whether secrets (`udpa.annotations.sensitive`) are replaced: strings and bytes by `[redacted]`, the
    /// rest is left out. As in Envoy's `/config_dump`, this reaches into `Any`s and TypedStructs.
    pub redact: bool,
}

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// Prints the message of this full name, such as `envoy.config.cluster.v3.Cluster`.
///
/// # Errors
///
/// There is no such message type, or the bytes are no message. A field whose wire type does not fit its
/// declaration is treated as unknown, as protobuf does.
pub fn print(bytes: &[u8], message: &str, options: &PrintOptions) -> Result<Value, MessageError> {
    let descriptor = descriptor::message(message).ok_or_else(|| MessageError::UnknownType(message.into()))?;
    Ok(Printer { redact: options.redact, depth: 0 }.message(bytes, descriptor, false)?)
}

/// Prints the value at a path such as `filter_chains[0].filters[1].typed_config`, secrets replaced; `None` when nothing
/// is set there.
///
/// # Errors
///
/// As of [`print()`].
pub fn print_at(bytes: &[u8], message: &str, path: &str) -> Result<Option<Value>, MessageError> {
    let whole = print(bytes, message, &PrintOptions { redact: true })?;
    Ok(follow(&whole, path).cloned())
}

/// The value at a path; `value` stands between a TypedStruct and what is in it.
fn follow<'v>(mut value: &'v Value, path: &str) -> Option<&'v Value> {
    for step in steps(path) {
        value = match step {
            Step::Field(name) => {
                value.get(name).or_else(|| value.get("@type").and(value.get("value")?.get(name)))?
            }
            Step::Bracket(inside) => match (inside.parse::<usize>(), value) {
                (Ok(index), Value::Array(elements)) => elements.get(index)?,
                _ => value.get(inside.trim_matches('"'))?,
            },
        };
    }
    Some(value)
}

struct Printer {
    redact: bool,
    depth: usize,
}

type Result<T, E = WireError> = std::result::Result<T, E>;

impl Printer {
    /// Prints a message. It is `secret` when it lies in a sensitive field.
    fn message(&mut self, bytes: &[u8], message: &'static Message, secret: bool) -> Result<Value> {
        if self.depth == MAX_DEPTH {
            return Err(WireError::TooDeep);
        }
        self.depth += 1;
        let value = match self.well_known(bytes, message, secret)? {
            Some(value) => value,
            None => Value::Object(self.fields(bytes, message, secret)?),
        };
        self.depth -= 1;
        Ok(value)
    }

    /// Prints the fields of an ordinary message.
    fn fields(
        &mut self,
        bytes: &[u8],
        message: &'static Message,
        secret: bool,
    ) -> Result<Map<String, Value>> {
        let mut object = Map::new();
        for (field, payloads) in collect(bytes, message)? {
            let secret = secret || self.redact && field.is_sensitive();
            if let Some(value) = self.field(field, &payloads, secret)? {
                object.insert(field.name().to_owned(), value);
            }
        }
        Ok(object)
    }

    /// Prints all occurrences of a field; `None` when there is nothing to print.
    fn field(
        &mut self,
        field: &'static Field,
        payloads: &[Payload<'_>],
        secret: bool,
    ) -> Result<Option<Value>> {
        if field.is_map() {
            return self.map(field, payloads, secret);
        }
        if field.is_repeated() {
            return self.list(field, payloads, secret);
        }
        match field.message() {
            // A message that stands several times is merged, and so is its encoding.
            Some(message) => self.message(&concatenated(payloads), message, secret).map(Some),
            None => Ok(payloads.last().and_then(|payload| self.last(field, *payload, secret))),
        }
    }

    /// Prints a scalar that is not repeated; of several occurrences the last one counts.
    fn last(&self, field: &'static Field, payload: Payload<'_>, secret: bool) -> Option<Value> {
        let is_default = match payload {
            Payload::Varint(value) | Payload::Fixed64(value) => value == 0,
            Payload::Fixed32(value) => value == 0,
            Payload::Bytes(value) => value.is_empty(),
            Payload::Group => true,
        };
        (!is_default || field.has_presence()).then(|| scalar::print(field, payload, secret)).flatten()
    }

    fn list(
        &mut self,
        field: &'static Field,
        payloads: &[Payload<'_>],
        secret: bool,
    ) -> Result<Option<Value>> {
        let mut list = Vec::with_capacity(payloads.len());
        for payload in payloads {
            match (field.message(), payload) {
                (Some(message), Payload::Bytes(bytes)) => list.push(self.message(bytes, message, secret)?),
                (None, Payload::Bytes(bytes)) if field.kind().is_packable() => {
                    unpack(field.kind(), bytes, |payload| {
                        list.extend(scalar::print(field, payload, secret))
                    })?;
                }
                _ => list.extend(scalar::print(field, *payload, secret)),
            }
        }
        Ok((!list.is_empty()).then_some(Value::Array(list)))
    }

    /// Prints a map as an object. Its keys are no secrets, as in Envoy.
    fn map(
        &mut self,
        field: &'static Field,
        payloads: &[Payload<'_>],
        secret: bool,
    ) -> Result<Option<Value>> {
        let mut object = Map::new();
        for payload in payloads {
            let (Payload::Bytes(entry), Some(entry_type)) = (payload, field.message()) else { continue };
            let (Some(key), Some(value)) = (entry_type.field(1), entry_type.field(2)) else { continue };
            let mut entries = collect(entry, entry_type)?;
            let mut take = |number| {
                let found = entries.iter_mut().find(|(field, _)| field.number() == number);
                found.map(|(_, payloads)| std::mem::take(payloads)).unwrap_or_default()
            };
            let (keys, values) = (take(1), take(2));
            let printed = match (self.field(value, &values, secret)?, value.message()) {
                (Some(printed), _) => Some(printed),
                (None, Some(message)) => Some(self.message(&[], message, secret)?),
                (None, None) => scalar::default(value),
            };
            object.extend(printed.map(|printed| (scalar::print_key(key, keys.last()), printed)));
        }
        Ok((!object.is_empty()).then_some(Value::Object(object)))
    }
}

/// The known fields of a message in the order of their numbers, each with its occurrences. Of a oneof only
/// the field that was set last is kept.
fn collect<'a>(
    bytes: &'a [u8],
    message: &'static Message,
) -> Result<Vec<(&'static Field, Vec<Payload<'a>>)>> {
    let mut found: Vec<(&'static Field, Vec<Payload<'a>>)> = Vec::new();
    for field in Fields::new(bytes) {
        let (number, payload) = field?;
        let Some(field) = message.field(number).filter(|field| scalar::fits(field, &payload)) else {
            continue;
        };
        if let Some(oneof) = field.oneof() {
            found.retain(|(other, _)| other.oneof() != Some(oneof) || other.number() == number);
        }
        // Fields mostly stand together, so the last one is the first to look at.
        match found.iter_mut().rev().find(|(other, _)| other.number() == number) {
            Some((_, payloads)) => payloads.push(payload),
            None => found.push((field, vec![payload])),
        }
    }
    found.sort_by_key(|(field, _)| field.number());
    Ok(found)
}

/// The encoding of a message that was given in several pieces.
fn concatenated<'a>(payloads: &[Payload<'a>]) -> std::borrow::Cow<'a, [u8]> {
    let pieces = payloads.iter().filter_map(|payload| match payload {
        Payload::Bytes(bytes) => Some(*bytes),
        _ => None,
    });
    match payloads {
        [Payload::Bytes(only)] => (*only).into(),
        _ => pieces.collect::<Vec<_>>().concat().into(),
    }
}

/// Whether null is what a field of this kind prints.
fn is_null_value(field: &Field) -> bool {
    field.kind() == Kind::Enum && field.type_name() == "google.protobuf.NullValue"
}

#[cfg(test)]
mod tests;
