//! Sources, by the numbers that their subscriptions go by.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// Values by their numbers. A number is never given twice: what still comes for a value that is gone reaches no other.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    values: BTreeMap<usize, T>,
    next: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { values: BTreeMap::new(), next: 0 }
    }
}

impl<T> Numbered<T> {
    /// The number of the value that `is_wanted`; of a new one where there is none.
    pub(super) fn find_or_insert(
        &mut self,
        is_wanted: impl Fn(&T) -> bool,
        new: impl FnOnce() -> T,
    ) -> usize {
        let found = self.values.iter().find(|(_, value)| is_wanted(value));
        if let Some((&number, _)) = found {
            return number;
        }
        let number = self.next;
        self.next += 1;
        self.values.insert(number, new());
        number
    }

    /// Lets a value go.
    pub(super) fn remove(&mut self, number: usize) {
        self.values.remove(&number);
    }

    /// The value of this number, unless it is gone.
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.values.get(&number)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.values.get_mut(&number)
    }

    /// The values with their numbers, in the order in which they came.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &T)> {
        self.values.iter().map(|(&number, value)| (number, value))
    }

    /// The values, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.values()
    }

    /// The values, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.values.iter_mut().map(|(&number, value)| (number, value))
    }
}

/// Of a value that is there: whoever has its number refers to it.
impl<T> Index<usize> for Numbered<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.values[&number]
    }
}

impl<T> IndexMut<usize> for Numbered<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        self.values.get_mut(&number).expect("whoever has its number refers to it")
    }
}
