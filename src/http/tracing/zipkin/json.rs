//! Spans as Zipkin's second API takes them: `POST /api/v2/spans`.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::span::{Finished, Side};

/// A list of spans, made by the service at this address.
pub(super) fn list(spans: &[Finished], service: &str, address: IpAddr) -> Vec<u8> {
    let endpoint = endpoint(service, address);
    let spans = spans.iter().map(|span| one(span, &endpoint)).collect();
    Value::Array(spans).to_string().into_bytes()
}

fn one(Finished { span, microseconds }: &Finished, endpoint: &Value) -> Value {
    let annotations: Vec<Value> = span
        .annotations
        .iter()
        .map(|(at, event)| json!({ "timestamp": since_epoch(*at), "value": event }))
        .collect();
    let tags: Map<String, Value> =
        span.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("kind", match span.side { Side::Client => "CLIENT", Side::Server => "SERVER" }.into());
    if span.side == Side::Server && span.collector.config.shared_span_context {
        put("shared", true.into());
    }
    put("traceId", span.context.trace_id().into());
    put("id", format!("{:016x}", span.context.id).into());
    if span.context.parent != 0 {
        put("parentId", format!("{:016x}", span.context.parent).into());
    }
    if !span.name.is_empty() {
        put("name", span.name.as_str().into());
    }
    put("timestamp", since_epoch(span.begun_at).into());
    put("duration", (*microseconds).into());
    put("localEndpoint", endpoint.clone());
    put("tags", tags.into());
    put("annotations", annotations.into());
    fields.into()
}

fn endpoint(service: &str, address: IpAddr) -> Value {
    let key = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    let mut endpoint = json!({ key: address.to_string(), "port": 0 });
    if !service.is_empty() {
        endpoint["serviceName"] = service.into();
    }
    endpoint
}

/// Microseconds since 1970.
fn since_epoch(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
