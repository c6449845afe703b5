//! `METADATA` and its like, `FILTER_STATE`.

use serde_json::{Number, Value};

use crate::config::format::{MetadataOf, Side, StateForm};
use crate::config::metadata::Metadata;
use crate::observability::stream_info::{Notes, StateObject, StreamInfo};

use super::Given;
use super::command::{Within, display, number, text};
use super::json::escape;
use super::message_json;

/// Writes what the path leads to.
pub(super) fn write(of: MetadataOf, path: &[String], info: &StreamInfo, out: &mut Vec<u8>) -> Given {
    match find(of, path, info) {
        None | Some(Value::Null) => Given::Nothing,
        Some(Value::String(value)) => text(Some(value.as_bytes()), out),
        Some(value) => {
            json(value, out);
            Given::Json
        }
    }
}

/// What is noted of a request, or of the connection to its host.
pub(super) fn notes(side: Side, info: &StreamInfo) -> Option<&Notes> {
    match side {
        Side::Downstream => info.notes(),
        Side::Upstream => info.upstream.as_ref()?.state.as_deref(),
    }
}

/// Writes an object of the filter state, or a field of it.
pub(super) fn write_state(
    notes: Option<&Notes>,
    name: &str,
    form: &StateForm,
    within: Within,
    out: &mut Vec<u8>,
) -> Given {
    let Some(object) = notes.and_then(|notes| notes.state(name)) else {
        return Given::Nothing;
    };
    match (form, object) {
        (_, StateObject::Upstream(_)) => Given::Nothing,
        (StateForm::Plain, StateObject::Message { text, .. }) if text.is_empty() => Given::Nothing,
        (StateForm::Plain, object) => text(Some(object.text()), out),
        (StateForm::Field(field), object) => self::field(object, field, out),
        // As in Envoy it is no message, of which JSON could be made.
        (StateForm::Typed, StateObject::Address(..)) => Given::Nothing,
        (StateForm::Typed, StateObject::Value(value) | StateObject::Message { json: value, .. }) => {
            out.extend_from_slice(value);
            Given::Json
        }
        (StateForm::Typed, StateObject::Fields(fields)) => {
            out.extend_from_slice(fields.json());
            Given::Json
        }
        (StateForm::Typed, StateObject::Text(value) | StateObject::HashableText(value)) => match within {
            Within::Json => {
                message_json::valid(value, out);
                Given::Text
            }
            Within::Text => {
                message_json::string(value, out);
                Given::Json
            }
        },
    }
}

/// Writes a field of an object; only addresses and entries of PROXY headers have any.
fn field(object: &StateObject, name: &str, out: &mut Vec<u8>) -> Given {
    match (object, name) {
        (StateObject::Address(address, _), "ip") => display(address.ip(), out),
        (StateObject::Address(address, _), "port") => {
            number(address.port().into(), out);
            Given::Text
        }
        (object, name) => text(object.field(name).map(str::as_bytes), out),
    }
}

fn find<'i>(of: MetadataOf, path: &[String], info: &'i StreamInfo) -> Option<&'i Value> {
    let upstream = info.upstream.as_ref();
    let configured: &Option<_> = match of {
        MetadataOf::Dynamic => return info.notes()?.metadata(path),
        MetadataOf::Cluster => &upstream?.cluster.metadata,
        MetadataOf::Route => &info.route_metadata,
        MetadataOf::UpstreamHost => &upstream?.host_metadata,
        MetadataOf::FilterChain => &info.connection.filter_chain_metadata,
        MetadataOf::Listener => &info.connection.listener_metadata,
        MetadataOf::VirtualHost => &info.virtual_host_metadata,
    };
    configured.as_deref().and_then(|metadata: &Metadata| metadata.find(path))
}

/// Writes a value as Envoy does: keys in order.
pub(super) fn json(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => out.extend_from_slice(shortest(number).as_bytes()),
        Value::String(value) => string(value.as_bytes(), out),
        Value::Array(values) => {
            out.push(b'[');
            for (number, value) in values.iter().enumerate() {
                separate(number, out);
                json(value, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (number, (key, value)) in fields.into_iter().enumerate() {
                separate(number, out);
                string(key.as_bytes(), out);
                out.push(b':');
                json(value, out);
            }
            out.push(b'}');
        }
    }
}

/// A number in as few characters as it takes: `1e+08`, but `1000`.
fn shortest(number: &Number) -> String {
    let Some(double) = number.as_f64() else { return number.to_string() };
    let plain = match number.is_f64() {
        // All digits of what is whole, not zeros in the place of those that the double does not need.
        true if double.fract() == 0.0 => format!("{double:.0}"),
        true => double.to_string(),
        false => number.to_string(),
    };
    let scientific = format!("{double:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    let scientific = format!("{digits}e{sign}{exponent:0>2}");
    if scientific.len() < plain.len() { scientific } else { plain }
}

fn separate(number: usize, out: &mut Vec<u8>) {
    if number > 0 {
        out.push(b',');
    }
}

fn string(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(value);
    escape(start, out);
    out.push(b'"');
}
