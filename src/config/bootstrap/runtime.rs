//! `envoy.config.bootstrap.v3.LayeredRuntime` to [`RuntimeLayer`]s.

use std::collections::{BTreeMap, HashSet};

use envoy_types::pb::envoy::config::bootstrap::v3;
use serde_json::Value;

use super::{RuntimeLayer, RuntimeValues};
use crate::config::field::{Scope, open};
use crate::config::metadata;
use crate::config::runtime::{ERROR_LEVEL, Values, WARN_LEVEL};

/// Whether fields are accepted that the API disallows by default.
pub const ALL_DEPRECATED_FEATURES: &str = "envoy.features.enable_all_deprecated_features";

/// Whether values of descriptors of rate limits are formats; not by default.
pub const DESCRIPTOR_FORMATS: &str =
    "envoy.reloadable_features.enable_formatter_for_ratelimit_action_descriptor_value";

/// Switches that are read here, too.
const READ: [&str; 4] = [ALL_DEPRECATED_FEATURES, DESCRIPTOR_FORMATS, ERROR_LEVEL, WARN_LEVEL];

/// What keys begin with that switch parts of Envoy's code on and off.
const SWITCHES: [&str; 2] = ["envoy.", "re2."];

/// What keys begin with that change what Envoy does with traffic whatever the configuration says, and why they are
/// refused.
const UNREAD: [(&str, &str); 2] = [
    (
        "upstream.",
        "of these base_retry_backoff_ms, healthy_panic_threshold, maintenance_mode, use_retry and zone_routing are read",
    ),
    ("load_balancing_policy.", "clusters are as they are configured"),
];

/// Switches that, off, have the values of a header matched as one text, joined by commas.
const INDIVIDUALLY: [&str; 2] = [
    "envoy.reloadable_features.match_headers_individually",
    "envoy.reloadable_features.rbac_match_headers_individually",
];

/// What keys begin with of those that are read all the same.
const READ_OF_UPSTREAM: [&str; 5] = [
    "upstream.base_retry_backoff_ms",
    "upstream.healthy_panic_threshold",
    "upstream.maintenance_mode.",
    "upstream.use_retry",
    "upstream.zone_routing.",
];

/// The layers in their order.
pub(super) fn layers(message: v3::LayeredRuntime, at: &mut Scope<'_>) -> Option<Vec<RuntimeLayer>> {
    open! { at, v3::LayeredRuntime = message; implemented { layers } }
    let layers = at.list("layers", layers, RuntimeLayer::from_proto);
    let mut names = HashSet::new();
    for layer in &layers {
        if !names.insert(layer.name.as_str()) {
            at.error(format!("Duplicate layer name: {}", layer.name));
        }
    }
    if layers.iter().filter(|layer| layer.values == RuntimeValues::Admin).count() > 1 {
        at.error("Too many admin layers specified in LayeredRuntime, at most one may be specified");
    }
    Some(layers)
}

/// What the layers of the bootstrap say together.
pub(super) fn values(layers: &[RuntimeLayer]) -> Values {
    let of_each = layers.iter().map(|layer| match &layer.values {
        RuntimeValues::Static(values) => Some(values),
        RuntimeValues::Admin => None,
    });
    of_each.flatten().flatten().map(|(key, value)| (key.as_str(), value)).collect()
}

impl RuntimeLayer {
    fn from_proto(message: v3::RuntimeLayer, at: &mut Scope<'_>) -> Option<Self> {
        use v3::runtime_layer::LayerSpecifier;
        open! { at, v3::RuntimeLayer = message; implemented { name, layer_specifier } }
        let name = at.required_string("name", name);
        let values = match at.required("layer_specifier", layer_specifier)? {
            LayerSpecifier::StaticLayer(layer) => {
                let mut values = BTreeMap::new();
                let mut at = at.field("static_layer");
                flatten("", metadata::to_object(layer), &mut values, &mut at);
                answer(&values, &mut at);
                RuntimeValues::Static(values)
            }
            LayerSpecifier::AdminLayer(layer) => {
                open! { at, v3::runtime_layer::AdminLayer = layer; implemented {} }
                RuntimeValues::Admin
            }
            LayerSpecifier::DiskLayer(_) => {
                at.reject("disk_layer", "static_layer and admin_layer are served");
                return None;
            }
            LayerSpecifier::RtdsLayer(_) => {
                at.reject("rtds_layer", "static_layer and admin_layer are served");
                return None;
            }
        };
        Some(RuntimeLayer { name, values })
    }
}

/// Says what becomes of values that mean something to Envoy itself. The others are there for the configuration, which
/// may name any key.
fn answer(values: &BTreeMap<String, Value>, at: &mut Scope<'_>) {
    for (key, value) in values {
        if let Some(reason) = refused_runtime_value(key, value) {
            at.field(key).unsupported(format!("not supported: {reason}"));
        } else if !READ.contains(&key.as_str()) && SWITCHES.iter().any(|start| key.starts_with(start)) {
            at.field(key).note("ignored: it switches parts of Envoy's own code");
        }
    }
}

/// Why a value is refused that changes what Envoy does with traffic, in the bootstrap and at the admin interface.
pub fn refused_runtime_value(key: &str, value: &Value) -> Option<&'static str> {
    if INDIVIDUALLY.contains(&key) {
        let said: Values = [(key, value)].into_iter().collect();
        return (!said.boolean(key, true)).then_some("the values of a header are matched one by one");
    }
    if READ_OF_UPSTREAM.iter().any(|start| key.starts_with(start)) {
        return None;
    }
    UNREAD.iter().find(|(start, _)| key.starts_with(start)).map(|(_, reason)| *reason)
}

/// Puts a value under its key, those of nested objects under keys joined by dots.
fn flatten(key: &str, value: Value, into: &mut BTreeMap<String, Value>, at: &mut Scope<'_>) {
    match value {
        Value::Object(members)
            if members.contains_key("numerator") || members.contains_key("denominator") =>
        {
            into.insert(key.to_owned(), Value::Object(members));
        }
        Value::Object(members) => {
            for (name, value) in members {
                let key = if key.is_empty() { name } else { format!("{key}.{name}") };
                flatten(&key, value, into, at);
            }
        }
        Value::Null | Value::Array(_) => at.error(format!("Invalid runtime entry value for {key}")),
        scalar => {
            into.insert(key.to_owned(), scalar);
        }
    }
}
