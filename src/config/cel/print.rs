//! Values as texts: `%CEL%` in Envoy's forms, `%TYPED_CEL%` as JSON.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use serde_json::{Map as Object, Value as Json};

use super::time::SECOND;
use super::value::{List, Map};
use super::{Field, Value};
use crate::config::bootstrap::Node;
use crate::config::endpoint::Locality;
use crate::config::matching::joined;
use crate::config::metadata;

impl Value<'_> {
    /// Writes it as Envoy prints it.
    pub fn print(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Bool(truth) => print(out, format_args!("{truth}")),
            Value::Int(number) => print(out, format_args!("{number}")),
            Value::Uint(number) => print(out, format_args!("{number}")),
            Value::Double(number) => print(out, format_args!("{}", short(*number))),
            Value::String(text) | Value::Bytes(text) => out.extend_from_slice(text),
            Value::Duration(span) => self::span(*span, out),
            Value::Timestamp(moment) => self::moment(*moment, "+00:00", any_digits, out),
            Value::List(_) => out.extend_from_slice(b"CelList value"),
            Value::Map(_) => out.extend_from_slice(b"CelMap value"),
            Value::Type(_) => out.extend_from_slice(b"CelType value"),
            Value::Metadata(metadata) => {
                out.extend_from_slice(message(*metadata).as_bytes());
            }
            Value::Node(node) => out.extend_from_slice(self::node(node).as_bytes()),
            Value::Locality(locality) => out.extend_from_slice(self::locality(locality).as_bytes()),
            Value::Record(record) => {
                let mut text = String::new();
                record.print(&mut text);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// It as JSON; `None` for what Envoy makes nothing of.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(_) | Value::Uint(_) => self.whole().map_or(Json::Null, integer),
            Value::Double(number) => metadata::number(*number),
            Value::String(text) => Json::String(String::from_utf8_lossy(text).into_owned()),
            Value::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
            Value::Duration(_) | Value::Timestamp(_) => {
                let mut text = Vec::new();
                plain(self, &mut text);
                Json::String(String::from_utf8(text).ok()?)
            }
            Value::List(list) => Json::Array(list_items(list)?),
            Value::Map(map) => Json::Object(map_fields(map)?),
            Value::Metadata(metadata) => {
                let fields = metadata.map(|metadata| Json::Object(namespaces(metadata)));
                Json::Object(
                    fields.map(|fields| ("filter_metadata".to_owned(), fields)).into_iter().collect(),
                )
            }
            Value::Node(node) => {
                let mut fields = texts([("id", &node.id), ("cluster", &node.cluster)]);
                fields.extend(
                    (!node.metadata.is_null()).then(|| ("metadata".to_owned(), node.metadata.clone())),
                );
                let locality = Value::Locality(&node.locality).to_json();
                fields.extend(locality.map(|locality| ("locality".to_owned(), locality)));
                fields.extend(texts([("user_agent_name", &node.user_agent_name)]));
                if !node.client_features.is_empty() {
                    fields.insert("client_features".to_owned(), node.client_features.clone().into());
                }
                fields.extend(node.record.set().map(|(name, field)| (name.to_owned(), field.to_json())));
                Json::Object(fields)
            }
            Value::Locality(locality) => {
                let Locality { region, zone, sub_zone } = locality;
                Json::Object(texts([("region", region), ("zone", zone), ("sub_zone", sub_zone)]))
            }
            Value::Record(record) => record.to_json(),
            Value::Type(_) => return None,
        })
    }
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector does not fail.
    out.write_fmt(text).unwrap_or_default();
}

/// Writes it as the function `string` and JSON have it.
pub(super) fn plain(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Duration(nanoseconds) => {
            let sign = if *nanoseconds < 0 { "-" } else { "" };
            let nanoseconds = nanoseconds.unsigned_abs();
            let second = SECOND.unsigned_abs();
            print(out, format_args!("{sign}{}", nanoseconds / second));
            groups_of_three(nanoseconds % second, out);
            out.push(b's');
        }
        Value::Timestamp(nanoseconds) => moment(*nanoseconds, "Z", groups_of_three, out),
        value => value.print(out),
    }
}

