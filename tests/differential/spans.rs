//! Reports of spans at a host, which stands for a collector: what they say, without what differs from run to run.

use serde_json::Value;

use crate::common::http1::Message;
use crate::otlp;

/// A request as it is shown, its spans in a form that can be compared; `None` where it is no report of spans.
pub(crate) fn shown(request: &Message) -> Option<String> {
    zipkin(&request.shown).or_else(|| {
        let (head, _) = request.shown.split_once("\n\n")?;
        let is_message = head.contains("\ncontent-type: application/x-protobuf");
        let spans = if is_message { otlp::shown(&request.body) } else { None };
        spans.map(|spans| format!("{head}\n\n{spans}"))
    })
}

fn zipkin(request: &str) -> Option<String> {
    if !request.starts_with("POST /api/v2/spans") {
        return None;
    }
    let at = request.find("\n[").map(|at| at + 1)?;
    let (head, body) = request.split_at(at);
    let mut spans: Value = serde_json::from_str(body.trim_end()).ok()?;
    for span in spans.as_array_mut()? {
        let span = span.as_object_mut()?;
        for field in ["timestamp", "duration"] {
            forget(span.get_mut(field));
        }
        forget(span.get_mut("localEndpoint").and_then(|endpoint| endpoint.get_mut("ipv4")));
        let annotations = span.get_mut("annotations").and_then(Value::as_array_mut);
        for annotation in annotations.into_iter().flatten() {
            forget(annotation.get_mut("timestamp"));
        }
    }
    spans.sort_all_objects();
    let pretty = serde_json::to_string_pretty(&spans).ok()?;
    Some(format!("{head}{pretty}"))
}

/// What is there is shown, not what it is.
fn forget(value: Option<&mut Value>) {
    if let Some(value) = value {
        *value = Value::from("<there>");
    }
}
