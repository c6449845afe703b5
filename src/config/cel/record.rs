//! Messages of the configuration that expressions look into, field by field.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// A message, with all of its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Full name of the message.
    pub type_name: &'static str,
    /// By their names, in the order of their numbers.
    pub fields: Vec<(&'static str, Field)>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A signed number, or an enum's value.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// A truth.
    Bool(bool),
    /// A repeated field.
    List(Vec<Field>),
    /// A map.
    Map(BTreeMap<String, Field>),
    /// `google.protobuf.Struct`; null where it is not set.
    Struct(Json),
    /// Another message, and whether it is set.
    Message(Record, bool),
}

impl Record {
    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    /// Those that are set, in their order.
    pub(super) fn set(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        self.fields.iter().filter(|(_, field)| field.is_set()).map(|(name, field)| (*name, field))
    }
}

impl Field {
    /// Whether `has` finds it: one that a message says nothing of has the default of its type.
    pub(super) fn is_set(&self) -> bool {
        match self {
            Field::Text(text) => !text.is_empty(),
            Field::Int(number) => *number != 0,
            Field::Uint(number) => *number != 0,
            Field::Bool(truth) => *truth,
            Field::List(items) => !items.is_empty(),
            Field::Map(entries) => !entries.is_empty(),
            Field::Struct(fields) => !fields.is_null(),
            Field::Message(_, is_set) => *is_set,
        }
    }

    /// It as JSON, without what is not set.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Field::Text(text) => Json::String(text.clone()),
            Field::Int(number) => (*number).into(),
            Field::Uint(number) => (*number).into(),
            Field::Bool(truth) => Json::Bool(*truth),
            Field::List(items) => items.iter().map(Field::to_json).collect(),
            Field::Map(entries) => {
                Json::Object(entries.iter().map(|(key, field)| (key.clone(), field.to_json())).collect())
            }
            Field::Struct(fields) => fields.clone(),
            Field::Message(record, _) => record.to_json(),
        }
    }
}

impl Record {
    /// It as JSON, without what is not set.
    pub(super) fn to_json(&self) -> Json {
        Json::Object(self.set().map(|(name, field)| (name.to_owned(), field.to_json())).collect())
    }

    /// Writes it as the text form of protos, in one line.
    pub(super) fn print(&self, text: &mut String) {
        self.set().for_each(|(name, field)| field.print(name, text));
    }
}

impl Field {
    /// Writes it with its name as the text form of protos.
    fn print(&self, name: &str, text: &mut String) {
        match self {
            Field::Text(value) => text.push_str(&format!("{name}: {value:?} ")),
            Field::Int(number) => text.push_str(&format!("{name}: {number} ")),
            Field::Uint(number) => text.push_str(&format!("{name}: {number} ")),
            Field::Bool(truth) => text.push_str(&format!("{name}: {truth} ")),
            Field::List(items) => items.iter().for_each(|item| item.print(name, text)),
            Field::Map(entries) => {
                for (key, field) in entries {
                    text.push_str(&format!("{name} {{ key: {key:?} "));
                    field.print("value", text);
                    text.push_str("} ");
                }
            }
            Field::Struct(fields) => {
                text.push_str(&format!("{name} {{ "));
                super::print::object(fields, text);
                text.push_str("} ");
            }
            Field::Message(record, _) => {
                text.push_str(&format!("{name} {{ "));
                record.print(text);
                text.push_str("} ");
            }
        }
    }
}
