//! `RANDOM`: any host, each as likely as the others; weights do not count.

use std::sync::Arc;

use crate::base::random::Rng;
use crate::upstream::Host;

/// Any host.
pub(super) fn pick<'a>(hosts: &'a [Arc<Host>], rng: &mut Rng) -> Option<&'a Arc<Host>> {
    hosts.get(rng.below(hosts.len() as u64) as usize)
}
