//! What is said of one place.

use std::fmt;
use std::sync::Arc;

use dragoman_proto::tree::Position;
use serde::{Serialize, Serializer};

use crate::config::field;

/// How much a finding weighs, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Refused, by Envoy as well.
    Error,
    /// Refused here; Envoy would take it.
    Unsupported,
    /// Taken, and most likely a mistake or a danger.
    Warning,
    /// Taken and left out: nothing in the API answers to it.
    Unknown,
    /// Taken; a later release of the API drops it.
    Deprecated,
    /// Taken, without an effect that anybody could notice.
    Ignored,
}

impl Severity {
    /// All of them, the gravest first.
    pub(super) const ALL: [Self; 6] =
        [Self::Error, Self::Unsupported, Self::Warning, Self::Unknown, Self::Deprecated, Self::Ignored];

    /// Whether a configuration with such a finding is not put in force.
    pub(super) fn blocks(self) -> bool {
        matches!(self, Self::Error | Self::Unsupported)
    }

    /// The word for people and programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Unsupported => "unsupported",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Deprecated => "deprecated",
            Self::Ignored => "ignored",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How much it weighs.
    pub(super) severity: Severity,
    /// What kind of finding it is, always the same for one kind; `docs/checks.md` explains each.
    pub(super) id: &'static str,
    /// Where it comes from.
    pub(super) source: Arc<str>,
    /// Line in the source, from 1; 0 where the source has no lines.
    pub(super) line: usize,
    /// Column in characters, from 1; 0 where the source has no lines.
    pub(super) column: usize,
    /// The resource, for example `cluster "app"`; empty where it is about none.
    pub(super) resource: String,
    /// The field within the resource; empty where it is about all of it.
    pub(super) path: String,
    /// What is the matter.
    pub(super) reason: String,
    /// What may help; often nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

impl Finding {
    /// Whether it is about the same field as another.
    pub(super) fn is_at(&self, other: &Finding) -> bool {
        self.path == other.path && self.resource == other.resource && self.source == other.source
    }

    /// A finding about a whole source, or what in it is no resource.
    pub(super) fn of_source(source: &Arc<str>, at: Position, path: &str, reason: String) -> Self {
        let (reason, hint) = split_hint(reason);
        Self {
            severity: Severity::Error,
            id: "invalid",
            source: Arc::clone(source),
            line: at.line,
            column: at.column,
            resource: String::new(),
            path: path.to_owned(),
            reason,
            hint,
        }
    }
}

/// What is wrong, and what would help, which stands last in a message.
pub(super) fn split_hint(message: String) -> (String, Option<String>) {
    let (reason, hint) = field::split_hint(&message);
    (reason.to_owned(), hint.map(str::to_owned))
}

/// `file.yaml:3:5: unsupported: cluster "app": lb_policy: not supported: …`, and the hint in a line of its own.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.source)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}", self.severity)?;
        for part in [&self.resource, &self.path, &self.reason] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        write!(f, " [{}]", self.id)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_compilers_write_theirs() {
        let at = Position { line: 3, column: 5 };
        let reason = "Cluster has no field `nam`; did you mean `name`?".to_owned();
        let finding = Finding::of_source(&"a.yaml".into(), at, "clusters[0].nam", reason);
        assert_eq!(
            finding.to_string(),
            "a.yaml:3:5: error: clusters[0].nam: Cluster has no field `nam` [invalid]\n    hint: did you mean `name`?"
        );
    }
}
