//! How large the program of a regular expression may be, and what is said of one that is larger.

use super::program;
use super::re2::{Alphabet, translate};
use crate::config::field::Scope;

/// The largest program where the runtime says nothing: `re2.max_program_size.error_level`.
const MAX_SIZE: u64 = 100;

/// What bounds the size of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `google_re2.max_program_size`
    Configured(u64),
    /// What the runtime says.
    Runtime,
}

impl Limit {
    /// Whether a pattern keeps to it; notes where it does not.
    pub(super) fn keeps(self, pattern: &str, at: &mut Scope<'_>) -> bool {
        let measured = translate(pattern, Alphabet::Bytes).and_then(|expression| program::size(&expression));
        let size = match measured {
            Ok(size) => size,
            Err(problem) => {
                at.field("regex").error(problem);
                return false;
            }
        };
        let levels = at.extensions().regex_levels;
        let (most, source) = match self {
            Limit::Configured(most) => (most, ""),
            Limit::Runtime => (levels.error.unwrap_or(MAX_SIZE), " set for the error level threshold"),
        };
        let too_large = |most: u64| size as u64 > most;
        let text = |most: u64, source: &str| {
            format!(
                "regex '{pattern}' RE2 program size of {size} > max program size of {most}{source}. Increase \
                 configured max program size if necessary."
            )
        };
        if too_large(most) {
            at.error(text(most, source));
            return false;
        }
        if let Some(most) = levels.warn.filter(|most| self == Limit::Runtime && too_large(*most)) {
            tracing::warn!(target: "config", "{}", text(most, " set for the warn level threshold"));
        }
        true
    }
}
