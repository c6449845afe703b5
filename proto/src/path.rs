//! The path of the field that is being looked at, kept while walking through a message.

use std::fmt::Display;

/// A path such as `static_resources.clusters[0].name`.
#[derive(Debug, Default)]
pub(crate) struct Path(String);

/// The length a path had before it was extended.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

impl Path {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends a field. Take it back with [`Path::back_to`].
    pub(crate) fn field(&mut self, name: &str) -> Mark {
        let mark = Mark(self.0.len());
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        mark
    }

    /// Appends an index, or a map's key, in brackets.
    pub(crate) fn element(&mut self, index: impl Display) -> Mark {
        let mark = Mark(self.0.len());
        self.0.push('[');
        self.0.push_str(&index.to_string());
        self.0.push(']');
        mark
    }

    /// Where the path ends now.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.0.len())
    }

    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.0.truncate(mark.0);
    }
}