/// A number that JSON can hold without loss is one; a double is what is left of a larger one, as in Envoy.
fn integer(number: i128) -> Json {
    #[expect(clippy::cast_precision_loss, reason = "as Envoy's values lose it")]
    metadata::number(number as f64)
}

fn list_items(list: &List<'_>) -> Option<Vec<Json>> {
    match list {
        List::Json(items) => Some(items.to_vec()),
        List::Fields(items) => Some(items.iter().map(Field::to_json).collect()),
        List::Items(items) => items.iter().map(Value::to_json).collect(),
    }
}

fn map_fields(map: &Map<'_>) -> Option<Object<String, Json>> {
    match map {
        Map::Json(fields) => Some((*fields).clone()),
        Map::Fields(fields) => {
            Some(fields.iter().map(|(key, field)| (key.clone(), field.to_json())).collect())
        }
        Map::Namespaces(metadata) => Some(metadata.map(namespaces).unwrap_or_default()),
        Map::Headers(headers) => {
            let names = headers.iter().map(|(name, _)| String::from_utf8_lossy(name.as_bytes()).into_owned());
            let value = |name: String| {
                let text = String::from_utf8_lossy(&joined(headers, &name)?).into_owned();
                Some((name, Json::String(text)))
            };
            names.map(value).collect()
        }
        Map::Entries(entries) => {
            let field = |(key, value): &(Value<'_>, Value<'_>)| {
                // Truths are no keys of JSON, in Envoy neither.
                let key = (!matches!(key, Value::Bool(_))).then(|| {
                    let mut text = Vec::new();
                    key.print(&mut text);
                    String::from_utf8_lossy(&text).into_owned()
                })?;
                Some((key, value.to_json()?))
            };
            entries.iter().map(field).collect()
        }
        Map::Attributes(_) => None,
    }
}

fn namespaces(metadata: &BTreeMap<String, Json>) -> Object<String, Json> {
    metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A number with six digits, as `%g` writes it.
pub(super) fn short(number: f64) -> String {
    if number.is_nan() || number.is_infinite() {
        return if number.is_nan() { "nan".to_owned() } else { format!("{number}") };
    }
    let scientific = format!("{number:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let fraction = usize::try_from(5 - exponent).unwrap_or(0);
        return without_zeros(&format!("{number:.fraction$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs())
}

/// Without the zeros at the end of a fraction.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A span as Abseil writes it: `1h30m`, `1.5ms`.
fn span(nanoseconds: i128, out: &mut Vec<u8>) {
    if nanoseconds == 0 {
        out.push(b'0');
        return;
    }
    if nanoseconds < 0 {
        out.push(b'-');
    }
    let second = SECOND.unsigned_abs();
    let nanoseconds = nanoseconds.unsigned_abs();
    if nanoseconds < second {
        let (unit, name) = match nanoseconds {
            ..1000 => (1, "ns"),
            1000..1_000_000 => (1000, "us"),
            _ => (1_000_000, "ms"),
        };
        let text = format!("{}.{:0width$}", nanoseconds / unit, nanoseconds % unit, width = zeros(unit));
        print(out, format_args!("{}{name}", without_zeros(&text)));
        return;
    }
    let seconds = nanoseconds / second;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        print(out, format_args!("{hours}h"));
    }
    if minutes > 0 {
        print(out, format_args!("{minutes}m"));
    }
    if !nanoseconds.is_multiple_of(60 * second) {
        let text = format!("{}.{:09}", seconds % 60, nanoseconds % second);
        print(out, format_args!("{}s", without_zeros(&text)));
    }
}

/// How many zeros a power of ten has.
fn zeros(unit: u128) -> usize {
    unit.checked_ilog10().map_or(0, |zeros| zeros as usize)
}

fn moment(nanoseconds: i128, zone: &str, fraction: fn(u128, &mut Vec<u8>), out: &mut Vec<u8>) {
    let Ok(moment) = jiff::Timestamp::from_nanosecond(nanoseconds) else { return };
    let moment = moment.to_zoned(TimeZone::UTC);
    let (date, time) = (moment.date(), moment.time());
    print(
        out,
        format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        ),
    );
    fraction(nanoseconds.rem_euclid(SECOND).unsigned_abs(), out);
    out.extend_from_slice(zone.as_bytes());
}

/// A fraction of a second with as many digits as it takes.
fn any_digits(nanoseconds: u128, out: &mut Vec<u8>) {
    if nanoseconds > 0 {
        let text = format!(".{nanoseconds:09}");
        out.extend_from_slice(text.trim_end_matches('0').as_bytes());
    }
}

/// A fraction of a second with none, three, six or nine digits, as protos have it in JSON.
fn groups_of_three(nanoseconds: u128, out: &mut Vec<u8>) {
    match nanoseconds {
        0 => {}
        _ if nanoseconds.is_multiple_of(1_000_000) => {
            print(out, format_args!(".{:03}", nanoseconds / 1_000_000))
        }
        _ if nanoseconds.is_multiple_of(1000) => print(out, format_args!(".{:06}", nanoseconds / 1000)),
        _ => print(out, format_args!(".{nanoseconds:09}")),
    }
}

/// Fields of a message that are set.
fn texts<const N: usize>(fields: [(&str, &String); N]) -> Object<String, Json> {
    let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| (name.to_owned(), Json::String(value.clone()))).collect()
}

/// As the text form of protos, in one line; what is not set is left out.
fn text_fields<const N: usize>(fields: [(&str, &String); N]) -> String {
    let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("{name}: {value:?} ")).collect()
}

