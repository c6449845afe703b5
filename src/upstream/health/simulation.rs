//! Sessions over many checks.

use super::*;
use crate::base::random::Rng;

const RULES: Rules = Rules { healthy: 3, unhealthy: 2, log_success: false, log_failures: false };
const WELL: Verdict = Verdict::Passed { degraded: false };
const BROKEN: Verdict = Verdict::Failed(Failure::Network);
const BAD: Verdict = Verdict::Failed(Failure::Active { retriable: false, status: 503, excluded: false });
const PERHAPS: Verdict = Verdict::Failed(Failure::Active { retriable: true, status: 429, excluded: false });

/// A host and its session.
struct Checked {
    flags: u32,
    session: Session,
}

impl Checked {
    fn new() -> Self {
        Checked { flags: flag::FAILED_ACTIVE_HC, session: Session::default() }
    }

    fn check(&mut self, verdict: Verdict) -> Effect {
        let effect = self.session.checked(verdict, self.flags, RULES);
        self.flags = (self.flags & !effect.clear) | effect.set;
        effect
    }

    /// Whether it is healthy after each of these.
    fn healthy_after<const N: usize>(&mut self, verdicts: [Verdict; N]) -> [bool; N] {
        verdicts.map(|verdict| {
            self.check(verdict);
            self.flags & flag::FAILED_ACTIVE_HC == 0
        })
    }
}

#[test]
fn the_first_check_is_believed_and_later_ones_are_counted() {
    let mut host = Checked::new();
    assert_eq!(host.healthy_after([WELL]), [true]);
    assert_eq!(host.healthy_after([BROKEN, BROKEN]), [true, false]);
    assert_eq!(host.healthy_after([WELL, WELL, WELL]), [false, false, true]);
    let mut host = Checked::new();
    assert_eq!(
        host.healthy_after([BROKEN, WELL, WELL, BROKEN, WELL, WELL, WELL]),
        [false, false, false, false, false, false, true]
    );
}

#[test]
fn an_answer_that_says_so_needs_no_other() {
    let mut host = Checked::new();
    assert_eq!(host.healthy_after([WELL, BAD]), [true, false]);
    let mut host = Checked::new();
    assert_eq!(host.healthy_after([WELL, PERHAPS, WELL, PERHAPS, PERHAPS]), [true, true, true, true, false]);
    let mut host = Checked::new();
    assert_eq!(host.healthy_after([WELL, Verdict::Failed(Failure::Passive)]), [true, false]);
}

#[test]
fn what_a_timeout_sets_another_failure_takes_away() {
    let mut host = Checked::new();
    host.healthy_after([WELL, BAD, Verdict::Failed(Failure::Timeout)]);
    assert_ne!(host.flags & flag::ACTIVE_HC_TIMEOUT, 0);
    host.check(BROKEN);
    assert_eq!(host.flags & flag::ACTIVE_HC_TIMEOUT, 0);
}

#[test]
fn a_host_that_is_left_out_counts_again_when_it_is_well() {
    let mut host = Checked::new();
    let excluded = Failure::Active { retriable: false, status: 503, excluded: true };
    host.healthy_after([WELL, Verdict::Failed(excluded)]);
    assert_ne!(host.flags & flag::EXCLUDED_VIA_IMMEDIATE_HC_FAIL, 0);
    host.healthy_after([WELL, WELL, WELL]);
    assert_eq!(host.flags, 0);
}

#[test]
fn a_host_that_waited_for_its_first_check_counts_after_it() {
    for verdict in [WELL, BROKEN] {
        let mut host = Checked::new();
        host.flags |= flag::PENDING_ACTIVE_HC;
        assert_eq!(host.check(verdict).transition, Transition::Changed);
        assert_eq!(host.flags & flag::PENDING_ACTIVE_HC, 0);
    }
}

#[test]
fn being_degraded_comes_and_goes_at_once() {
    let mut host = Checked::new();
    let effect = host.check(Verdict::Passed { degraded: true });
    assert_eq!(effect.events, [Event::AddHealthy { first_check: true }, Event::Degraded]);
    let effect = host.check(WELL);
    assert_eq!((effect.transition, effect.events), (Transition::Changed, vec![Event::NoLongerDegraded]));
    assert_eq!(host.flags, 0);
}

#[test]
fn whatever_checks_say_health_changes_with_an_event_and_only_then() {
    let mut draw = Rng::seeded(5);
    let mut host = Checked::new();
    let mut failures = 0;
    for _ in 0..20_000 {
        let before = host.flags & flag::FAILED_ACTIVE_HC;
        let verdict = match draw.below(6) {
            0 => BAD,
            1 => PERHAPS,
            2 => BROKEN,
            3 => Verdict::Failed(Failure::Timeout),
            4 => Verdict::Passed { degraded: true },
            _ => WELL,
        };
        failures = if matches!(verdict, Verdict::Passed { .. }) { 0 } else { failures + 1 };
        let effect = host.check(verdict);
        let after = host.flags & flag::FAILED_ACTIVE_HC;
        let told = effect.events.iter().any(|event| match event {
            Event::AddHealthy { .. } => after == 0,
            Event::EjectUnhealthy(_) => after != 0,
            _ => false,
        });
        assert_eq!(before != after, told, "{verdict:?}: {effect:?}");
        assert!(failures < RULES.unhealthy || after != 0, "healthy after {failures} failures");
        assert_eq!(effect.set & effect.clear, 0);
    }
}
