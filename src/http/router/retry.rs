//! The attempts of a request that may be tried again: which of them fail, and whether another follows.

use std::time::SystemTime;

use crate::codec::h1::client::ResponseHead;
use crate::config::route::{RetryPolicy, RouteAction};
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure, Replay};
use crate::http::manager::DEFAULT_BUFFER_LIMIT;
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::Levels;
use crate::route::retry::{Pause, Reset};
use crate::upstream::lb::Avoid;
use crate::upstream::lb::priority::PriorityLoad;
use crate::upstream::{Cluster, Host};

use super::aside::{Answered, Aside};
use super::tried_priorities::TriedPriorities;
use super::tries::{Decision, Tries};

/// What is known of the attempts of a request that may be tried again.
#[derive(Debug)]
pub(super) struct Attempts<'p> {
    pub(super) tries: Tries<'p>,
    pub(super) levels: Levels<'p>,
    /// Ids of the hosts that were tried.
    tried: Vec<u64>,
    /// Places of the members of weighted clusters that were tried since all were; none before one is chosen again.
    pub(super) members: Vec<usize>,
    priorities: TriedPriorities,
    /// Whether any attempt has sent anything.
    sent: bool,
    /// Whether the last attempt took too long.
    pub(super) timed_out: bool,
    /// After how long another attempt follows the one before.
    next: Option<Pause>,
    /// Whether the one before goes on beside it.
    pub(super) sets_aside: bool,
    /// Whether the last attempt called for another, and there is none.
    is_refused: bool,
    /// The attempts that were set aside, the oldest first.
    pub(super) asides: Vec<Aside<'p>>,
    /// The one of those that has answered, in place of the attempt in progress.
    pub(super) answered: Option<Box<Answered<'p>>>,
}

