//! `ROUND_ROBIN`: hosts of equal weight in turn from a random start; else by [`Edf`](super::edf::Edf).

use std::sync::Arc;

use crate::upstream::Host;

/// The host whose turn it is, by a count of picks that began at random and outlives changes of the hosts.
pub(super) fn pick<'a>(hosts: &'a [Arc<Host>], picks: &mut u64) -> Option<&'a Arc<Host>> {
    let turn = *picks;
    *picks = picks.wrapping_add(1);
    hosts.get((turn % hosts.len().max(1) as u64) as usize)
}

/// The weight with which a host goes back into the schedule.
pub(super) fn weight(host: &Host) -> f64 {
    f64::from(host.weight())
}
