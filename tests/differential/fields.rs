//! Which fields of the API a configuration sets, found with the descriptors.

use std::collections::BTreeSet;

use dragoman_proto::descriptor::{self, Field, Message};
use serde_json::Value;

/// The message that a bootstrap is.
pub(crate) const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";
/// The message that a file of resources is.
#[allow(dead_code, reason = "the listing of evidence uses it")]
pub(crate) const RESOURCES: &str = "envoy.service.discovery.v3.DiscoveryResponse";
/// What holds a message of a type of its own, next to the `@type` that says which.
const ANY: &str = "google.protobuf.Any";

/// The full name of a field, such as `envoy.config.cluster.v3.Cluster.connect_timeout`.
pub(crate) fn full_name(message: &Message, field: &Field) -> String {
    format!("{}.{}", message.full_name(), field.name())
}

/// The full names of all fields that `value`, a message of this type, sets.
#[allow(dead_code, reason = "the listing of evidence uses it")]
pub(crate) fn set_in(value: &Value, message: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut value = value.clone();
    walk(&mut value, descriptor::message(message), &mut |message, field| {
        found.insert(full_name(message, field));
        true
    });
    found
}

/// Takes the field of this full name out of `value`, a message of this type, wherever it is set.
pub(crate) fn take_out(value: &mut Value, message: &str, name: &str) {
    walk(value, descriptor::message(message), &mut |message, field| full_name(message, field) != name);
}

/// Calls `keep` for each field that is set; one that is not to be kept is taken out.
fn walk(
    value: &mut Value,
    message: Option<&'static Message>,
    keep: &mut dyn FnMut(&'static Message, &'static Field) -> bool,
) {
    let (Value::Object(fields), Some(message)) = (value, message) else { return };
    let message = match message.full_name() {
        ANY => match fields.get("@type").and_then(Value::as_str).and_then(descriptor::message_of_url) {
            Some(message) => message,
            None => return,
        },
        name if name.starts_with("google.protobuf.") => return,
        _ => message,
    };
    let mut unwanted = Vec::new();
    for (key, value) in fields.iter_mut() {
        let Some(field) = message.field_named(key).filter(|field| is_set(field, value)) else { continue };
        if !keep(message, field) {
            unwanted.push(key.clone());
        } else if field.is_map() {
            let held = field.message().and_then(|entry| entry.field(2)).and_then(Field::message);
            let values = value.as_object_mut().into_iter().flat_map(|entries| entries.iter_mut());
            values.for_each(|(_, value)| walk(value, held, keep));
        } else if let Value::Array(values) = value {
            values.iter_mut().for_each(|value| walk(value, field.message(), keep));
        } else {
            walk(value, field.message(), keep);
        }
    }
    unwanted.iter().for_each(|key| {
        fields.remove(key);
    });
}

/// Whether the field has a value that can be told from its default.
fn is_set(field: &Field, value: &Value) -> bool {
    let is_default = match value {
        Value::Null => return false,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => return !values.is_empty(),
        Value::Object(_) => false,
    };
    field.has_presence() || !is_default
}
