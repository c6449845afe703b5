//! The HTTP filters of a cluster: what serves requests compiles them, and this module keeps them without knowing what they
//! are.

use std::any::Any;

use crate::config;
use crate::observability::stats::Registry;

/// Compiles the filters of a cluster that has some.
pub type Compile = fn(&config::Cluster, &Registry) -> Compiled;

/// The filters of a cluster.
pub struct Compiled(Box<dyn Any + Send + Sync>);

impl Compiled {
    /// Keeps these.
    pub fn new<T: Any + Send + Sync>(filters: T) -> Self {
        Compiled(Box::new(filters))
    }

    /// The filters, if they are of this type.
    pub fn downcast<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_is_found_by_its_type() {
        let compiled = Compiled::new(7_u8);
        assert_eq!(compiled.downcast::<u8>(), Some(&7));
        assert_eq!(compiled.downcast::<u16>(), None);
    }
}
