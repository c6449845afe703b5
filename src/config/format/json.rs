//! JSON access logs: `json_format`.

use envoy_types::pb::google::protobuf as pb;
use serde_json::Value;

use super::parse::parse;
use super::{Format, FormatError, Formatters, Operator};

/// A JSON object whose strings are formats. Keys are sorted, as Envoy writes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonFormat {
    /// Keys, escaped and in quotes, and what they have.
    pub fields: Vec<(String, JsonValue)>,
    /// `omit_empty_values`: leave out what is not there; otherwise it is `null`.
    pub omit_empty_values: bool,
}

/// A value in a [`JsonFormat`].
#[derive(Clone, Debug, PartialEq)]
pub enum JsonValue {
    /// `null`
    Null,
    /// A value as it is, already JSON.
    Literal(String),
    /// What a format gives: the type of a single command, or a string.
    Format(Format),
    /// An object.
    Object(Vec<(String, JsonValue)>),
    /// A list.
    List(Vec<JsonValue>),
}

impl JsonFormat {
    /// Makes a format of a `google.protobuf.Struct`.
    ///
    /// # Errors
    /// A string in it is no format.
    pub fn from_struct(json: &pb::Struct, omit_empty_values: bool) -> Result<Self, FormatError> {
        Self::with(json, omit_empty_values, &Formatters::default())
    }

    pub(super) fn with(
        json: &pb::Struct,
        omit_empty_values: bool,
        formatters: &Formatters,
    ) -> Result<Self, FormatError> {
        Ok(JsonFormat { fields: fields(json, formatters)?, omit_empty_values })
    }
}

impl JsonValue {
    pub(super) fn any(&self, is_such: &dyn Fn(&Operator) -> bool) -> bool {
        match self {
            JsonValue::Null | JsonValue::Literal(_) => false,
            JsonValue::Format(format) => format.any(is_such),
            JsonValue::Object(fields) => fields.iter().any(|(_, value)| value.any(is_such)),
            JsonValue::List(values) => values.iter().any(|value| value.any(is_such)),
        }
    }
}

fn fields(json: &pb::Struct, formatters: &Formatters) -> Result<Vec<(String, JsonValue)>, FormatError> {
    let mut fields: Vec<_> = json.fields.iter().collect();
    fields.sort_by_key(|(key, _)| *key);
    fields.into_iter().map(|(key, json)| Ok((quoted(key), value(json, formatters)?))).collect()
}

fn value(json: &pb::Value, formatters: &Formatters) -> Result<JsonValue, FormatError> {
    use pb::value::Kind;
    Ok(match &json.kind {
        None | Some(Kind::NullValue(_)) => JsonValue::Null,
        Some(Kind::BoolValue(value)) => JsonValue::Literal(value.to_string()),
        Some(Kind::NumberValue(number)) => JsonValue::Literal(plain(*number)),
        Some(Kind::StringValue(text)) => {
            let format = parse(text, formatters)?;
            match format.as_literal() {
                Some(text) => JsonValue::Literal(quoted(text)),
                None => JsonValue::Format(format),
            }
        }
        Some(Kind::StructValue(object)) => JsonValue::Object(fields(object, formatters)?),
        Some(Kind::ListValue(list)) => {
            JsonValue::List(list.values.iter().map(|json| value(json, formatters)).collect::<Result<_, _>>()?)
        }
    })
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// A number as Envoy writes it: a whole one without a fraction, a large one as `1e+20`.
fn plain(number: f64) -> String {
    if number.abs() < 1e15 {
        return number.to_string();
    }
    let scientific = format!("{number:e}");
    if scientific.contains("e-") { scientific } else { scientific.replace('e', "e+") }
}
