//! The HTTP filters of a cluster: what serves requests compiles them, and this module keeps them without knowing what they
//! are.

use std::any::Any;
use std::cell::OnceCell;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config;
use crate::config::extension_configs::ExtensionConfigs;
use crate::observability::stats::Registry;

use super::Cluster;

/// Compiles the filters of a cluster that has some, with the configurations that were discovered. Those whose configuration
/// is that of the ones before stay the same.
pub type Compile = fn(&config::Cluster, &Registry, &ExtensionConfigs, Option<&Compiled>) -> Compiled;

/// What an attempt needs to its end: the cluster that it is for, and its filters where they may change meanwhile. Attempts
/// of one request go on beside each other, so that of each stays until the last is over.
#[derive(Debug, Default)]
pub struct Kept {
    cluster: OnceCell<Arc<Cluster>>,
    filters: OnceCell<Arc<Compiled>>,
    next: OnceCell<Box<Kept>>,
}

impl Kept {
    /// Nothing yet.
    pub fn new() -> Self {
        Kept::default()
    }

    /// For the attempt that follows this one, and for the cluster that it is for.
    pub fn follow(&self, cluster: Arc<Cluster>) -> (&Kept, &Arc<Cluster>) {
        let next = self.next.get_or_init(Box::default);
        (next, next.cluster.get_or_init(|| cluster))
    }
}

/// One after the other: a request may have more attempts than the stack has room for.
impl Drop for Kept {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut kept) = next {
            next = kept.next.take();
        }
    }
}

/// Where a cluster has its filters.
#[derive(Debug)]
pub(super) enum Filters {
    /// They never change.
    Fixed(Compiled),
    /// Configurations of some are discovered.
    Discovered(ArcSwap<Compiled>),
}

impl Filters {
    /// Those of a cluster.
    pub(super) fn new(compiled: Compiled, are_discovered: bool) -> Self {
        match are_discovered {
            true => Filters::Discovered(ArcSwap::from_pointee(compiled)),
            false => Filters::Fixed(compiled),
        }
    }

    /// Those in force now.
    pub(super) fn current<'f>(&'f self, kept: &'f Kept) -> &'f Compiled {
        match self {
            Filters::Fixed(compiled) => compiled,
            Filters::Discovered(current) => kept.filters.get_or_init(|| current.load_full()),
        }
    }

    /// Puts others in force, made from those there are, if they may change.
    pub(super) fn change(&self, make: impl FnOnce(&Compiled) -> Compiled) {
        if let Filters::Discovered(current) = self {
            current.store(Arc::new(make(&current.load())));
        }
    }
}

/// The filters of a cluster, compiled.
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

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Compiled").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_began_with_some_filters_keeps_them() {
        let filters = Filters::new(Compiled::new(7_u8), true);
        let (before, after) = (Kept::new(), Kept::new());
        assert_eq!(filters.current(&before).downcast::<u8>(), Some(&7));
        filters.change(|_| Compiled::new(8_u8));
        assert_eq!(filters.current(&before).downcast::<u8>(), Some(&7));
        assert_eq!(filters.current(&after).downcast::<u8>(), Some(&8));
    }

    #[test]
    fn a_request_may_have_very_many_attempts() {
        let first = Kept::new();
        let mut last = &first;
        for _ in 0..200_000 {
            last = last.next.get_or_init(Box::default);
        }
    }

    #[test]
    fn what_was_compiled_is_found_by_its_type() {
        let compiled = Compiled::new(7_u8);
        assert_eq!(compiled.downcast::<u8>(), Some(&7));
        assert_eq!(compiled.downcast::<u16>(), None);
    }
}
