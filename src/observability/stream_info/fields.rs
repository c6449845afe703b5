//! An object of the filter state that has fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Texts by the names of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fields {
    values: Map<String, Value>,
    /// All of them, as JSON.
    json: Box<[u8]>,
}

impl Fields {
    /// With this field, in the place of one that has its name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.values.insert(name.to_owned(), value.into());
        // A map keeps the order in which its keys came where a dependency asks for that.
        let sorted: BTreeMap<_, _> = self.values.iter().collect();
        // Texts can always be written.
        self.json = serde_json::to_vec(&sorted).unwrap_or_default().into();
        self
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
        let fields = Fields::default().with("b", "x").with("a", "\"").with("b", "2");
        assert_eq!(fields.json(), br#"{"a":"\"","b":"2"}"#);
        assert_eq!((fields.get("a"), fields.get("c")), (Some("\""), None));
    }
}
