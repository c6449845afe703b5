//! One rule: which value is looked for, and what becomes of it.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::extensions::filters::http::json_to_metadata::v3::json_to_metadata as v3;
use serde_json::{Map, Value};

use crate::config::field::{Scope, open};
use crate::config::metadata;
use crate::observability::stream_info::StreamInfo;

/// The name of metadata that is configured without one.
const NAMESPACE: &str = "envoy.filters.http.json_to_metadata";

/// Texts longer than this are not taken.
const TOO_LONG: usize = 8 * 1024;

/// `Rule`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// Keys of objects within each other; at least one.
    keys: Vec<String>,
    on_present: Option<Target>,
    on_missing: Option<Target>,
    on_error: Option<Target>,
}

/// `KeyValuePair`
#[derive(Clone, Debug, PartialEq)]
struct Target {
    namespace: String,
    key: String,
    /// In the place of the value that is found.
    value: Option<Value>,
    kind: v3::ValueType,
    /// What is there already stays.
    preserve: bool,
}

/// What the rules of one message have come to, by the name of the metadata.
#[derive(Debug, Default)]
pub(super) struct Noted(BTreeMap<String, Vec<(String, Value, bool)>>);

impl Noted {
    fn add(&mut self, target: &Target, value: Value) {
        let fields = self.0.entry(target.namespace.clone()).or_default();
        fields.push((target.key.clone(), value, target.preserve));
    }

    /// Makes it the request's metadata; whether there was anything.
    pub(super) fn note(self, info: &mut StreamInfo) -> bool {
        let mut any = false;
        for (namespace, fields) in self.0 {
            let is_free = |key: &str| {
                let path = [namespace.clone(), key.to_owned()];
                info.notes().is_none_or(|notes| notes.metadata(&path).is_none())
            };
            let kept = fields.into_iter().filter(|(key, _, preserve)| !preserve || is_free(key));
            let fields: Map<String, Value> = kept.map(|(key, value, _)| (key, value)).collect();
            if !fields.is_empty() {
                any = true;
                info.notes_mut().set_metadata(&namespace, fields);
            }
        }
        any
    }
}

impl Rule {
    pub(super) fn from_proto(message: v3::Rule, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Rule = message; implemented { selectors, on_present, on_missing, on_error } }
        if selectors.is_empty() {
            at.field("selectors").violation("value must contain at least 1 item(s)");
            return None;
        }
        let keys = at.list("selectors", selectors, |message, at| {
            open! { at, v3::Selector = message; implemented { selector } }
            // One without a key selects the empty one, as in Envoy.
            let Some(v3::selector::Selector::Key(key)) = selector else { return Some(String::new()) };
            Some(at.required_string("key", key))
        });
        if on_present.is_none() && on_missing.is_none() {
            at.error("json to metadata filter: neither `on_present` nor `on_missing` set");
        }
        let mut target = |name: &str, message, may_be_empty: bool| {
            let target = at.message(name, message, Target::from_proto);
            if !may_be_empty && target.as_ref().is_some_and(|target: &Target| target.value.is_none()) {
                at.error(format!("json to metadata filter: cannot specify {name} rule with empty value"));
            }
            target
        };
        Some(Rule {
            keys,
            on_present: target("on_present", on_present, true),
            on_missing: target("on_missing", on_missing, false),
            on_error: target("on_error", on_error, false),
        })
    }

    /// Takes its value out of a body.
    pub(super) fn apply(&self, body: &Value, noted: &mut Noted) {
        if self.present(body, noted).is_none() {
            self.missing(noted);
        }
    }

    /// `None` where the value is missing, or of no use.
    fn present(&self, body: &Value, noted: &mut Noted) -> Option<()> {
        let (last, above) = self.keys.split_last()?;
        let parent = above.iter().try_fold(body, |value, key| value.as_object()?.get(key));
        // What is in the last key's place is not asked about where a value is configured.
        let parent = parent.filter(|parent| parent.is_object() || (above.is_empty() && parent.is_array()))?;
        let Some(target) = &self.on_present else { return Some(()) };
        let value = match &target.value {
            Some(value) => Some(value.clone()),
            None => target.converted(parent.get(last)?)?,
        };
        if let Some(value) = value {
            noted.add(target, value);
        }
        Some(())
    }

    /// The value is missing.
    pub(super) fn missing(&self, noted: &mut Noted) {
        Target::fixed(self.on_missing.as_ref(), noted);
    }

    /// The body is no JSON, or not of a type that is looked at.
    pub(super) fn error(&self, noted: &mut Noted) {
        Target::fixed(self.on_error.as_ref(), noted);
    }
}

