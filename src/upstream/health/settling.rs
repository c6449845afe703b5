//! What becomes of a check's end: counted, logged, and put in force with those of the host's other checks.

use std::sync::Arc;

use super::log;
use super::run::Checking;
use super::session::{Rules, Transition, Verdict};
use super::together::{self, Outcome, Together};
use crate::config::cluster::HealthCheck;
use crate::upstream::host::health_flag;
use crate::upstream::{Host, outlier};

impl Checking {
    /// Puts in force what a check of a host came to.
    pub(super) fn settle(
        &self,
        config: &HealthCheck,
        check: usize,
        host: &Arc<Host>,
        verdict: Verdict,
    ) -> Transition {
        let rules = Rules {
            healthy: config.healthy_threshold,
            unhealthy: config.unhealthy_threshold,
            log_success: config.always_log_success,
            log_failures: config.always_log_failures,
        };
        let mut sessions = self.sessions.borrow_mut();
        let Some((_, together)) = sessions.get_mut(&host.id) else { return Transition::Unchanged };
        let (was_new, before) = (together.is_new(), together.flags(check, host));
        let Some(session) = together.session(check) else { return Transition::Unchanged };
        let effect = session.checked(verdict, before, rules);
        let outcome = together.settle(check, &effect, was_new, host);
        let after = together.flags(check, host);
        drop(sessions);
        if let Some(counted) = self.counted(check) {
            counted.count_verdict(verdict);
            // As in Envoy a host that is degraded no longer stays counted as that, and counts once more when it is again.
            let stays = before & health_flag::DEGRADED_ACTIVE_HC;
            counted.count_health(before & !stays, false);
            counted.count_health(after & !stays, true);
        }
        let sinks = self.surroundings.logs.get(check).map(Vec::as_slice).unwrap_or_default();
        for event in effect.events {
            log::write(sinks, &self.cluster, &config.checker, host, event);
        }
        if let Some(outcome) = outcome {
            self.put_in_force(host, outcome, verdict, effect.transition);
        }
        effect.transition
    }

    /// What comes of a host's health, as its checks make it.
    fn put_in_force(&self, host: &Arc<Host>, outcome: Outcome, verdict: Verdict, transition: Transition) {
        let Outcome { before, after, is_first } = outcome;
        if !is_first {
            self.count_together(before, false);
        }
        self.count_together(after, true);
        let failed = |flags: u32| flags & health_flag::FAILED_ACTIVE_HC != 0;
        match (failed(before), failed(after)) {
            (false, true) => host.failures.note(),
            (true, false) => self.cluster.note_recovery(host),
            _ => {}
        }
        if before != after || transition == Transition::Changed {
            self.publish();
        }
        let passed = matches!(verdict, Verdict::Passed { .. });
        if let (true, false, Some(outlier)) = (passed, failed(after), &self.cluster.outlier) {
            outlier.alarm(outlier::Alarm::Passed(host.id));
        }
        self.note_first(is_first.then_some(()));
    }

    /// Counts a host in or out, by each of its checks.
    pub(super) fn count_all(&self, host: &Host, together: &Together, count_in: bool) {
        let Some(checks) = self.checks() else { return };
        for (check, counted) in checks.each.iter().enumerate() {
            counted.count_health(together.flags(check, host), count_in);
        }
        if !together.is_new() {
            self.count_together(host.health_flags(), count_in);
        }
    }

    /// Counts a host with these flags in or out, where several checks make them.
    fn count_together(&self, flags: u32, count_in: bool) {
        if let Some(all) = self.checks().and_then(|checks| checks.all.as_ref()) {
            together::count(flags, count_in, all.healthy(), all.degraded());
        }
    }
}
