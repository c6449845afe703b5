//! Format strings with `%COMMAND(ARGS):LENGTH%`, as in access logs and header values.

/// A parsed format string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Format {
    /// What follows on what.
    pub parts: Vec<Part>,
}

/// A piece of a [`Format`].
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text as it is.
    Literal(String),
}

/// A JSON object or other value whose strings are formats: `json_format`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonFormat {}
