//! Where route tables stand in every snapshot, so that requests need not look for theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::config::source::SourceKind;

/// Below so many places it is not looked for those that nobody holds any more.
const FEW: usize = 64;

/// The places of route tables, by their source and name. Copies give the same places. For the control thread: it locks.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Known>>);

/// The place of a route table, which is no other's while anybody holds it.
#[derive(Debug)]
pub struct Place {
    index: usize,
    source: SourceKind,
    name: Box<str>,
}

#[derive(Debug, Default)]
struct Known {
    places: Vec<Weak<Place>>,
    /// Their indices; those of places that are gone until they are looked for.
    by_name: HashMap<Box<str>, Vec<usize>>,
    /// Indices of places that are gone.
    free: Vec<usize>,
    /// At how many places those that are gone are looked for.
    look_at: usize,
}

impl Place {
    /// Its number, from zero.
    pub fn index(&self) -> usize {
        self.index
    }

    fn is_of(&self, source: &SourceKind, name: &str) -> bool {
        &*self.name == name && self.source == *source
    }
}

impl Places {
    /// The place of the table of this name from this source.
    pub fn of(&self, source: &SourceKind, name: &str) -> Arc<Place> {
        let mut known = self.lock();
        known.find(source, name).unwrap_or_else(|| known.make(source, name))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // What is in it is right between any two of its changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&self, source: &SourceKind, name: &str) -> Option<Arc<Place>> {
        let mut places = self.by_name.get(name)?.iter().filter_map(|index| self.places[*index].upgrade());
        places.find(|place| place.is_of(source, name))
    }

    fn make(&mut self, source: &SourceKind, name: &str) -> Arc<Place> {
        if self.free.is_empty() && self.places.len() >= self.look_at.max(FEW) {
            self.look_for_gone();
        }
        let index = self.free.pop().unwrap_or(self.places.len());
        let place = Arc::new(Place { index, source: source.clone(), name: name.into() });
        match self.places.get_mut(index) {
            Some(gone) => *gone = Arc::downgrade(&place),
            None => self.places.push(Arc::downgrade(&place)),
        }
        self.by_name.entry(name.into()).or_default().push(index);
        place
    }

    /// Takes note of the places that nobody holds; the more there are, the more have to come before it does so again.
    fn look_for_gone(&mut self) {
        let places = &self.places;
        let is_gone = |index: &usize| places[*index].strong_count() == 0;
        self.free = (0..places.len()).filter(is_gone).collect();
        self.by_name.retain(|_, indices| {
            indices.retain(|index| !is_gone(index));
            !indices.is_empty()
        });
        self.look_at = 2 * (places.len() - self.free.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_one_place_for_as_long_as_anybody_holds_it() {
        let places = Places::default();
        let first = places.of(&SourceKind::Ads, "a");
        assert!(Arc::ptr_eq(&first, &places.clone().of(&SourceKind::Ads, "a")));
        assert_ne!(first.index(), places.of(&SourceKind::Ads, "b").index());
    }

    #[test]
    fn places_that_nobody_holds_are_given_to_others() {
        let places = Places::default();
        let held = places.of(&SourceKind::Ads, "held");
        let indices = (0..10 * FEW).map(|number| places.of(&SourceKind::Ads, &number.to_string()).index());
        assert!(indices.clone().all(|index| index < 2 * FEW && index != held.index()));
        assert!(Arc::ptr_eq(&held, &places.of(&SourceKind::Ads, "held")));
    }
}