impl Target {
    fn from_proto(message: v3::KeyValuePair, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::KeyValuePair = message;
            implemented { metadata_namespace, key, r#type, preserve_existing_metadata_value, value_type }
        }
        let value = value_type.map(|v3::key_value_pair::ValueType::Value(value)| metadata::to_value(value));
        Some(Target {
            namespace: if metadata_namespace.is_empty() { NAMESPACE.to_owned() } else { metadata_namespace },
            key: at.required_string("key", key),
            value,
            kind: at.enumeration("type", r#type),
            preserve: preserve_existing_metadata_value,
        })
    }

    fn fixed(target: Option<&Target>, noted: &mut Noted) {
        if let Some(target) = target
            && let Some(value) = &target.value
        {
            noted.add(target, value.clone());
        }
    }

    /// A value of a body as its type says; `None` where that cannot be, `Some(None)` where nothing is noted of it.
    fn converted(&self, value: &Value) -> Option<Option<Value>> {
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            return None;
        }
        let converted = match self.kind {
            v3::ValueType::ProtobufValue => match value {
                Value::String(text) if text.len() > TOO_LONG => return None,
                Value::Number(number) => metadata::number(number.as_f64()?),
                value => value.clone(),
            },
            v3::ValueType::Number => metadata::number(number(value)?),
            v3::ValueType::String => {
                let text = text(value);
                if text.len() > TOO_LONG {
                    return None;
                }
                return Some((!text.is_empty()).then_some(Value::String(text)));
            }
        };
        Some(Some(converted))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// As C++ writes it: truths as numbers, fractions with six digits.
fn text(value: &Value) -> String {
    match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map(|number| format!("{number:.6}")).unwrap_or_default()
        }
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Whether every whole number of a body is one with a sign of 64 bits, or too large for any. Envoy takes no others.
pub(super) fn fits(body: &Value) -> bool {
    match body {
        Value::Number(number) => number.is_f64() || number.is_i64(),
        Value::Array(items) => items.iter().all(fits),
        Value::Object(fields) => fields.values().all(fits),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(kind: v3::ValueType) -> Target {
        let (namespace, key) = ("ns".to_owned(), "k".to_owned());
        Target { namespace, key, value: None, kind, preserve: false }
    }

    // The expectations are what Envoy 1.40 made of the same values.

    #[test]
    fn a_value_becomes_what_its_type_says() {
        let (any, number, text) = (
            target(v3::ValueType::ProtobufValue),
            target(v3::ValueType::Number),
            target(v3::ValueType::String),
        );
        for (value, as_any, as_number, as_text) in [
            (json!(1.5), json!(1.5), json!(1.5), json!("1.500000")),
            (json!(true), json!(true), json!(1), json!("1")),
            (json!(" 7 "), json!(" 7 "), json!(7), json!(" 7 ")),
            (json!(100_000_000_000_i64), json!(100_000_000_000_i64), json!(100_000_000_000_i64), json!("100000000000")),
        ] {
            assert_eq!(any.converted(&value), Some(Some(as_any)), "{value}");
            assert_eq!(number.converted(&value), Some(Some(as_number)), "{value}");
            assert_eq!(text.converted(&value), Some(Some(as_text)), "{value}");
        }
        assert_eq!(number.converted(&json!("x")), None);
        assert_eq!(text.converted(&json!("")), Some(None));
        assert_eq!(any.converted(&json!("")), Some(Some(json!(""))));
        for value in [json!(null), json!([1]), json!({"a": 1}), json!("x".repeat(TOO_LONG + 1))] {
            assert_eq!((any.converted(&value), text.converted(&value)), (None, None), "{value}");
        }
    }

    #[test]
    fn numbers_that_envoy_cannot_hold_spoil_a_body() {
        let body = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert!(fits(&body("[9223372036854775807, 18446744073709551616, -1]")));
        assert!(!fits(&body("{\"a\": [9223372036854775808]}")));
    }
}
