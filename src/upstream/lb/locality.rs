//! Locality weighted load balancing: which locality of a priority takes a request.
//!
//! A locality's weight counts in proportion to the share of its hosts that is available, overprovisioning
//! included.

use super::edf::Edf;
use super::priority::Availability;
use crate::upstream::LocalityHosts;

/// Chooses among the localities of one priority, for hosts of one availability.
#[derive(Debug)]
pub(super) struct LocalityPicker {
    /// Index in the priority's localities, and effective weight above zero.
    entries: Vec<(usize, f64)>,
    edf: Edf,
}

impl LocalityPicker {
    /// `None` when no locality has both a weight and such a host: then locality does not count.
    pub(super) fn new(
        localities: &[LocalityHosts],
        availability: Availability,
        overprovisioning: u32,
        seed: u64,
    ) -> Option<Self> {
        let weights =
            localities.iter().map(|locality| effective_weight(locality, availability, overprovisioning));
        let entries: Vec<(usize, f64)> = weights.enumerate().filter(|&(_, weight)| weight > 0.0).collect();
        if entries.is_empty() {
            return None;
        }
        let edf = Edf::new(entries.len(), |entry| entries[entry].1, seed);
        Some(LocalityPicker { entries, edf })
    }

    /// Index of the next locality.
    pub(super) fn pick(&mut self) -> Option<usize> {
        let entry = self.edf.pick(|entry| self.entries[entry].1)?;
        Some(self.entries[entry].0)
    }
}

/// The configured weight times the available share of the hosts.
fn effective_weight(locality: &LocalityHosts, availability: Availability, overprovisioning: u32) -> f64 {
    let available = match availability {
        Availability::Healthy => locality.healthy.len(),
        Availability::Degraded => locality.degraded.len(),
    };
    let counted = locality.all.len() - locality.excluded;
    if counted == 0 {
        return 0.0;
    }
    let share = available as f64 / counted as f64;
    f64::from(locality.weight) * (f64::from(overprovisioning) / 100.0 * share).min(1.0)
}
