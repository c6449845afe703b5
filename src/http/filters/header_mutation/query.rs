//! Changes to query parameters: `envoy.config.core.v3.KeyValueMutation`.
//!
//! As in Envoy a changed query has its parameters in the order of their keys. What is not changed stays as it came:
//! Envoy decodes it and leaves it so, and a space or `&` that came encoded would make another request of it.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters};
use crate::config::route::AppendAction;
use crate::route::matcher::split_query;

/// `KeyValueMutation`
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mutation {
    /// Takes the parameter away.
    Remove(String),
    /// Gives it a value.
    Append { key: String, value: Format, action: AppendAction },
}

impl Mutation {
    pub(super) fn from_proto(
        formatters: &Formatters,
        message: core::KeyValueMutation,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, core::KeyValueMutation = message; implemented { append, remove } }
        match (append, remove.is_empty()) {
            (Some(append), true) => appended(formatters, append, &mut at.field("append")),
            (None, false) => Some(Mutation::Remove(remove)),
            (Some(_), false) => {
                at.error("Only one of 'append'/'remove can be specified.");
                None
            }
            (None, true) => {
                at.error("One of 'append'/'remove' must be specified.");
                None
            }
        }
    }
}

fn appended(
    formatters: &Formatters,
    message: core::KeyValueAppend,
    at: &mut Scope<'_>,
) -> Option<Mutation> {
    use core::key_value_append::KeyValueAppendAction;
    open! { at, core::KeyValueAppend = message;
        implemented { record, action }
        rejected { entry: "`record` has taken its place" }
    }
    let action = match at.enumeration("action", action) {
        KeyValueAppendAction::AppendIfExistsOrAdd => AppendAction::AppendIfExistsOrAdd,
        KeyValueAppendAction::AddIfAbsent => AppendAction::AddIfAbsent,
        KeyValueAppendAction::OverwriteIfExistsOrAdd => AppendAction::OverwriteIfExistsOrAdd,
        KeyValueAppendAction::OverwriteIfExists => AppendAction::OverwriteIfExists,
    };
    let Some(record) = record else {
        at.error("No record specified for append mutation.");
        return None;
    };
    let at = &mut at.field("record");
    open! { at, core::KeyValuePair = record; implemented { key, value } }
    let key = at.required_string("key", key);
    let Some(pb::Value { kind: Some(pb::value::Kind::StringValue(text)) }) = value else {
        at.error("Only string value is allowed for record value.");
        return None;
    };
    let value = Format::read(&text, formatters, &mut at.field("value"))?;
    Some(Mutation::Append { key, value, action })
}

/// A parameter of a query.
struct Parameter {
    /// Decoded.
    key: Vec<u8>,
    /// As it stands in the query: `key=value`.
    text: Vec<u8>,
}

impl Parameter {
    fn parse(text: &[u8]) -> Self {
        let key = text.split(|byte| *byte == b'=').next().unwrap_or_default();
        let mut whole = text.to_vec();
        if key.len() == text.len() {
            whole.push(b'=');
        }
        Parameter { key: decode(key), text: whole }
    }

    fn new(key: &[u8], value: &[u8]) -> Self {
        let mut text = Vec::with_capacity(key.len() + value.len() + 1);
        encode(key, &mut text);
        text.push(b'=');
        encode(value, &mut text);
        Parameter { key: key.to_vec(), text }
    }
}

/// The target of a request with its query changed.
pub(super) fn mutate(
    target: &[u8],
    mutations: &[Mutation],
    mut render: impl FnMut(&Format, &mut Vec<u8>),
) -> Vec<u8> {
    let (path, query) = split_query(target);
    let mut parameters: Vec<Parameter> = match query.is_empty() {
        true => Vec::new(),
        false => query.split(|byte| *byte == b'&').map(Parameter::parse).collect(),
    };
    for mutation in mutations {
        match mutation {
            Mutation::Remove(key) => parameters.retain(|known| known.key != key.as_bytes()),
            Mutation::Append { key, value, action } => {
                let there = parameters.iter().any(|known| known.key == key.as_bytes());
                let overwrites = match action {
                    AppendAction::AddIfAbsent if there => continue,
                    AppendAction::OverwriteIfExists if !there => continue,
                    AppendAction::AppendIfExistsOrAdd | AppendAction::AddIfAbsent => false,
                    AppendAction::OverwriteIfExistsOrAdd | AppendAction::OverwriteIfExists => true,
                };
                if overwrites {
                    parameters.retain(|known| known.key != key.as_bytes());
                }
                let mut rendered = Vec::new();
                render(value, &mut rendered);
                parameters.push(Parameter::new(key.as_bytes(), &rendered));
            }
        }
    }
    // Values of one key keep their order.
    parameters.sort_by(|one, other| one.key.cmp(&other.key));
    let mut changed = path.to_vec();
    for (number, parameter) in parameters.iter().enumerate() {
        changed.push(if number == 0 { b'?' } else { b'&' });
        changed.extend_from_slice(&parameter.text);
    }
    changed
}

/// Undoes percent-encoding; what is none stays.
fn decode(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) if let (Some(high), Some(low)) = (hex(high), hex(low)) => {
                decoded.push(high << 4 | low);
                rest = after;
            }
            _ => decoded.push(*first),
        }
    }
    decoded
}

/// Percent-encodes everything but letters, digits and `*-._`.
fn encode(text: &[u8], encoded: &mut Vec<u8>) {
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(byte) {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_came() {
        for (target, expected) in [
            ("/a", "/a?k=%26%20"),
            ("/a?", "/a?k=%26%20"),
            ("/a?z=%26+%20&b", "/a?b=&k=%26%20&z=%26+%20"),
            ("/a?%6b=%41&k=2", "/a?%6b=%41&k=2&k=%26%20"),
            ("/a?gone=1&%67one&l=%zz&%4", "/a?%4=&k=%26%20&l=%zz"),
        ] {
            let mutations = [
                Mutation::Remove("gone".to_owned()),
                Mutation::Append {
                    key: "k".to_owned(),
                    value: Format::default(),
                    action: AppendAction::AppendIfExistsOrAdd,
                },
            ];
            let changed = mutate(target.as_bytes(), &mutations, |_, out| out.extend_from_slice(b"& "));
            assert_eq!(String::from_utf8_lossy(&changed), expected, "{target}");
        }
    }
}
