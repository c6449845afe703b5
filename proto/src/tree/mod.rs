//! A configuration as a tree of values that know where in the text they stood.
//!
//! YAML, JSON and protobuf's text format all become this tree, and [`encode`](crate::encode()) makes a
//! message of it. Scalars are already what Envoy's own YAML reader would make of them; see [`parse_yaml`].

mod json;
mod locate;
mod scalar;
mod yaml;

pub use json::parse_json;
pub use locate::{Located, locate};
pub(crate) use locate::{Step, steps};
pub use yaml::{parse_yaml, parse_yaml_all};

use crate::Diagnostic;
pub use crate::position::Position;

/// A parsed text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The value of the whole document.
    pub root: Node,
    /// What was accepted as Envoy accepts it, and is most likely a mistake: a key that stands twice, a
    /// second document that nobody reads.
    pub warnings: Vec<Diagnostic>,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where the value begins.
    pub at: Position,
}

/// A value of any shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// YAML's and JSON's `null`, or nothing at all.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number. YAML has none: there, as in Envoy, `1.5` is the string that a number field accepts.
    Float(f64),
    /// A string.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of a key; `None` when this is no mapping or has no such key. The last one counts.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries().iter().rev().find(|entry| entry.key == key);
        entry.map(|entry| &entry.value)
    }

    /// The entries of a mapping; none when this is not a mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none when this is not a list.
    pub fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Value {
    /// What this is, in words for a message.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}
