//! Calls of gRPC at a host: what is answered is written as a message, and what is asked is shown as one.

use dragoman_proto::encode::Options;
use dragoman_proto::{PrintOptions, encode, print, tree};
use serde_json::Value;

use crate::otlp;

/// The requests that are shown as what they say: by the paths of their calls.
const REQUESTS: [(&str, &str); 3] = [
    (
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
        "envoy.service.ratelimit.v3.RateLimitRequest",
    ),
    ("/envoy.service.auth.v3.Authorization/Check", "envoy.service.auth.v3.CheckRequest"),
    ("/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics", "xds.service.orca.v3.OrcaLoadReportRequest"),
];

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The body of an answer with this message, which names its type in `@type`.
///
/// # Panics
/// It is no such message.
pub(crate) fn body(message: &Value) -> Vec<u8> {
    let mut fields = message.clone();
    let name = fields.as_object_mut().and_then(|fields| fields.remove("@type"));
    let name = name.as_ref().and_then(Value::as_str).expect("a message names its type in @type");
    let name = name.rsplit('/').next().unwrap_or(name);
    let document = tree::parse_json(&fields.to_string()).expect("it is JSON");
    let encoded = encode(&document.root, name, &Options::default());
    let bytes = encoded.unwrap_or_else(|errors| panic!("no {name}: {errors:?}")).bytes;
    let length = u32::try_from(bytes.len()).expect("a message of a case is short");
    [&[0], &length.to_be_bytes()[..], &bytes].concat()
}

/// What a call of this path asks, as JSON; `None` where it is none that is known, or not one whole message.
pub(crate) fn shown(path: &str, body: &[u8]) -> Option<String> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    if path == otlp::EXPORT {
        return otlp::shown(message);
    }
    let (_, name) = REQUESTS.iter().find(|(known, _)| *known == path)?;
    print(message, name, &PrintOptions::default()).ok().map(|printed| printed.to_string())
}
