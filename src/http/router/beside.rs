//! What responses are counted in beside all of their cluster: zones, `cluster.<name>.zone.<from>.<to>.`, and canaries,
//! `cluster.<name>.canary.`

use std::rc::Rc;
use std::time::Duration;

use crate::base::headers::{Headers, Known};
use crate::http::downstream::Downstream;
use crate::http::exchange::Exchange;
use crate::observability::stats::ZoneStats;
use crate::upstream::pool::HostPool;
use crate::upstream::{Cluster, Host};

/// What a response is counted in beside its cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'a> {
    zone: Option<&'a ZoneStats>,
    canary: bool,
}

impl<'a> Beside<'a> {
    /// A response of this host, with these headers if they are the host's; as in Envoy either may say that it is a canary's.
    pub(super) fn of(host: Option<&'a Host>, response: Option<&Headers>) -> Self {
        let says = |response: &Headers| response.get(Known::XEnvoyUpstreamCanary) == Some(b"true");
        Beside {
            zone: host.and_then(|host| host.zone_stats.as_deref()),
            canary: host.is_some_and(Host::is_canary) || response.is_some_and(says),
        }
    }

    /// Whether it is a canary's.
    pub(super) fn is_canary(self) -> bool {
        self.canary
    }

    /// Counts its status.
    pub(super) fn count(self, cluster: &Cluster, status: u16) {
        if let Some(zone) = self.zone {
            zone.upstream_rq().inc(status);
        }
        if self.canary {
            cluster.stats.canary_upstream_rq().inc(status);
        }
    }

    /// Counts how long it took.
    pub(super) fn count_time(self, cluster: &Cluster, elapsed: Duration) {
        let millis = elapsed.as_millis() as u64;
        if let Some(zone) = self.zone {
            zone.upstream_rq_time().record(millis);
        }
        if self.canary {
            cluster.stats.canary_upstream_rq_time().record(millis);
        }
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// Notes the host that the request goes to, if responses of it are counted beside others.
    #[inline]
    pub(super) fn note_beside(&mut self, pool: Option<&Rc<HostPool>>) {
        let counted = |pool: &&Rc<HostPool>| pool.host.zone_stats.is_some() || pool.host.is_canary();
        self.beside = pool.filter(counted).cloned();
    }
}
