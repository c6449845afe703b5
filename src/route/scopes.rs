//! Scopes: which of several route tables is a request's.

use std::collections::HashMap;
use std::sync::Arc;

use super::Table;
use crate::base::headers::{Headers, Name};
use crate::config::http_connection_manager::{Extract, HeaderValueExtractor};
use crate::config::route::{ScopeKey, ScopedRoute, ScopedTable};
use crate::observability::stats::Registry;

/// Scopes by their keys.
#[derive(Debug, Default)]
pub struct Scopes {
    by_key: HashMap<ScopeKey, ScopeTable>,
}

/// The route table of a scope.
#[derive(Clone, Debug)]
pub enum ScopeTable {
    /// It comes over RDS under this name.
    Named(Arc<str>),
    /// It comes over RDS once a request asks for it.
    Asleep,
    /// It came with the scope.
    Inline(Arc<Table>),
}

impl Scopes {
    /// Compiles scopes, each with whether its table comes without being asked for; of several with one key the last
    /// counts.
    pub fn new<'a>(scopes: impl IntoIterator<Item = (&'a ScopedRoute, bool)>, registry: &Registry) -> Self {
        let entry = |(scope, awake): (&ScopedRoute, bool)| {
            (scope.key.clone(), ScopeTable::new(&scope.table, awake, registry))
        };
        Scopes { by_key: scopes.into_iter().map(entry).collect() }
    }

    /// The table of a request; `None` when it is in no scope.
    pub fn find(&self, fragments: &[HeaderValueExtractor], request: &Headers) -> Option<&ScopeTable> {
        self.of(&key(fragments, request)?)
    }

    /// The table of the scope with this key.
    pub fn of(&self, key: &ScopeKey) -> Option<&ScopeTable> {
        self.by_key.get(key)
    }
}

impl ScopeTable {
    fn new(table: &ScopedTable, awake: bool, registry: &Registry) -> Self {
        match table {
            ScopedTable::Named(_) if !awake => ScopeTable::Asleep,
            ScopedTable::Named(name) => ScopeTable::Named(Arc::from(name.as_str())),
            ScopedTable::Inline(routes) => {
                let table = Table::new(Arc::clone(routes));
                table.count_in(registry);
                ScopeTable::Inline(Arc::new(table))
            }
        }
    }
}

/// The key of a request; `None` when one of its fragments is missing.
pub fn key(fragments: &[HeaderValueExtractor], request: &Headers) -> Option<ScopeKey> {
    let mut key = ScopeKey::default();
    for fragment in fragments {
        key.push(extract(fragment, request)?);
    }
    Some(key)
}

/// One fragment, of the first header of its name.
fn extract<'r>(fragment: &'r HeaderValueExtractor, request: &'r Headers) -> Option<&'r [u8]> {
    let value = request.get_all(Name::new(fragment.header.as_bytes())).next()?;
    let mut elements = split(value, fragment.element_separator.as_bytes());
    match &fragment.extract {
        Extract::Index(index) => elements.nth(usize::try_from(*index).ok()?),
        Extract::Element { separator, key } => elements.find_map(|element| {
            let mut halves = split(element, separator.as_bytes());
            let first = halves.next()?;
            let rest = element.get(first.len() + separator.len()..).unwrap_or_default();
            (first == key.as_bytes()).then_some(rest)
        }),
    }
}

/// The pieces between separators; all of it when there is no separator to look for.
fn split<'v>(value: &'v [u8], separator: &[u8]) -> impl Iterator<Item = &'v [u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let found = if separator.is_empty() { None } else { memchr::memmem::find(value, separator) };
        let (piece, left) = match found {
            Some(at) => (&value[..at], Some(&value[at + separator.len()..])),
            None => (value, None),
        };
        rest = left;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_element(header: &str) -> HeaderValueExtractor {
        let extract = Extract::Element { separator: "=".into(), key: "k".into() };
        HeaderValueExtractor { header: header.into(), element_separator: ";".into(), extract }
    }

    fn fragment(extractor: &HeaderValueExtractor, value: &str) -> Option<String> {
        let mut request = Headers::new();
        request.append(Name::new(b"x-scope"), value.as_bytes());
        extract(extractor, &request).map(|fragment| String::from_utf8_lossy(fragment).into_owned())
    }

    #[test]
    fn the_value_of_the_first_element_with_the_key_is_the_fragment() {
        for (value, expected) in [
            ("k=a", Some("a")),
            ("j=b;k=a;k=c", Some("a")),
            ("k=a=b", Some("a=b")),
            ("k=", Some("")),
            ("k", Some("")),
            (" k=a", None),
            ("", None),
        ] {
            assert_eq!(fragment(&by_element("x-scope"), value).as_deref(), expected, "{value}");
        }
        assert_eq!(fragment(&by_element("x-other"), "k=a"), None);
    }

    #[test]
    fn an_index_chooses_an_element() {
        let extractor = |index, separator: &str| HeaderValueExtractor {
            header: "x-scope".into(),
            element_separator: separator.into(),
            extract: Extract::Index(index),
        };
        assert_eq!(fragment(&extractor(1, ","), "a,b,c").as_deref(), Some("b"));
        assert_eq!(fragment(&extractor(3, ","), "a,b,c"), None);
        assert_eq!(fragment(&extractor(0, ""), "a,b").as_deref(), Some("a,b"));
    }

    #[test]
    fn a_request_without_one_of_the_fragments_is_in_no_scope() {
        let mut request = Headers::new();
        request.append(Name::new(b"x-a"), b"k=1");
        let fragments = [by_element("x-a"), by_element("x-b")];
        assert_eq!(key(&fragments, &request), None);
        request.append(Name::new(b"x-b"), b"k=2");
        assert_eq!(key(&fragments, &request), Some([&b"1"[..], b"2"].into_iter().collect()));
    }
}
