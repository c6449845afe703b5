//! Statistics of the zones of a cluster's hosts, which hosts of one zone have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::observability::stats::ZoneStats;

/// Those of a cluster, by zone. Only who makes hosts looks here.
#[derive(Debug, Default)]
pub(super) struct Zones(Mutex<Option<HashMap<Box<str>, Arc<ZoneStats>>>>);

impl Zones {
    /// Those of a zone, made for its first host if there are to be any.
    pub(super) fn of(
        &self,
        zone: &str,
        make: impl FnOnce(&str) -> Option<ZoneStats>,
    ) -> Option<Arc<ZoneStats>> {
        // Hosts that requests bring about are in none.
        if zone.is_empty() {
            return None;
        }
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = zones.as_ref().and_then(|zones| zones.get(zone)).cloned();
        if known.is_some() {
            return known;
        }
        let made = Arc::new(make(zone)?);
        zones.get_or_insert_default().insert(zone.into(), Arc::clone(&made));
        Some(made)
    }
}
