//! Metadata: `envoy.config.core.v3.Metadata`.

use std::collections::BTreeMap;

/// JSON objects by filter name (`filter_metadata`); what others attach to routes, endpoints and listeners.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// `filter_metadata`
    pub filter_metadata: BTreeMap<String, serde_json::Value>,
}
