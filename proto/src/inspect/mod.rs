//! One pass over the raw bytes of a message, for what decoding it would not tell.
//!
//! prost drops fields it does not know without a word, and knows nothing of the constraints that the API puts
//! on its fields (`validate.rules`, of protoc-gen-validate). This finds unknown fields, violated constraints and
//! deprecated fields, also in messages inside an `Any`. Constraints become a compact table for each message
//! type when the type is first met; the pass itself allocates nothing unless it finds something.

mod pieces;
mod report;
mod walk;

use crate::{MessageError, descriptor};

/// Findings of each kind in one message; beyond that the pass goes on without them. They take far more room than what
/// they are about, and whoever sends so many faults will not read them all.
const MAX_FINDINGS: usize = 10_000;

/// Messages with newer fields in one message. They may well be in use, in each cluster of many: beyond that is an error.
const MAX_NEWER: usize = 200_000;

/// What was found in a message: of faults of each kind at most 10,000.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Fields that the API does not have.
    pub unknown_fields: Vec<UnknownField>,
    /// `Any`s of types that the API does not have. What is in them was not looked at.
    pub unknown_types: Vec<UnknownType>,
    /// Deprecated fields in use.
    pub deprecated: Vec<Deprecated>,
    /// Violated constraints. The first one is the one that Envoy reports.
    pub violations: Vec<Violation>,
    /// Fields that are newer than the types in Rust of the messages that hold them.
    pub newer: Vec<Newer>,
}

/// Why a newer field is refused that nothing looks at.
pub const UNSERVED: &str = "it is newer than what is served of this message";

/// The fields of one message that its type in Rust drops when decoding, although the API has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newer {
    /// The message that holds them; empty for the outermost one.
    pub path: String,
    /// The full name of that message's type.
    pub message: &'static str,
    /// These fields alone, encoded as in that message.
    pub bytes: Vec<u8>,
}

/// A field that the API does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// The message that holds it, such as `clusters[0].connect_timeout`; empty for the outermost one.
    pub path: String,
    /// The full name of that message's type.
    pub message: &'static str,
    /// The field's number.
    pub number: u32,
}

/// An `Any` of a type that the API does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownType {
    /// The field that holds it.
    pub path: String,
    /// Its type URL.
    pub type_url: String,
}

/// A deprecated field in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecated {
    /// The field.
    pub path: String,
    /// Its full name, such as `envoy.config.cluster.v3.Cluster.respect_dns_ttl`.
    pub field: String,
    /// Whether Envoy refuses the field unless the runtime allows it.
    pub disallowed_by_default: bool,
}

/// A violated constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `static_resources.clusters[0].name`.
    pub path: String,
    /// What the constraint asks for, in Envoy's words: `value must be greater than 0s`.
    pub reason: String,
    /// What Envoy says, as in `ClusterValidationError.ConnectTimeout: value must be greater than 0s`, with the
    /// enclosing messages in front. A message in an `Any` is validated by itself, so the chain begins there.
    pub envoy: String,
}

impl Findings {
    /// Envoy's whole message for the first violation: `Proto constraint validation failed (…)`.
    pub fn constraint_error(&self) -> Option<String> {
        let first = self.violations.first()?;
        Some(format!("Proto constraint validation failed ({})", first.envoy))
    }
}

/// Inspects an encoded message of this full name.
///
/// A TypedStruct is not looked into: convert it first, and inspect the result.
///
/// # Errors
///
/// There is no such message type, or the bytes are no message.
pub fn inspect(bytes: &[u8], message: &str) -> Result<Findings, MessageError> {
    let descriptor = descriptor::message(message).ok_or_else(|| MessageError::UnknownType(message.into()))?;
    Ok(walk::walk(bytes, descriptor)?)
}

#[cfg(test)]
mod tests;
