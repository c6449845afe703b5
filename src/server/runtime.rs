//! The runtime's layers: values by key, the later layer's before the earlier's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::admin::RuntimeStatus;
use crate::config::bootstrap::{RuntimeLayer, RuntimeValues, refused_runtime_value};
use crate::config::runtime::Values;
use crate::observability::stats::server::RuntimeStats;

/// The values of all layers.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    layers: Vec<Layer>,
    stats: RuntimeStats,
}

#[derive(Clone, Debug)]
struct Layer {
    name: String,
    values: BTreeMap<String, Value>,
    is_admin: bool,
}

impl Runtime {
    /// The layers of the bootstrap, counted under `runtime.`
    pub(super) fn new(layers: &[RuntimeLayer], stats: RuntimeStats) -> Self {
        let layer = |layer: &RuntimeLayer| match &layer.values {
            RuntimeValues::Static(values) => {
                Layer { name: layer.name.clone(), values: values.clone(), is_admin: false }
            }
            RuntimeValues::Admin => {
                Layer { name: layer.name.clone(), values: BTreeMap::new(), is_admin: true }
            }
        };
        let runtime = Runtime { layers: layers.iter().map(layer).collect(), stats };
        // Envoy loads the layers as they are read, and once more when those that come over RTDS may have come.
        runtime.loaded();
        runtime.loaded();
        runtime
    }

    /// Counts that the layers were put in force. There are no directories with overrides.
    fn loaded(&self) {
        self.stats.load_success().inc();
        self.stats.override_dir_not_exists().inc();
        let keys: BTreeSet<&String> = self.layers.iter().flat_map(|layer| layer.values.keys()).collect();
        self.stats.num_keys().set(keys.len() as u64);
        self.stats.num_layers().set(self.layers.len() as u64);
        let overridden = self.layers.iter().any(|layer| layer.is_admin && !layer.values.is_empty());
        self.stats.admin_overrides_active().set(overridden.into());
    }

    /// The values of all layers together, as they are put in force.
    pub(super) fn values(&self) -> Values {
        let values = self.layers.iter().flat_map(|layer| &layer.values);
        values.map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// All keys, with the value of each layer.
    pub(super) fn status(&self) -> RuntimeStatus {
        let keys: BTreeSet<&String> = self.layers.iter().flat_map(|layer| layer.values.keys()).collect();
        let values = |key: &str| {
            self.layers.iter().map(|layer| layer.values.get(key).map(text).unwrap_or_default()).collect()
        };
        RuntimeStatus {
            layers: self.layers.iter().map(|layer| layer.name.clone()).collect(),
            entries: keys.into_iter().map(|key| (key.clone(), values(key))).collect(),
        }
    }

    /// Sets values in the admin layer; an empty one takes the override away.
    ///
    /// # Errors
    /// There is no admin layer, or a key that is not served.
    pub(super) fn modify(&mut self, values: Vec<(String, String)>) -> Result<(), String> {
        for (key, value) in &values {
            if let Some(reason) = refused_runtime_value(key, &Value::String(value.clone())) {
                return Err(format!("{key}: not supported: {reason}"));
            }
        }
        let layer = self.layers.iter_mut().find(|layer| layer.is_admin).ok_or("No admin layer specified")?;
        for (key, value) in values {
            if value.is_empty() {
                layer.values.remove(&key);
            } else {
                layer.values.insert(key, Value::String(value));
            }
        }
        self.loaded();
        Ok(())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
