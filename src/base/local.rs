//! What threads share, counted where one of them uses it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// How many values are kept: more than a worker's requests usually take in turns.
const PLACES: usize = 16;

/// Counts of a thread's own for values that all threads share.
///
/// Cloning an `Arc` for each request writes to a cache line that every worker writes to; the `Rc` given in its place is
/// this thread's. What was asked for last is kept, one value in each place, and with it the value itself.
#[derive(Debug)]
pub struct Local<T: ?Sized>(RefCell<[Option<Rc<Arc<T>>>; PLACES]>);

impl<T: ?Sized> Default for Local<T> {
    fn default() -> Self {
        Local(RefCell::new([const { None }; PLACES]))
    }
}

impl<T: ?Sized> Local<T> {
    /// This thread's handle on a value.
    pub fn of(&self, shared: &Arc<T>) -> Rc<Arc<T>> {
        // Allocations begin at multiples of 16.
        let place = (Arc::as_ptr(shared).cast::<u8>() as usize >> 4) % PLACES;
        let kept = &mut self.0.borrow_mut()[place];
        match kept {
            Some(kept) if Arc::ptr_eq(kept, shared) => Rc::clone(kept),
            _ => Rc::clone(kept.insert(Rc::new(Arc::clone(shared)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_asked_for_again_is_counted_once() {
        let (local, name) = (Local::default(), Arc::<str>::from("web"));
        let first = local.of(&name);
        let again = local.of(&name);
        assert!(Rc::ptr_eq(&first, &again));
        assert_eq!(Arc::strong_count(&name), 2);
    }

    #[test]
    fn many_values_are_told_apart() {
        let local = Local::default();
        let names: Vec<Arc<str>> = (0..100).map(|number| number.to_string().into()).collect();
        for name in names.iter().chain(&names) {
            assert!(Arc::ptr_eq(&local.of(name), name));
        }
        assert!(names.iter().filter(|name| Arc::strong_count(name) > 1).count() <= PLACES);
    }
}
