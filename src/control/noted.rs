//! What is said of resources that are accepted, but not in everything they say.

use crate::config::field::{Note, NoteKind};
use crate::observability::stats::Registry;
use crate::observability::stats::server::{RuntimeStats, ServerStats};

/// What need not be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// Unknown fields are neither counted nor logged: `--ignore-unknown-dynamic-fields`.
    pub unknown_fields: bool,
    /// Deprecated fields are counted, but not logged: `--skip-deprecated-logs`.
    pub deprecated_fields: bool,
}

/// Logs and counts what is noted of resources that came over xDS.
#[derive(Debug)]
pub(super) struct Noted {
    quiet: Quiet,
    server: ServerStats,
    runtime: RuntimeStats,
}

impl Noted {
    pub(super) fn new(registry: &Registry, quiet: Quiet) -> Self {
        let (server, runtime) =
            (ServerStats::new(registry, "server."), RuntimeStats::new(registry, "runtime."));
        Noted { quiet, server, runtime }
    }

    /// Takes what was noted of the resource of this name.
    pub(super) fn take(&self, resource: &str, notes: &[Note]) {
        for Note { path, message, kind } in notes {
            let silent = match kind {
                // What nobody can notice need not be said of each of many resources.
                NoteKind::Ignored => {
                    self.server.ignored_fields().inc();
                    tracing::debug!(target: "config", resource, "{path}: {message}");
                    continue;
                }
                NoteKind::Unknown => self.quiet.unknown_fields,
                NoteKind::Deprecated => self.quiet.deprecated_fields,
            };
            if !silent {
                tracing::warn!(target: "config", resource, "{path}: {message}");
            }
            match kind {
                NoteKind::Ignored => {}
                NoteKind::Unknown if self.quiet.unknown_fields => {}
                NoteKind::Unknown => self.server.dynamic_unknown_fields().inc(),
                NoteKind::Deprecated => {
                    self.runtime.deprecated_feature_use().inc();
                    self.runtime.deprecated_feature_seen_since_process_start().inc();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(quiet: Quiet) -> [u64; 4] {
        let registry = Registry::new(1);
        let noted = Noted::new(&registry, quiet);
        let note = |kind| Note { path: "p".to_owned(), message: "m".to_owned(), kind };
        noted.take("a", &[NoteKind::Ignored, NoteKind::Unknown, NoteKind::Deprecated].map(note));
        [
            noted.server.ignored_fields().value(),
            noted.server.dynamic_unknown_fields().value(),
            noted.runtime.deprecated_feature_use().value(),
            noted.runtime.deprecated_feature_seen_since_process_start().value(),
        ]
    }

    #[test]
    fn unknown_and_deprecated_fields_are_counted_unless_nobody_wants_to_know() {
        assert_eq!(counted(Quiet::default()), [1, 1, 1, 1]);
        assert_eq!(counted(Quiet { unknown_fields: true, deprecated_fields: true }), [1, 0, 1, 1]);
    }
}
