//! What several checks of one host come to: it is well where all of them pass, and degraded where any says so.
//!
//! Each check has flags of its own in place of the host's, by the same rules. The host has those of all checks, once each of
//! them has ended for the first time. A single check has none of its own: the host's are its.

use super::session::{Effect, Session};
use crate::observability::stats::Gauge;
use crate::upstream::Host;
use crate::upstream::host::health_flag as flag;

/// The flags that checks set.
const ACTIVE: u32 = flag::FAILED_ACTIVE_HC
    | flag::DEGRADED_ACTIVE_HC
    | flag::PENDING_ACTIVE_HC
    | flag::ACTIVE_HC_TIMEOUT
    | flag::EXCLUDED_VIA_IMMEDIATE_HC_FAIL;

/// The checks of one host.
#[derive(Debug)]
pub(super) struct Together(Vec<Checked>);

/// One check of a host: what is remembered of it, and the flags that the host would have if it were the only one.
#[derive(Debug)]
struct Checked {
    session: Session,
    flags: u32,
}

/// What the effect of one check is on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The host's flags before.
    pub(super) before: u32,
    /// The host's flags from now on.
    pub(super) after: u32,
    /// Whether with this check each has ended for the first time.
    pub(super) is_first: bool,
}

impl Together {
    /// So many checks of a host with these flags.
    pub(super) fn new(checks: usize, flags: u32) -> Self {
        let checked = |_| Checked { session: Session::default(), flags: flags & ACTIVE };
        Together((0..checks).map(checked).collect())
    }

    fn has_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Whether a check has never ended.
    pub(super) fn is_new(&self) -> bool {
        self.0.iter().any(|checked| checked.session.is_new())
    }

    /// The flags of a host by one of its checks.
    pub(super) fn flags(&self, check: usize, host: &Host) -> u32 {
        match self.0.get(check).filter(|_| self.has_several()) {
            Some(checked) => checked.flags,
            None => host.health_flags(),
        }
    }

    /// What is remembered of a check.
    pub(super) fn session(&mut self, check: usize) -> Option<&mut Session> {
        self.0.get_mut(check).map(|checked| &mut checked.session)
    }

    /// The host is left out of what is counted: by its word, which is taken for that of the last check.
    pub(super) fn exclude(&mut self) {
        if let Some(last) = self.0.last_mut() {
            last.flags |= flag::EXCLUDED_VIA_IMMEDIATE_HC_FAIL;
        }
    }

    /// Puts in force what one check came to; nothing as long as others have never ended.
    pub(super) fn settle(
        &mut self,
        check: usize,
        effect: &Effect,
        was_new: bool,
        host: &Host,
    ) -> Option<Outcome> {
        let (mut set, mut clear) = (effect.set, effect.clear);
        if self.has_several() {
            if let Some(checked) = self.0.get_mut(check) {
                checked.flags = (checked.flags & !effect.clear) | effect.set;
            }
            if self.is_new() {
                return None;
            }
            set = self.0.iter().fold(0, |all, checked| all | checked.flags);
            clear = ACTIVE & !set;
        }
        let before = host.health_flags();
        host.change_health_flags(set, clear);
        Some(Outcome { before, after: (before & !clear) | set, is_first: was_new && !self.is_new() })
    }
}

/// Counts a host with these flags in or out.
pub(super) fn count(flags: u32, count_in: bool, healthy: Gauge<'_>, degraded: Gauge<'_>) {
    for (gauge, is_so) in
        [(healthy, flags & flag::FAILED_ACTIVE_HC == 0), (degraded, flags & flag::DEGRADED_ACTIVE_HC != 0)]
    {
        match (is_so, count_in) {
            (true, true) => gauge.inc(),
            (true, false) => gauge.dec(),
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::health::{Failure, Rules, Verdict};
    use crate::upstream::testing::{ClusterBuilder, endpoint};

    const RULES: Rules = Rules { healthy: 1, unhealthy: 1, log_success: false, log_failures: false };
    const WELL: Verdict = Verdict::Passed { degraded: false };
    const DEGRADED: Verdict = Verdict::Passed { degraded: true };
    const BROKEN: Verdict = Verdict::Failed(Failure::Network);

    /// The host's flags after each of these, `None` where nothing is in force yet.
    fn after<const N: usize>(checks: usize, verdicts: [(usize, Verdict); N]) -> [Option<u32>; N] {
        let cluster = ClusterBuilder::new("app").hosts([endpoint(1)]).build();
        let hosts = cluster.hosts();
        let host = hosts.iter().next().expect("a host");
        host.change_health_flags(flag::FAILED_ACTIVE_HC, 0);
        let mut together = Together::new(checks, host.health_flags());
        verdicts.map(|(check, verdict)| {
            let (was_new, flags) = (together.is_new(), together.flags(check, host));
            let effect = together.session(check).expect("a check").checked(verdict, flags, RULES);
            let outcome = together.settle(check, &effect, was_new, host)?;
            assert_eq!((outcome.is_first, outcome.after), (was_new, host.health_flags()));
            Some(outcome.after)
        })
    }

    #[test]
    fn a_host_is_well_where_all_of_its_checks_pass() {
        let failed = Some(flag::FAILED_ACTIVE_HC);
        let verdicts = [(0, WELL), (1, WELL), (0, BROKEN), (1, BROKEN), (0, WELL), (1, WELL)];
        assert_eq!(after(2, verdicts), [None, Some(0), failed, failed, failed, Some(0)]);
    }

    #[test]
    fn a_host_is_degraded_by_the_word_of_any_check() {
        let degraded = Some(flag::DEGRADED_ACTIVE_HC);
        let verdicts = [(0, WELL), (1, DEGRADED), (0, DEGRADED), (1, WELL), (0, WELL)];
        assert_eq!(after(2, verdicts), [None, degraded, degraded, degraded, Some(0)]);
    }

    #[test]
    fn a_single_check_is_in_force_at_once() {
        assert_eq!(after(1, [(0, WELL), (0, BROKEN)]), [Some(0), Some(flag::FAILED_ACTIVE_HC)]);
    }
}
