//! Whose turn comes next, for connections that are made before they are needed.
//!
//! As in Envoy that is known where turns or chance decide, and not where the requests in flight or hashes do. What was
//! foreseen is what the next requests get.

use std::sync::Arc;

use super::{Balancer, Choice};
use crate::base::random::Rng;
use crate::config::cluster::LbPolicy;
use crate::upstream::{Cluster, Host};

impl Balancer {
    /// The host of the request after those that were foreseen already; as many are as there are healthy hosts.
    pub fn peek(&mut self, cluster: &Cluster, rng: &mut Rng, request: &Choice<'_>) -> Option<Arc<Host>> {
        self.refresh(cluster, rng, request.runtime);
        let healthy = self.hosts.priorities.iter().map(|level| level.healthy.len()).sum();
        if !self.is_foreseeable(cluster) || self.foreseen.len() >= healthy {
            return None;
        }
        let host = self.turns.choose(&self.hosts, cluster, rng, request)?;
        self.foreseen.push_back(Arc::clone(&host));
        Some(host)
    }

    /// The host that was foreseen for this request, if one was.
    #[inline]
    pub(super) fn take_foreseen(&mut self, request: &Choice<'_>) -> Option<Arc<Host>> {
        // Further attempts may be kept from it.
        if self.foreseen.is_empty() || request.avoid.is_some() || request.load.is_some() {
            return None;
        }
        self.foreseen.pop_front()
    }

    fn is_foreseeable(&self, cluster: &Cluster) -> bool {
        let weights_differ = || {
            let lists = self.hosts.priorities.iter().map(|level| &level.healthy);
            lists.flat_map(|hosts| hosts.windows(2)).any(|pair| pair[0].weight() != pair[1].weight())
        };
        self.hosts.subsets.is_none()
            && self.hosts.tables.is_none()
            && match &cluster.config.lb_policy {
                LbPolicy::RoundRobin | LbPolicy::Random => true,
                LbPolicy::LeastRequest(_) => weights_differ(),
                LbPolicy::RingHash(_) | LbPolicy::Maglev(_) | LbPolicy::ClusterProvided => false,
            }
    }
}
