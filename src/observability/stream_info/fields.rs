//! An object of the filter state that has fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Texts by the names of fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fields {
    values: Map<String, Value>,
    /// All of them, as JSON.
    json: Box<[u8]>,
}

impl Fields {
    /// These.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        // Texts can always be written.
        let json = serde_json::to_vec(&values).unwrap_or_default().into();
        Fields { values: values.into_iter().map(|(name, value)| (name, value.into())).collect(), json }
    }

    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// All fields.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The same as JSON, in the order of their names.
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_in_the_order_of_their_names() {
        let fields =
            Fields::new([("b", "2"), ("a", "\"")].map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(fields.json(), br#"{"a":"\"","b":"2"}"#);
        assert_eq!((fields.get("a"), fields.get("c")), (Some("\""), None));
    }
}
