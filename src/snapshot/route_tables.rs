//! Route tables that came over RDS, by their source and name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::source::SourceKind;
use crate::route::Table;

use super::places::{Place, Places};

/// Route tables of one source, by name.
type Tables = HashMap<Arc<str>, Arc<Table>>;

/// All route tables in force that came over RDS. Tables of one name that come from different sources are different tables.
///
/// Who takes the same table again and again holds its place. For others there are few sources, mostly one, so that
/// comparing them one by one is the fastest way to find one.
#[derive(Clone, Debug, Default)]
pub struct RouteTables {
    by_source: Vec<(SourceKind, Arc<Tables>)>,
    /// The same tables, by the indices of their places.
    placed: Vec<Option<(Arc<Place>, Arc<Table>)>>,
    places: Places,
}

impl RouteTables {
    /// None, with these places for those that come.
    pub fn at_places(places: Places) -> Self {
        RouteTables { places, ..RouteTables::default() }
    }

    /// The table at this place.
    pub fn at(&self, place: &Place) -> Option<&Table> {
        let (_, table) = self.placed.get(place.index())?.as_ref()?;
        Some(table)
    }

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
        Arc::make_mut(&mut self.by_source[index].1).insert(Arc::from(name), Arc::clone(&table));
        let place = self.places.of(source, name);
        if self.placed.len() <= place.index() {
            self.placed.resize(place.index() + 1, None);
        }
        let index = place.index();
        self.placed[index] = Some((place, table));
    }

    /// Takes a table out.
    pub fn remove(&mut self, source: &SourceKind, name: &str) {
        for (_, tables) in self.by_source.iter_mut().filter(|(known, _)| known == source) {
            Arc::make_mut(tables).remove(name);
        }
        self.by_source.retain(|(_, tables)| !tables.is_empty());
        let index = self.places.of(source, name).index();
        if let Some(placed) = self.placed.get_mut(index) {
            *placed = None;
        }
    }
}
