//! `/listeners`: the listeners that serve, and their addresses.

use serde_json::{Value, json};

use super::{Reply, Request};
use crate::observability::stream_info::Address;

/// In text or, with `format=json`, as `envoy.admin.v3.Listeners`.
pub(super) fn listeners(request: &Request<'_>) -> Reply {
    let listeners = request.admin.program.listeners();
    if request.query.get("format") != Some("json") {
        let lines = listeners.iter().flat_map(|listener| {
            listener.addresses.iter().map(|address| format!("{}::{address}\n", listener.name))
        });
        return Reply::text(200, lines.collect::<String>());
    }
    let statuses: Vec<Value> = listeners
        .iter()
        .map(|listener| {
            let mut status = json!({ "name": listener.name });
            let mut addresses = listener.addresses.iter().map(address);
            if let Some(first) = addresses.next() {
                status["local_address"] = first;
            }
            let others: Vec<Value> = addresses.collect();
            if !others.is_empty() {
                status["additional_local_addresses"] = others.into();
            }
            status
        })
        .collect();
    if statuses.is_empty() {
        return Reply::json_pieces(std::iter::once("{}\n".into()));
    }
    Reply::json(&json!({ "listener_statuses": statuses }))
}

/// `envoy.config.core.v3.Address`
pub(super) fn address(address: &Address) -> Value {
    match address {
        Address::Ip(socket) => {
            json!({ "socket_address": { "address": socket.ip().to_string(), "port_value": socket.port() } })
        }
        Address::Pipe(path) => json!({ "pipe": { "path": &**path } }),
        Address::Internal { listener, endpoint_id } => {
            let mut shown = json!({ "server_listener_name": &**listener });
            if !endpoint_id.is_empty() {
                shown["endpoint_id"] = (&**endpoint_id).into();
            }
            json!({ "envoy_internal_address": shown })
        }
    }
}
