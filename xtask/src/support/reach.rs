//! Which messages configuration can bring.

use std::collections::{BTreeMap, BTreeSet};

use dragoman_proto::descriptor::{Field, Message};

use super::declarations::{Answer, Declaration};

/// Messages that are values rather than sets of fields: they are read as a whole.
fn is_value(message: &str) -> bool {
    message.starts_with("google.protobuf.")
}

/// What implemented fields hold and no `open!` takes apart field by field, each with a field that holds it.
pub(super) fn unlisted(declarations: &[Declaration]) -> BTreeMap<&'static str, String> {
    let known: BTreeSet<&str> = declarations.iter().map(|declaration| declaration.message.as_str()).collect();
    let mut unlisted = BTreeMap::new();
    for declaration in declarations {
        for (field, message) in held(declaration) {
            if !known.contains(message.full_name()) && !is_value(message.full_name()) {
                unlisted.entry(message.full_name()).or_insert(format!("{}.{field}", declaration.message));
            }
        }
    }
    unlisted
}

/// The messages that a message's fields may bring, each with the field.
pub(super) fn held(declaration: &Declaration) -> impl Iterator<Item = (&'static str, &'static Message)> + '_ {
    let read = |(_, answer): &&(_, Answer)| matches!(answer, Answer::Implemented | Answer::InPart(_));
    declaration.fields.iter().filter(read).filter_map(|(field, _)| Some((field.name(), value(field)?)))
}

/// The message that a field holds; for a map, that of its values.
fn value(field: &'static Field) -> Option<&'static Message> {
    let message = field.message()?;
    if field.is_map() { message.field(2)?.message() } else { Some(message) }
}
