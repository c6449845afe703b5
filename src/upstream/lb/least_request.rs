//! `LEAST_REQUEST`: of some hosts taken at random the one with the fewest active requests; where weights differ, by
//! [`Edf`](super::edf::Edf) with weights that shrink with active requests.

use std::sync::Arc;

use crate::base::random::Rng;
use crate::upstream::Host;

/// So many draws for each host, and hardly any is left out: more would find no better one.
const DRAWS_PER_HOST: u64 = 16;

/// The least busy of `choices` hosts taken at random, the first taken of those that are equally busy.
pub(super) fn pick<'a>(hosts: &'a [Arc<Host>], choices: u32, rng: &mut Rng) -> Option<&'a Arc<Host>> {
    let mut best = hosts.get(rng.below(hosts.len() as u64) as usize)?;
    for _ in 1..u64::from(choices).min(DRAWS_PER_HOST * hosts.len() as u64) {
        let other = &hosts[rng.below(hosts.len() as u64) as usize];
        if other.active_requests() < best.active_requests() {
            best = other;
        }
    }
    Some(best)
}

/// The least busy of all hosts; each as likely as the others of those that are equally busy.
pub(super) fn scan<'a>(hosts: &'a [Arc<Host>], rng: &mut Rng) -> Option<&'a Arc<Host>> {
    let (mut best, mut ties) = (hosts.first()?, 1);
    for host in &hosts[1..] {
        let (active, least) = (host.active_requests(), best.active_requests());
        if active < least {
            (best, ties) = (host, 1);
        } else if active == least {
            ties += 1;
            if rng.below(ties) == 0 {
                best = host;
            }
        }
    }
    Some(best)
}

/// The weight with which a host goes back into the schedule: `weight / (active + 1) ^ bias`.
pub(super) fn weight(host: &Host, bias: f64) -> f64 {
    let weight = f64::from(host.weight());
    let active = f64::from(host.active_requests()) + 1.0;
    match bias {
        0.0 => weight,
        1.0 => weight / active,
        // The runtime may give what is no number.
        bias if bias.is_nan() => weight,
        bias => weight / active.powf(bias),
    }
}