impl<'p> Attempts<'p> {
    /// Whether another attempt follows.
    pub(super) fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// The attempt that follows, and after how long.
    pub(super) fn next<'a>(this: &'a mut Option<Box<Self>>) -> Option<(&'a mut Attempts<'p>, Pause)> {
        let this = this.as_mut()?;
        let pause = this.next.take()?;
        this.sets_aside = false;
        Some((this, pause))
    }

    /// The last attempt takes too long.
    pub(super) fn note_late(&mut self) {
        (self.sent, self.timed_out) = (true, true);
    }

    /// Whether the response of the last attempt gives way to those of others, as it called for another attempt that is
    /// not made.
    pub(super) fn gives_way(&self) -> bool {
        self.is_refused && self.has_asides()
    }

    /// The last attempt, if it was set aside.
    pub(super) fn just_set_aside(&mut self) -> Option<&mut Aside<'p>> {
        self.asides.last_mut().filter(|_| self.sets_aside)
    }

    /// The hosts that the next attempt does not go to; `None` for first attempts, which go wherever the balancer sends
    /// them.
    pub(super) fn avoid(&self) -> Option<Avoid<'_>> {
        Avoid::of(self.tries.retries.policy(), &self.tried)
    }

    /// The load of priorities without those that were tried, where the policy says so; `None` means that of all. When
    /// all were tried it begins anew. `load_without` says what it is without some.
    pub(super) fn load(
        &mut self,
        load_without: impl FnOnce(&[u32]) -> Option<PriorityLoad>,
    ) -> Option<PriorityLoad> {
        self.priorities.load(self.tries.retries.policy(), load_without)
    }

    /// The priorities that were tried, where they are left out; not empty.
    pub(super) fn tried_priorities(&self) -> Option<&[u32]> {
        self.priorities.left_out(self.tries.retries.policy())
    }

    /// All priorities were tried: it begins anew.
    pub(super) fn forget_priorities(&mut self) {
        self.priorities.forget();
    }

    /// An attempt goes to this host, of the priority of this number.
    pub(super) fn note_host(&mut self, host: &Host, priority: u32) {
        self.tried.push(host.id);
        self.priorities.note(self.tries.retries.policy(), priority);
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// What the policy and the request say of retries; `None` when it is never tried again. From here on its body is
    /// kept, if it may have to be sent again.
    pub(super) fn begin_attempts<'p>(
        &mut self,
        policy: Option<&'p RetryPolicy>,
        action: &RouteAction,
        levels: Levels<'p>,
    ) -> Option<Box<Attempts<'p>>> {
        let tries = Tries::new(policy, &mut self.headers.request, &self.connection.worker);
        let is_kept = tries.is_some() || action.internal_redirect_policy.is_some();
        if is_kept && !self.asks_tunnel() && !self.request_is_bodiless() {
            let limit = levels.body_limit().unwrap_or_else(|| self.connection_buffer());
            self.replay = Some(Box::new(Replay::new(limit)));
        }
        Some(Box::new(Attempts {
            tries: tries?,
            levels,
            tried: Vec::new(),
            members: Vec::new(),
            priorities: TriedPriorities::default(),
            sent: false,
            timed_out: false,
            next: None,
            sets_aside: false,
            is_refused: false,
            asides: Vec::new(),
            answered: None,
        }))
    }

    /// Bytes of a request that its connection's buffer holds.
    pub(in crate::http) fn connection_buffer(&self) -> u64 {
        let manager = &self.connection.manager;
        if D::MULTIPLEXED {
            return manager.options.http2.initial_stream_window_size.into();
        }
        match manager.buffer_limit_bytes.unwrap_or(DEFAULT_BUFFER_LIMIT) {
            0 => u64::MAX,
            bytes => bytes.into(),
        }
    }

    /// Whether the response is passed over for another attempt.
    pub(super) fn decline_response(
        &mut self,
        attempts: &mut Option<Box<Attempts<'_>>>,
        cluster: &Cluster,
        action: &RouteAction,
        head: &ResponseHead,
    ) -> bool {
        let Some(this) = attempts else { return false };
        let wanted = this.tries.retries.of_response(head.status, &self.headers.response, SystemTime::now());
        this.timed_out = false;
        let declined = self.decide(this, wanted, cluster, action);
        if declined {
            if let Some(entry) = &mut self.upstream_log {
                entry.passed_over();
            }
            cluster.stats.retry_upstream_rq().inc(head.status);
        }
        declined
    }

    /// Sees to another attempt after one without a response, if there is one.
    pub(super) fn forgive(
        &mut self,
        attempts: &mut Option<Box<Attempts<'_>>>,
        cluster: &Cluster,
        action: &RouteAction,
        failure: &Failure,
    ) {
        let (Some(this), Failure::Reply(reply)) = (attempts, failure) else {
            return;
        };
        let Some(reset) = reply.reset else {
            return;
        };
        this.sent |= self.info.timing.upstream_tx_start.is_some();
        this.timed_out = reset == Reset::TimedOut;
        let wanted = this.tries.retries.of_reset(reset, this.sent);
        self.decide(this, wanted, cluster, action);
    }

    /// Whether another attempt follows.
    pub(super) fn decide(
        &mut self,
        attempts: &mut Attempts<'_>,
        wanted: Option<Pause>,
        cluster: &Cluster,
        action: &RouteAction,
    ) -> bool {
        if self.replay.as_ref().is_some_and(|replay| replay.is_released()) {
            return false;
        }
        let (worker, groups) = (&self.connection.worker, attempts.levels.groups());
        let decision = attempts.tries.decide(wanted, cluster, action.high_priority, worker, groups);
        attempts.is_refused = matches!(decision, Decision::LimitExceeded | Decision::Overflow);
        match decision {
            Decision::Again(pause) => attempts.next = Some(pause),
            Decision::LimitExceeded => self.info.response_flags.insert(ResponseFlags::URX),
            Decision::Overflow => self.info.response_flags.insert(ResponseFlags::UO),
            Decision::No => {}
        }
        attempts.has_next()
    }

    /// No attempt follows the one in progress.
    pub(super) fn end_attempts(&mut self, attempts: &mut Option<Box<Attempts<'_>>>) {
        if let Some(mut attempts) = attempts.take() {
            self.close_asides(&mut attempts);
        }
        if let Some(replay) = &mut self.replay {
            replay.release();
        }
    }
}
