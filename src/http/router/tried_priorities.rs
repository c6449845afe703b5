//! The priorities of hosts that were tried, which further attempts leave out: `RetryPolicy.retry_priority`.

use crate::config::route::RetryPolicy;
use crate::upstream::lb::priority::PriorityLoad;

/// The priorities of the hosts that were tried since all were the last time, where they count.
#[derive(Debug, Default)]
pub(super) struct TriedPriorities(Vec<u32>);

impl TriedPriorities {
    /// An attempt goes to a host of the priority of this number.
    pub(super) fn note(&mut self, policy: &RetryPolicy, priority: u32) {
        if policy.previous_priorities.is_some() {
            self.0.push(priority);
        }
    }

    /// Those that are left out: of every so many attempts, as the policy says; not empty.
    pub(super) fn left_out(&self, policy: &RetryPolicy) -> Option<&[u32]> {
        let frequency = policy.previous_priorities? as usize;
        let counted = self.0.len() - self.0.len() % frequency;
        self.0.get(..counted).filter(|tried| !tried.is_empty())
    }

    /// All were tried: it begins anew.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The load of priorities without those that are left out; `None` means that of all. When all were tried it begins
    /// anew. `load_without` says what it is without some.
    pub(super) fn load(
        &mut self,
        policy: &RetryPolicy,
        load_without: impl FnOnce(&[u32]) -> Option<PriorityLoad>,
    ) -> Option<PriorityLoad> {
        let load = load_without(self.left_out(policy)?);
        if load.is_none() {
            self.forget();
        }
        load
    }
}
