//! The types of `google.protobuf` that have a notation of their own.

use super::Encoder;
use crate::{
    descriptor::Message,
    time,
    tree::{Entry, Node, Value},
    wire::{MAX_DEPTH, put_bytes, put_number, put_varint},
};

/// Fields of `google.protobuf.Value`.
const VALUE_NULL: u32 = 1;
const VALUE_NUMBER: u32 = 2;
const VALUE_STRING: u32 = 3;
const VALUE_BOOL: u32 = 4;
const VALUE_STRUCT: u32 = 5;
const VALUE_LIST: u32 = 6;

/// Whether a message type has a notation of its own, so that an `Any` holds it under `value`.
pub(crate) fn is_well_known(message: &Message) -> bool {
    let Some(name) = message.full_name().strip_prefix("google.protobuf.") else { return false };
    is_wrapper(name)
        || matches!(name, "Any" | "Value" | "Struct" | "ListValue" | "Duration" | "Timestamp" | "FieldMask")
}

fn is_wrapper(name: &str) -> bool {
    matches!(
        name,
        "BoolValue"
            | "BytesValue"
            | "DoubleValue"
            | "FloatValue"
            | "Int32Value"
            | "Int64Value"
            | "StringValue"
            | "UInt32Value"
            | "UInt64Value"
    )
}

impl Encoder {
    /// Appends a well-known type in its own notation; false when the ordinary one is to be used.
    ///
    /// Envoy takes the ordinary notation (`{seconds: 5}`, `{value: 5}`) for most of them as well.
    pub(super) fn well_known(&mut self, node: &Node, message: &'static Message, out: &mut Vec<u8>) -> bool {
        let Some(name) = message.full_name().strip_prefix("google.protobuf.") else { return false };
        let is_object = matches!(node.value, Value::Map(_));
        match name {
            "Any" => self.any(node, out),
            "Value" => self.dynamic(node, 0, out),
            "Struct" => match &node.value {
                Value::Map(entries) => self.structure(entries, 0, out),
                _ => self.expected(node, "an object"),
            },
            "ListValue" if !is_object => match &node.value {
                Value::List(elements) => self.dynamic_list(elements, 0, out),
                _ => self.expected(node, "a list"),
            },
            "Duration" if !is_object => self.duration(node, out),
            "Timestamp" if !is_object => self.timestamp(node, out),
            "FieldMask" if !is_object => self.field_mask(node, out),
            name if is_wrapper(name) && !is_object => self.wrapper(node, message, out),
            _ => return false,
        }
        true
    }

    fn wrapper(&mut self, node: &Node, message: &'static Message, out: &mut Vec<u8>) {
        if let Some(field) = message.field(1)
            && let Some(scalar) = self.scalar(node, field).filter(|scalar| !scalar.is_default())
        {
            scalar.put(1, out);
        }
    }

    fn duration(&mut self, node: &Node, out: &mut Vec<u8>) {
        match node.as_str().map(time::parse_duration) {
            Some(Ok((seconds, nanos))) => put_time(seconds, nanos, out),
            Some(Err(reason)) => self.error(node.at, format!("{reason}; a duration is written like `1.5s`")),
            None if node.value == Value::Null => {}
            None => self.expected(node, "a duration such as `1.5s`"),
        }
    }

    fn timestamp(&mut self, node: &Node, out: &mut Vec<u8>) {
        match node.as_str().map(time::parse_timestamp) {
            Some(Some((seconds, nanos))) => put_time(seconds, nanos, out),
            None if node.value == Value::Null => {}
            _ => self.expected(node, "a time such as `2024-05-31T12:00:00Z`"),
        }
    }

    fn field_mask(&mut self, node: &Node, out: &mut Vec<u8>) {
        let Some(paths) = node.as_str() else {
            return self.expected(node, "field names separated by commas");
        };
        for path in paths.split(',').filter(|_| !paths.is_empty()) {
            let mut snake = String::with_capacity(path.len());
            for letter in path.chars() {
                if letter.is_ascii_uppercase() {
                    snake.push('_');
                }
                snake.push(letter.to_ascii_lowercase());
            }
            put_bytes(out, 1, snake.as_bytes());
        }
    }

    /// A `google.protobuf.Value`.
    fn dynamic(&mut self, node: &Node, depth: usize, out: &mut Vec<u8>) {
        if depth == MAX_DEPTH {
            return self.error(node.at, format!("nested more than {MAX_DEPTH} levels deep"));
        }
        match &node.value {
            Value::Null => put_number(out, VALUE_NULL, 0),
            Value::Bool(value) => put_number(out, VALUE_BOOL, u64::from(*value)),
            Value::Int(value) => put_double(*value as f64, out),
            Value::Float(value) => put_double(*value, out),
            Value::String(text) => put_bytes(out, VALUE_STRING, text.as_bytes()),
            Value::Map(entries) => {
                let mut inner = Vec::new();
                self.structure(entries, depth + 1, &mut inner);
                put_bytes(out, VALUE_STRUCT, &inner);
            }
            Value::List(elements) => {
                let mut inner = Vec::new();
                self.dynamic_list(elements, depth + 1, &mut inner);
                put_bytes(out, VALUE_LIST, &inner);
            }
        }
    }

    /// A `google.protobuf.Struct`.
    fn structure(&mut self, entries: &[Entry], depth: usize, out: &mut Vec<u8>) {
        let mut seen = std::collections::HashSet::new();
        for entry in entries {
            let mark = self.path.field(&entry.key);
            if seen.insert(&entry.key) {
                let mut value = Vec::new();
                self.dynamic(&entry.value, depth, &mut value);
                let mut pair = Vec::new();
                put_bytes(&mut pair, 1, entry.key.as_bytes());
                put_bytes(&mut pair, 2, &value);
                put_bytes(out, 1, &pair);
            } else {
                self.error(entry.at, "this key stands twice");
            }
            self.path.back_to(mark);
        }
    }

    /// A `google.protobuf.ListValue`.
    fn dynamic_list(&mut self, elements: &[Node], depth: usize, out: &mut Vec<u8>) {
        for (index, element) in elements.iter().enumerate() {
            let mark = self.path.element(index);
            let mut value = Vec::new();
            self.dynamic(element, depth, &mut value);
            put_bytes(out, 1, &value);
            self.path.back_to(mark);
        }
    }
}

fn put_double(value: f64, out: &mut Vec<u8>) {
    put_varint(out, u64::from(VALUE_NUMBER) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// `Duration` and `Timestamp` have the same fields.
fn put_time(seconds: i64, nanos: i32, out: &mut Vec<u8>) {
    if seconds != 0 {
        put_number(out, 1, seconds as u64);
    }
    if nanos != 0 {
        put_number(out, 2, i64::from(nanos) as u64);
    }
}
