//! The attempts of a call that a filter makes: where they went, and whether another follows.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::base::headers::Headers;
use crate::config::route::RetryPolicy;
use crate::http::local_reply::LocalReply;
use crate::http::worker::Worker;
use crate::route::retry::Pause;
use crate::upstream::lb::Avoid;
use crate::upstream::lb::priority::PriorityLoad;
use crate::upstream::outlier::Report;
use crate::upstream::pool::HostPool;
use crate::upstream::{Cluster, Host};

use super::call::CallError;
use super::passive;
use super::tried_priorities::TriedPriorities;
use super::tries::{Decision, Tries};

/// The attempts of one call; of most there is one.
pub(super) struct CallTries<'p> {
    tries: Option<Tries<'p>>,
    /// Ids of the hosts that were tried.
    tried: Vec<u64>,
    priorities: TriedPriorities,
    /// Whether any attempt has sent anything.
    sent: bool,
}

impl<'p> CallTries<'p> {
    /// As many as the policy and the call's headers allow, which are taken out.
    pub(super) fn new(policy: Option<&'p RetryPolicy>, headers: &mut Headers, worker: &Worker) -> Self {
        CallTries {
            tries: Tries::new(policy, headers, worker),
            tried: Vec::new(),
            priorities: TriedPriorities::default(),
            sent: false,
        }
    }

    /// The hosts that the next attempt does not go to.
    pub(super) fn avoid(&self) -> Option<Avoid<'_>> {
        Avoid::of(self.tries.as_ref()?.retries.policy(), &self.tried)
    }

    /// The load of priorities without those that were tried, where the policy says so; `None` means that of all.
    /// `load_without` says what it is without some.
    pub(super) fn load(
        &mut self,
        load_without: impl FnOnce(&[u32]) -> Option<PriorityLoad>,
    ) -> Option<PriorityLoad> {
        self.priorities.load(self.tries.as_ref()?.retries.policy(), load_without)
    }

    /// The priorities that were tried, where they are left out.
    pub(super) fn tried_priorities(&self) -> Option<&[u32]> {
        self.priorities.left_out(self.tries.as_ref()?.retries.policy())
    }

    /// All priorities were tried: it begins anew.
    pub(super) fn forget_priorities(&mut self) {
        self.priorities.forget();
    }

    /// An attempt goes to this host, of the priority of this number.
    pub(super) fn note_host(&mut self, host: &Host, priority: u32) {
        if let Some(tries) = &self.tries {
            self.tried.push(host.id);
            self.priorities.note(tries.retries.policy(), priority);
        }
    }

    /// The call goes out.
    pub(super) fn note_sent(&mut self) {
        self.sent = true;
    }

    /// Whether the answer is passed over for another attempt, and after how long that follows.
    pub(super) fn of_answer(
        &mut self,
        status: u16,
        headers: &Headers,
        cluster: &Cluster,
        worker: &Worker,
    ) -> Option<Pause> {
        let retries = &self.tries.as_ref()?.retries;
        let wanted = retries.of_response(status, headers, SystemTime::now());
        self.decide(wanted, cluster, worker)
    }

    /// Whether another attempt follows one without an answer, likewise.
    pub(super) fn of_failure(
        &mut self,
        instead: &LocalReply,
        cluster: &Cluster,
        worker: &Worker,
    ) -> Option<Pause> {
        let wanted = self.tries.as_ref()?.retries.of_reset(instead.reset?, self.sent);
        self.decide(wanted, cluster, worker)
    }

    fn decide(&mut self, wanted: Option<Pause>, cluster: &Cluster, worker: &Worker) -> Option<Pause> {
        match self.tries.as_mut()?.decide(wanted, cluster, false, worker, std::iter::empty()) {
            Decision::Again(pause) => Some(pause),
            Decision::No | Decision::LimitExceeded | Decision::Overflow => None,
        }
    }

    /// The pause in time.
    pub(super) fn duration(&mut self, pause: Pause, worker: &Worker) -> Duration {
        let tries = self.tries.as_mut();
        tries.map_or(Duration::ZERO, |tries| tries.retries.duration(pause, &mut worker.rng.borrow_mut()))
    }

    /// What the last attempt comes to in place of an answer.
    pub(super) fn last(&self, instead: LocalReply) -> LocalReply {
        if self.tried.len() > 1 { instead.after_retries() } else { instead }
    }
}

/// How far the attempt in progress has come, for when the time of the call is over.
#[derive(Default)]
pub(super) struct Going {
    pool: RefCell<Option<Rc<HostPool>>>,
    answered: Cell<bool>,
}

impl Going {
    /// An attempt begins.
    pub(super) fn begin(&self, pool: &Rc<HostPool>) {
        *self.pool.borrow_mut() = Some(Rc::clone(pool));
        self.answered.set(false);
    }

    /// It has failed, and another is to follow.
    pub(super) fn end(&self) {
        *self.pool.borrow_mut() = None;
    }

    /// The head of its answer has come.
    pub(super) fn answered(&self) {
        self.answered.set(true);
    }

    /// What comes of the call when its time is over, and the host that is charged with it: none between two attempts.
    pub(super) fn late(&self, worker: &Worker) -> (CallError, Option<Rc<HostPool>>) {
        let pool = self.pool.take();
        if let Some(pool) = &pool {
            pool.cluster.stats.upstream_rq_timeout().inc();
            pool.host.stats.count_timeout();
            if self.answered.get() {
                return (CallError::Broken, None);
            }
            passive::report(worker, pool, || Report::TimedOut(504));
        }
        (CallError::Instead(LocalReply::upstream_timeout()), pool)
    }
}
