//! Statistics under names that internal requests bring: `x-envoy-upstream-alt-stat-name`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::{Cluster, stat_prefix};
use crate::observability::stats::AlternateStats;

/// Names that have statistics of their own in a cluster, zones below them among these. Requests choose them, and each
/// takes memory for ever: what comes after these is counted for the cluster only.
const MAX_NAMES: usize = 1000;

/// Statistics by name.
type Names = HashMap<Box<str>, Arc<AlternateStats>>;

/// Those of a cluster. Requests whose names are known take no lock.
#[derive(Debug, Default)]
pub(super) struct Alternates {
    known: ArcSwapOption<Names>,
    /// Held by who makes one.
    making: Mutex<()>,
}

impl Alternates {
    /// Those of a name, made for the first request that brings it; `None` for one too many.
    fn of(&self, name: &str, make: impl FnOnce() -> AlternateStats) -> Option<Arc<AlternateStats>> {
        let find = |known: Option<&Arc<Names>>| known.and_then(|known| known.get(name)).cloned();
        if let Some(known) = find(self.known.load().as_ref()) {
            return Some(known);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.known.load_full();
        if let Some(known) = find(before.as_ref()) {
            return Some(known);
        }
        let mut names = before.as_deref().cloned().unwrap_or_default();
        if names.len() >= MAX_NAMES {
            return None;
        }
        let made = Arc::new(make());
        names.insert(name.into(), Arc::clone(&made));
        self.known.store(Some(Arc::new(names)));
        Some(made)
    }
}

impl Cluster {
    /// Statistics under this name, `cluster.<name>.<alternate>.`, or of a zone below it; `None` where there are too many.
    ///
    /// As in Envoy dots at the name's end are none of it.
    pub fn alternate_stats(&self, alternate: &[u8], zone: Option<&str>) -> Option<Arc<AlternateStats>> {
        let mut name = String::from_utf8_lossy(alternate).trim_end_matches('.').to_owned();
        if let Some(zone) = zone {
            let own = self.locality.as_ref().map(|locality| &*locality.zone)?;
            name.push_str(&format!(".zone.{own}.{zone}"));
        }
        self.alternates
            .of(&name, || AlternateStats::new(&self.choice, &format!("{}{name}.", stat_prefix(&self.config))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::ClusterBuilder;

    #[test]
    fn requests_cannot_make_statistics_without_end() {
        let cluster = ClusterBuilder::new("app").build();
        let made = |number: usize| cluster.alternate_stats(number.to_string().as_bytes(), None);
        assert!((0..MAX_NAMES).all(|number| made(number).is_some()));
        assert!(made(MAX_NAMES).is_none());
        let (first, again) = (made(0).expect("it is known"), made(0).expect("it is known"));
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn dots_at_the_end_are_none_of_a_name() {
        let cluster = ClusterBuilder::new("app").build();
        let of = |name: &[u8]| cluster.alternate_stats(name, None).expect("there is room");
        assert!(Arc::ptr_eq(&of(b"a.b.."), &of(b"a.b")) && !Arc::ptr_eq(&of(b"a.b"), &of(b"a")));
    }
}
