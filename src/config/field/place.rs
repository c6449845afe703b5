//! Paths of fields, written only when there is something to say about one.

use std::fmt;

/// A place in a resource: a step from another place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) parent: Option<&'a Place<'a>>,
    pub(super) step: Step<'a>,
}

/// The last part of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Root,
    /// The same place again.
    Here,
    Field(&'a str),
    Index(&'a str, usize),
    Key(&'a str, &'a str),
}

impl Place<'_> {
    /// Whether this is the whole resource.
    fn is_whole(&self) -> bool {
        match self.step {
            Step::Root => true,
            Step::Here => self.parent.is_none_or(Place::is_whole),
            Step::Field(_) | Step::Index(..) | Step::Key(..) => false,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if !matches!(self.step, Step::Here) && !parent.is_whole() {
                f.write_str(".")?;
            }
        }
        match self.step {
            Step::Root | Step::Here => Ok(()),
            Step::Field(name) => f.write_str(plain(name)),
            Step::Index(name, index) => write!(f, "{}[{index}]", plain(name)),
            Step::Key(name, key) => write!(f, "{}[\"{key}\"]", plain(name)),
        }
    }
}

/// A field's name as in its proto: without Rust's mark of an identifier that is a keyword too.
fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_users_write_it() {
        let root = Place { parent: None, step: Step::Root };
        let here = Place { parent: Some(&root), step: Step::Here };
        let list = Place { parent: Some(&here), step: Step::Index("routes", 3) };
        let again = Place { parent: Some(&list), step: Step::Here };
        let field = Place { parent: Some(&again), step: Step::Field("r#match") };
        let entry = Place { parent: Some(&field), step: Step::Key("options", "a.b") };
        for (place, path) in [
            (root, ""),
            (here, ""),
            (list, "routes[3]"),
            (again, "routes[3]"),
            (field, "routes[3].match"),
            (entry, "routes[3].match.options[\"a.b\"]"),
        ] {
            assert_eq!(place.to_string(), path);
        }
    }
}
