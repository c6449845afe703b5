//! Route tables that came over RDS, by their source and name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::source::SourceKind;
use crate::route::Table;

/// Route tables of one source, by name.
type Tables = HashMap<Arc<str>, Arc<Table>>;

/// All route tables in force that came over RDS. Tables of one name that come from different sources are different tables.
///
/// There are few sources, mostly one, so that comparing them one by one is the fastest way to find one.
#[derive(Clone, Debug, Default)]
pub struct RouteTables {
    by_source: Vec<(SourceKind, Arc<Tables>)>,
}

impl RouteTables {
    /// The table of this name from this source.
    pub fn find(&self, source: &SourceKind, name: &str) -> Option<&Arc<Table>> {
        let (_, tables) = self.by_source.iter().find(|(known, _)| known == source)?;
        tables.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }

    /// Puts a table in force, in place of one of its name that came from the same source.
    pub fn insert(&mut self, source: &SourceKind, name: &str, table: Arc<Table>) {
        let known = self.by_source.iter().position(|(known, _)| known == source);
        let index = known.unwrap_or_else(|| {
            self.by_source.push((source.clone(), Arc::default()));
            self.by_source.len() - 1
        });
        Arc::make_mut(&mut self.by_source[index].1).insert(Arc::from(name), table);
    }

    /// Takes a table out.
    pub fn remove(&mut self, source: &SourceKind, name: &str) {
        for (_, tables) in self.by_source.iter_mut().filter(|(known, _)| known == source) {
            Arc::make_mut(tables).remove(name);
        }
        self.by_source.retain(|(_, tables)| !tables.is_empty());
    }
}
