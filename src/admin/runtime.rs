//! `/runtime` and `/runtime_modify`.

use serde_json::{Map, Value, json};

use super::{Reply, Request};

/// All values, by layer.
pub(super) fn runtime(request: &Request<'_>) -> Reply {
    let status = request.admin.program.runtime();
    let entries: Map<String, Value> = status
        .entries
        .into_iter()
        .map(|(key, layers)| {
            let last = layers.iter().rev().find(|value| !value.is_empty()).cloned().unwrap_or_default();
            (key, json!({ "layer_values": layers, "final_value": last }))
        })
        .collect();
    Reply::json(&json!({ "entries": entries, "layers": status.layers }))
}

/// Sets values in the admin layer.
pub(super) fn modify(request: &Request<'_>) -> Reply {
    let values = request.query.all().to_vec();
    if values.is_empty() {
        return Reply::text(
            400,
            "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n       or send the parameters as form \
             values\nuse an empty value to remove a previously added override",
        );
    }
    match request.admin.program.modify_runtime(values) {
        Ok(()) => Reply::ok(),
        Err(error) => Reply::text(503, error),
    }
}
