//! Spans that a host is told of in OTLP: what they say, without what differs from run to run.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dragoman_proto::{PrintOptions, print};
use serde_json::Value;

/// The call that tells of spans.
pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Its message, which is the body where spans are told over HTTP.
const MESSAGE: &str = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest";

/// Numbers below this are those of cases; ours and Envoy's are random.
const RANDOM: u128 = 1 << 40;

/// A message that tells of spans, in a form that can be compared; `None` where it is none.
pub(crate) fn shown(message: &[u8]) -> Option<String> {
    let mut told = print(message, MESSAGE, &PrintOptions::default()).ok()?;
    for resource_spans in told.get_mut("resource_spans")?.as_array_mut()? {
        if let Some(attributes) = resource_spans.pointer_mut("/resource/attributes") {
            tell_attributes(attributes);
            // Envoy's order is that of a hash table, another in each process.
            let attributes = attributes.as_array_mut()?;
            attributes.sort_unstable_by_key(Value::to_string);
            for version in attributes.iter_mut().filter(|told| is_version(told)) {
                *version = Value::from("telemetry.sdk.version=<version>");
            }
        }
        for scope_spans in resource_spans.get_mut("scope_spans")?.as_array_mut()? {
            if let Some(version) = scope_spans.pointer_mut("/scope/version") {
                *version = Value::from("<version>");
            }
            scope_spans.get_mut("spans")?.as_array_mut()?.iter_mut().for_each(tell_span);
        }
    }
    serde_json::to_string_pretty(&told).ok()
}

fn is_version(told: &Value) -> bool {
    told.as_str().is_some_and(|told| told.starts_with("telemetry.sdk.version="))
}

fn tell_span(span: &mut Value) {
    for field in ["trace_id", "span_id", "parent_span_id"] {
        if let Some(id) = span.get_mut(field) {
            *id = Value::from(told_id(id));
        }
    }
    for field in ["start_time_unix_nano", "end_time_unix_nano"] {
        forget(span.get_mut(field));
    }
    if let Some(attributes) = span.get_mut("attributes") {
        tell_attributes(attributes);
    }
    for event in span.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
        forget(event.get_mut("time_unix_nano"));
    }
}

/// An id in hexadecimal digits, `<id>` for one that was made up.
fn told_id(id: &Value) -> String {
    let bytes = id.as_str().and_then(|id| BASE64_STANDARD.decode(id).ok()).unwrap_or_default();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if number >= RANDOM => "<id>".to_owned(),
        _ => digits,
    }
}

/// Attributes that are texts, in the order they came, as `name=text`.
fn tell_attributes(attributes: &mut Value) {
    for attribute in attributes.as_array_mut().into_iter().flatten() {
        let key = attribute.get("key").and_then(Value::as_str).unwrap_or_default();
        if let Some(text) = attribute.pointer("/value/string_value").and_then(Value::as_str) {
            *attribute = Value::from(format!("{key}={text}"));
        }
    }
}

/// What is there is shown, not what it is.
fn forget(value: Option<&mut Value>) {
    if let Some(value) = value {
        *value = Value::from("<there>");
    }
}
