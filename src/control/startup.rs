//! The order of a start: each step needs what the one before it brought.
//!
//! Clusters that need no control plane come first, since one of them leads to it. Then the bootstrap's EDS clusters,
//! then CDS, then the clusters that it brought, then LDS and the route tables; last the workers begin to accept. What
//! does not come in its time is waited for no longer.

/// How far the start has come: what is waited for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The bootstrap's clusters without EDS have to warm.
    PrimaryClusters,
    /// The bootstrap's clusters with EDS have to warm.
    SecondaryClusters,
    /// The first response of CDS has to come.
    Cds,
    /// The clusters that it brought have to warm.
    FirstClusters,
    /// The first response of LDS has to come.
    Lds,
    /// The first listeners have to warm.
    FirstListeners,
    /// Nothing: connections are accepted.
    Serving,
}

/// What there is at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Whether clusters warm.
    pub clusters_warming: bool,
    /// Whether CDS is configured and nothing was heard of it yet.
    pub cds_awaited: bool,
    /// The same of LDS.
    pub lds_awaited: bool,
    /// Whether listeners warm.
    pub listeners_warming: bool,
}

impl Phase {
    /// The phase after this one, if what this one waits for is there.
    pub fn next(self, facts: Facts) -> Option<Phase> {
        let (waits, next) = match self {
            Phase::PrimaryClusters => (facts.clusters_warming, Phase::SecondaryClusters),
            Phase::SecondaryClusters => (facts.clusters_warming, Phase::Cds),
            Phase::Cds => (facts.cds_awaited, Phase::FirstClusters),
            Phase::FirstClusters => (facts.clusters_warming, Phase::Lds),
            Phase::Lds => (facts.lds_awaited, Phase::FirstListeners),
            Phase::FirstListeners => (facts.listeners_warming, Phase::Serving),
            Phase::Serving => return None,
        };
        (!waits).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_without_a_control_plane_waits_for_nothing_but_warming() {
        let mut phase = Phase::PrimaryClusters;
        let warming = Facts { clusters_warming: true, ..Facts::default() };
        assert_eq!(phase.next(warming), None);
        while let Some(next) = phase.next(Facts::default()) {
            assert!(next > phase);
            phase = next;
        }
        assert_eq!(phase, Phase::Serving);
    }

    #[test]
    fn listeners_wait_for_the_first_clusters() {
        let facts = Facts { clusters_warming: true, ..Facts::default() };
        assert_eq!(Phase::Cds.next(facts), Some(Phase::FirstClusters), "CDS has come");
        assert_eq!(Phase::FirstClusters.next(facts), None);
        let facts = Facts { lds_awaited: true, ..Facts::default() };
        assert_eq!(Phase::Lds.next(facts), None);
    }
}
