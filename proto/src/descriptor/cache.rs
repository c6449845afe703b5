//! What has been parsed.

use std::{
    collections::HashMap,
    sync::{OnceLock, PoisonError, RwLock},
};

/// Symbols parsed so far. What is found once lives as long as the process, as the embedded bytes do.
pub(super) struct Cache<T: 'static>(OnceLock<RwLock<HashMap<&'static str, &'static T>>>);

impl<T> Cache<T> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Names that do not exist are not remembered: they come from outside and may be many.
    pub(super) fn find(
        &self,
        name: &str,
        parse: impl FnOnce() -> Option<(&'static str, T)>,
    ) -> Option<&'static T> {
        let cache = self.0.get_or_init(RwLock::default);
        if let Some(&known) = cache.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(known);
        }
        let (name, parsed) = parse()?;
        let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
        Some(cache.entry(name).or_insert_with(|| Box::leak(Box::new(parsed))))
    }
}
