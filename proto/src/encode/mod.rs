//! From a tree of values to the wire form of a message, as lenient and as strict as Envoy.
//!
//! Envoy reads configuration with the JSON parser of protobuf's C++ library in its legacy mode, with enum
//! names in any case. What that takes we take: snake and camel case names, numbers in strings, one value
//! where a list stands, lists within lists, `{seconds, nanos}` for a duration, null for "not set". What it
//! refuses we refuse: a number for a string or a duration, `1000ms`, an unknown field, two members of a
//! oneof. Envoy stops at the first error; this collects all of them.

mod any;
mod message;
mod scalar;
mod well_known;

pub(crate) use well_known::is_well_known;

use crate::{
    Diagnostic, descriptor, hint,
    path::Path,
    tree::{Node, Position},
};

/// How to encode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What to do with fields and enum values that the API does not have.
    pub unknown: Unknown,
}

/// What to do with fields and enum values that the API does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are errors, as Envoy's default for static configuration.
    #[default]
    Reject,
    /// They are left out and listed in [`Encoded::unknown`], as with `--allow-unknown-static-fields`.
    Collect,
}

/// An encoded message and what to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The message in protobuf's wire format.
    pub bytes: Vec<u8>,
    /// Deprecated fields and enum values in use.
    pub warnings: Vec<Diagnostic>,
    /// Fields and enum values that were left out; empty with [`Unknown::Reject`].
    pub unknown: Vec<Diagnostic>,
}

/// Encodes a tree as the message of this full name, such as `envoy.config.bootstrap.v3.Bootstrap`.
///
/// For an object with `@type`, encode it as `google.protobuf.Any`.
///
/// # Errors
///
/// All that is wrong, in the order of the text; a single error without place when there is no message of
/// this name.
pub fn encode(root: &Node, message: &str, options: &Options) -> Result<Encoded, Vec<Diagnostic>> {
    let Some(descriptor) = descriptor::message(message) else {
        let text = format!("there is no message type `{message}`");
        return Err(vec![Diagnostic::at(Position::default(), "", text)]);
    };
    let mut encoder = Encoder { options: *options, ..Encoder::default() };
    let mut bytes = Vec::new();
    encoder.message(root, descriptor, &mut bytes);
    if encoder.errors.is_empty() {
        Ok(Encoded { bytes, warnings: encoder.warnings, unknown: encoder.unknown })
    } else {
        Err(encoder.errors)
    }
}

/// Where the encoding has got to, and what was found so far.
#[derive(Default)]
struct Encoder {
    options: Options,
    path: Path,
    depth: usize,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    unknown: Vec<Diagnostic>,
}

impl Encoder {
    fn error(&mut self, at: Position, message: impl Into<String>) {
        self.errors.push(Diagnostic::at(at, self.path.as_str(), message.into()));
    }

    fn warn(&mut self, at: Position, message: impl Into<String>) {
        self.warnings.push(Diagnostic::at(at, self.path.as_str(), message.into()));
    }

    /// Something the API does not have: an error or, if so wished, left out.
    fn unknown(&mut self, at: Position, message: impl Into<String>) {
        let diagnostic = Diagnostic::at(at, self.path.as_str(), message.into());
        match self.options.unknown {
            Unknown::Reject => self.errors.push(diagnostic),
            Unknown::Collect => self.unknown.push(diagnostic),
        }
    }

    /// The name that is most likely meant.
    fn hint<'a>(&self, name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        if self.may_search() { hint::nearest_identifier(name, names) } else { None }
    }

    /// `; did you mean …?` of a type URL, or nothing.
    fn type_hint(&self, url: &str) -> String {
        let name = url.rsplit('/').next().unwrap_or_default();
        let nearest =
            self.may_search().then(|| hint::nearest_type(name, descriptor::message_names())).flatten();
        nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
    }

    /// Searching takes time, so only the first few errors get a hint.
    fn may_search(&self) -> bool {
        const HINTS: usize = 50;
        self.errors.len() + self.unknown.len() < HINTS
    }

    fn expected(&mut self, node: &Node, what: &str) {
        self.error(node.at, format!("expected {what}, found {}", node.value.describe()));
    }
}

#[cfg(test)]
mod tests;
