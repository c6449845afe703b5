//! Why a text is no format.

use std::fmt;

use crate::config::cel::Problem;
use crate::config::field::Scope;

/// Why a text is no format, in Envoy's words where it is none in Envoy either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    message: String,
    /// Whether it is one in Envoy.
    unsupported: bool,
}

impl FormatError {
    /// The same in other words.
    pub(super) fn map(self, words: impl FnOnce(String) -> String) -> Self {
        FormatError { message: words(self.message), ..self }
    }

    /// Notes it at the place of the text.
    pub fn tell(self, at: &mut Scope<'_>) {
        match self.unsupported {
            true => at.unsupported(self.message),
            false => at.error(self.message),
        }
    }
}

impl From<Problem> for FormatError {
    fn from(problem: Problem) -> Self {
        FormatError { message: problem.message, unsupported: problem.unsupported }
    }
}

impl From<String> for FormatError {
    fn from(message: String) -> Self {
        FormatError { message, unsupported: false }
    }
}

impl From<&str> for FormatError {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FormatError {}
