//! Messages and their fields.

use super::Encoder;
use crate::{
    descriptor::{Field, Kind, Message},
    tree::{Entry, Node, Value},
    wire::{MAX_DEPTH, put_bytes},
};

impl Encoder {
    /// Appends the encoding of a message, without key and length.
    pub(super) fn message(&mut self, node: &Node, message: &'static Message, out: &mut Vec<u8>) {
        if self.depth == MAX_DEPTH {
            return self.error(node.at, format!("nested more than {MAX_DEPTH} levels deep"));
        }
        self.depth += 1;
        if !self.well_known(node, message, out) {
            match &node.value {
                Value::Map(entries) => self.fields(entries, message, out),
                _ => self.expected(node, &format!("an object ({})", message.full_name())),
            }
        }
        self.depth -= 1;
    }

    /// Appends the fields of an ordinary message.
    pub(super) fn fields<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry>,
        message: &'static Message,
        out: &mut Vec<u8>,
    ) {
        let mut oneofs_set = Vec::new();
        for entry in entries {
            let mark = self.path.field(&entry.key);
            match message.field_named(&entry.key) {
                Some(field) => self.entry(entry, field, message, &mut oneofs_set, out),
                None => self.unknown_field(entry, message),
            }
            self.path.back_to(mark);
        }
    }

    fn unknown_field(&mut self, entry: &Entry, message: &'static Message) {
        let names = message.fields().iter().map(Field::name);
        let hint = self.hint(&entry.key, names).map(|near| format!("; did you mean `{near}`?"));
        let text =
            format!("{} has no field `{}`{}", message.full_name(), entry.key, hint.unwrap_or_default());
        self.unknown(entry.at, text);
    }

    fn entry(
        &mut self,
        entry: &Entry,
        field: &'static Field,
        message: &Message,
        oneofs_set: &mut Vec<(usize, &'static str)>,
        out: &mut Vec<u8>,
    ) {
        if let Some(oneof) = field.oneof().filter(|_| entry.value.value != Value::Null) {
            if let Some((_, other)) = oneofs_set.iter().find(|(set, _)| *set == oneof) {
                let name = message.oneofs().get(oneof).map_or("", |oneof| oneof.name());
                let text =
                    format!("only one field of the oneof `{name}` may be set, and `{other}` is already");
                return self.error(entry.at, text);
            }
            oneofs_set.push((oneof, field.name()));
        }
        let length = out.len();
        self.field(&entry.value, field, out);
        if field.is_deprecated() && out.len() > length {
            let text = format!("deprecated field `{}.{}`", message.full_name(), field.name());
            self.warn(entry.at, text);
        }
    }

    fn field(&mut self, node: &Node, field: &'static Field, out: &mut Vec<u8>) {
        match &node.value {
            Value::Null if !takes_null(field) || field.is_repeated() => {}
            Value::Map(entries) if field.is_map() => self.map(entries, field, out),
            _ if field.is_map() => self.expected(node, "an object"),
            Value::List(elements) if field.is_repeated() => self.list(elements, field, out),
            // Envoy takes one value where a list stands.
            _ if field.is_repeated() && field.kind().is_packable() => {
                let mut packed = Vec::new();
                self.packed(node, field, &mut packed);
                put_bytes(out, field.number(), &packed);
            }
            _ => self.value(node, field, out),
        }
    }

    /// Appends a list. Lists within it are taken as if their elements stood in it.
    fn list(&mut self, elements: &[Node], field: &'static Field, out: &mut Vec<u8>) {
        if field.kind().is_packable() {
            let mut packed = Vec::new();
            self.elements(elements, field, &mut packed, Self::packed);
            if !packed.is_empty() {
                put_bytes(out, field.number(), &packed);
            }
        } else {
            self.elements(elements, field, out, Self::element);
        }
    }

    fn elements(
        &mut self,
        elements: &[Node],
        field: &'static Field,
        out: &mut Vec<u8>,
        each: fn(&mut Self, &Node, &'static Field, &mut Vec<u8>),
    ) {
        for (index, element) in elements.iter().enumerate() {
            let mark = self.path.element(index);
            match &element.value {
                Value::List(inner) if !takes_list(field) => self.elements(inner, field, out, each),
                _ => each(self, element, field, out),
            }
            self.path.back_to(mark);
        }
    }

    /// One element of a list of strings, bytes or messages. Envoy takes null for an empty one.
    fn element(&mut self, node: &Node, field: &'static Field, out: &mut Vec<u8>) {
        match &node.value {
            Value::Null if !takes_null(field) => put_bytes(out, field.number(), &[]),
            _ => self.value(node, field, out),
        }
    }

    fn packed(&mut self, node: &Node, field: &'static Field, out: &mut Vec<u8>) {
        if let Some(scalar) = self.scalar(node, field) {
            scalar.put_value(out);
        }
    }

    /// A single value with its key.
    fn value(&mut self, node: &Node, field: &'static Field, out: &mut Vec<u8>) {
        match field.message() {
            Some(message) => {
                let mut inner = Vec::new();
                self.message(node, message, &mut inner);
                put_bytes(out, field.number(), &inner);
            }
            None => {
                let always = field.has_presence() || field.is_repeated();
                if let Some(scalar) = self.scalar(node, field).filter(|scalar| always || !scalar.is_default())
                {
                    scalar.put(field.number(), out);
                }
            }
        }
    }

    fn map(&mut self, entries: &[Entry], field: &'static Field, out: &mut Vec<u8>) {
        let Some(entry_type) = field.message() else { return };
        let (Some(key_field), Some(value_field)) = (entry_type.field(1), entry_type.field(2)) else { return };
        let mut seen = std::collections::HashSet::new();
        for entry in entries {
            let mark = self.path.element(format_args!("\"{}\"", entry.key));
            if seen.insert(&entry.key) {
                let mut inner = Vec::new();
                if let Some(key) = self.map_key(entry, key_field) {
                    key.put(key_field.number(), &mut inner);
                }
                self.field(&entry.value, value_field, &mut inner);
                put_bytes(out, field.number(), &inner);
            } else {
                self.error(entry.at, "this key stands twice");
            }
            self.path.back_to(mark);
        }
    }
}

/// Whether null is a value of the field and not its absence.
fn takes_null(field: &Field) -> bool {
    matches!(field.type_name(), "google.protobuf.Value" | "google.protobuf.NullValue")
}

/// Whether a list is a value of the field and not several values.
fn takes_list(field: &Field) -> bool {
    field.kind() == Kind::Message
        && matches!(field.type_name(), "google.protobuf.Value" | "google.protobuf.ListValue")
}
