//! What checks of one host come to: a state machine without clock and sockets.
//!
//! The flags that a host has and how its check went go in, what changes comes out. Rules and words are Envoy's.

use crate::upstream::host::health_flag as flag;

/// How a check of a host went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host is well.
    Passed {
        /// Whether it called itself degraded.
        degraded: bool,
    },
    /// It is not, or could not be asked.
    Failed(Failure),
}

/// Why a check failed: `envoy.data.core.v3.HealthCheckFailureType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The host answered that it is not well.
    Active {
        /// Whether it has to say so several times.
        retriable: bool,
        /// The status of its answer, if it has one; else 0.
        status: u16,
        /// Whether it is to be left out of whatever is counted of hosts: `x-envoy-immediate-health-check-fail`.
        excluded: bool,
    },
    /// It said so in the answer to a request of somebody else.
    Passive,
    /// It could not be connected to, or its stream broke.
    Network,
    /// It did not answer in time.
    Timeout,
}

/// What happened that is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The host is unhealthy from now on.
    EjectUnhealthy(Failure),
    /// The host is healthy from now on.
    AddHealthy {
        /// By its first check.
        first_check: bool,
    },
    /// A check passed and changed nothing.
    Successful,
    /// A check failed.
    Failure {
        /// Why.
        failure: Failure,
        /// Whether it was the first.
        first_check: bool,
    },
    /// A host is degraded from now on.
    Degraded,
    /// A host is degraded no more.
    NoLongerDegraded,
}

/// Whether a check changed a host's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It did not.
    Unchanged,
    /// It did.
    Changed,
    /// It will, if the next say the same.
    Pending,
}

/// How many checks in a row it takes.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `healthy_threshold`
    pub healthy: u32,
    /// `unhealthy_threshold`
    pub unhealthy: u32,
    /// `always_log_health_check_success`
    pub log_success: bool,
    /// `always_log_health_check_failures`
    pub log_failures: bool,
}

/// What comes of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Flags that the host has from now on.
    pub set: u32,
    /// Flags that it has no more.
    pub clear: u32,
    /// Whether its health changed by that.
    pub transition: Transition,
    /// What is to be logged, in this order.
    pub events: Vec<Event>,
}

/// What is remembered of the checks of a host.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    first_check: bool,
    passed: u32,
    failed: u32,
}

impl Default for Session {
    fn default() -> Self {
        Session { first_check: true, passed: 0, failed: 0 }
    }
}

impl Session {
    /// Whether no check has ended yet.
    pub fn is_new(&self) -> bool {
        self.first_check
    }

    /// What a check comes to of a host with these flags.
    pub fn checked(&mut self, verdict: Verdict, flags: u32, rules: Rules) -> Effect {
        let mut effect = match verdict {
            Verdict::Passed { degraded } => self.passed(degraded, flags, rules),
            Verdict::Failed(failure) => self.failed(failure, flags, rules),
        };
        self.first_check = false;
        effect.clear &= !effect.set;
        effect
    }

    fn passed(&mut self, degraded: bool, flags: u32, rules: Rules) -> Effect {
        self.failed = 0;
        let mut effect = Effect::none();
        if flags & flag::FAILED_ACTIVE_HC != 0 {
            self.passed = self.passed.saturating_add(1);
            // The first check of all is believed at once, which makes starts faster.
            if self.first_check || self.passed == rules.healthy {
                effect.clear |=
                    flag::FAILED_ACTIVE_HC | flag::ACTIVE_HC_TIMEOUT | flag::EXCLUDED_VIA_IMMEDIATE_HC_FAIL;
                effect.transition = Transition::Changed;
                effect.events.push(Event::AddHealthy { first_check: self.first_check });
            } else {
                effect.transition = Transition::Pending;
            }
        }
        if effect.transition != Transition::Changed && rules.log_success {
            effect.events.push(Event::Successful);
        }
        effect.end_pending(flags);
        if degraded != (flags & flag::DEGRADED_ACTIVE_HC != 0) {
            if degraded {
                effect.set |= flag::DEGRADED_ACTIVE_HC;
                effect.events.push(Event::Degraded);
            } else {
                effect.clear |= flag::DEGRADED_ACTIVE_HC;
                effect.events.push(Event::NoLongerDegraded);
            }
            if effect.transition == Transition::Unchanged {
                effect.transition = Transition::Changed;
            }
        }
        effect
    }

    fn failed(&mut self, failure: Failure, flags: u32, rules: Rules) -> Effect {
        self.passed = 0;
        let mut effect = Effect::none();
        let mut is_failed = flags & flag::FAILED_ACTIVE_HC != 0;
        if !is_failed {
            let needs_no_other = failure.needs_no_other();
            if !needs_no_other {
                self.failed = self.failed.saturating_add(1);
            }
            if needs_no_other || self.failed == rules.unhealthy {
                is_failed = true;
                effect.set |= flag::FAILED_ACTIVE_HC;
                effect.transition = Transition::Changed;
                effect.events.push(Event::EjectUnhealthy(failure));
            } else {
                effect.transition = Transition::Pending;
            }
        }
        if failure == Failure::Timeout && is_failed {
            effect.set |= flag::ACTIVE_HC_TIMEOUT;
        } else {
            effect.clear |= flag::ACTIVE_HC_TIMEOUT;
        }
        if let Failure::Active { excluded: true, .. } = failure {
            effect.set |= flag::EXCLUDED_VIA_IMMEDIATE_HC_FAIL;
        }
        effect.end_pending(flags);
        if self.first_check || rules.log_failures {
            effect.events.push(Event::Failure { failure, first_check: self.first_check });
        }
        effect
    }
}

impl Failure {
    /// Whether one is enough for a host to be unhealthy.
    fn needs_no_other(self) -> bool {
        matches!(self, Failure::Active { retriable: false, .. } | Failure::Passive)
    }

    /// Whether the host could not be asked.
    pub fn is_network(self) -> bool {
        matches!(self, Failure::Network | Failure::Timeout)
    }
}

impl Effect {
    fn none() -> Self {
        Effect { set: 0, clear: 0, transition: Transition::Unchanged, events: Vec::new() }
    }

    /// A host that waited for its first check waits no longer, and counts from now on.
    fn end_pending(&mut self, flags: u32) {
        if flags & flag::PENDING_ACTIVE_HC != 0 {
            self.clear |= flag::PENDING_ACTIVE_HC;
            self.transition = Transition::Changed;
        }
    }
}

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