fn locality(locality: &Locality) -> String {
    let Locality { region, zone, sub_zone } = locality;
    text_fields([("region", region), ("zone", zone), ("sub_zone", sub_zone)])
}

fn node(node: &Node) -> String {
    let mut text = text_fields([("id", &node.id), ("cluster", &node.cluster)]);
    if let Json::Object(fields) = &node.metadata {
        text.push_str("metadata { ");
        self::fields(fields, &mut text);
        text.push_str("} ");
    }
    if node.locality != Locality::default() {
        text.push_str(&format!("locality {{ {}}} ", locality(&node.locality)));
    }
    text.push_str(&text_fields([("user_agent_name", &node.user_agent_name)]));
    for feature in &node.client_features {
        text.push_str(&text_fields([("client_features", feature)]));
    }
    node.record.print(&mut text);
    text
}

/// Metadata as the text form of protos, in one line.
fn message(metadata: Option<&BTreeMap<String, Json>>) -> String {
    let mut text = String::new();
    for (name, value) in metadata.into_iter().flatten() {
        text.push_str(&format!("filter_metadata {{ key: {name:?} value {{ "));
        if let Json::Object(fields) = value {
            self::fields(fields, &mut text);
        }
        text.push_str("} } ");
    }
    text
}

/// `google.protobuf.Struct` likewise.
pub(super) fn object(value: &Json, text: &mut String) {
    if let Json::Object(fields) = value {
        self::fields(fields, text);
    }
}

fn fields(fields: &Object<String, Json>, text: &mut String) {
    let sorted: BTreeMap<_, _> = fields.iter().collect();
    for (key, value) in sorted {
        text.push_str(&format!("fields {{ key: {key:?} value {{ "));
        json(value, text);
        text.push_str("} } ");
    }
}

fn json(value: &Json, text: &mut String) {
    match value {
        Json::Null => text.push_str("null_value: NULL_VALUE "),
        Json::Bool(truth) => text.push_str(&format!("bool_value: {truth} ")),
        Json::Number(number) => text.push_str(&format!("number_value: {number} ")),
        Json::String(value) => text.push_str(&format!("string_value: {value:?} ")),
        Json::Array(items) => {
            text.push_str("list_value { ");
            for item in items {
                text.push_str("values { ");
                json(item, text);
                text.push_str("} ");
            }
            text.push_str("} ");
        }
        Json::Object(fields) => {
            text.push_str("struct_value { ");
            self::fields(fields, text);
            text.push_str("} ");
        }
    }
}
