//! What is said to the one who wrote the configuration.

use std::fmt;

use crate::position::Position;
use crate::wire::WireError;

/// One thing that is wrong (or only doubtful) in a configuration, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The field, such as `static_resources.listeners[0].address`; empty for the whole document.
    pub path: String,
    /// Line in the source, from 1; 0 when the source has no lines (binary).
    pub line: usize,
    /// Column in characters, from 1; 0 when the source has no lines.
    pub column: usize,
    /// What is wrong, and what would be accepted.
    pub message: String,
}

impl Diagnostic {
    /// A diagnostic about a place in a text.
    pub(crate) fn at(position: Position, path: &str, message: String) -> Self {
        Self { path: path.to_owned(), line: position.line, column: position.column, message }
    }
}

/// `12:5: static_resources.clusters[0].nme: no such field …`; put the file's name in front.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line != 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Why an encoded message cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No such type in the API.
    #[error("there is no message type `{0}`")]
    UnknownType(String),
    /// The bytes are no message.
    #[error("not a protobuf message: {0}")]
    Malformed(#[from] WireError),
}
