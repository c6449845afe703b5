//! Where a value stands in the configuration, and the errors found there.

use super::extension::Extensions;

/// One thing wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The field, for example `filter_chains[0].filters[1]`; empty for the resource itself.
    pub path: String,
    /// What is wrong and what would be accepted.
    pub message: String,
}

/// The place now converted, and the errors collected so far.
#[derive(Debug)]
pub struct Scope<'a> {
    path: String,
    errors: &'a mut Vec<Error>,
    extensions: &'a Extensions,
}

impl<'a> Scope<'a> {
    /// The scope of a whole resource.
    pub fn new(errors: &'a mut Vec<Error>, extensions: &'a Extensions) -> Self {
        Scope { path: String::new(), errors, extensions }
    }

    /// Notes an error at this place.
    pub fn error(&mut self, message: impl Into<String>) {
        self.errors.push(Error { path: self.path.clone(), message: message.into() });
    }

    /// The extensions that may be used.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}
