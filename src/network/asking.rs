//! Services that filters ask about connections.

use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use prost::Message;

use crate::config::grpc_service::GrpcService;
use crate::http::{Call, Status};
use crate::observability::stats::Gauge;
use crate::observability::stream_info::Refusal;

use super::filter::{Guest, Step};

/// What a service is asked about a connection.
pub(super) struct Question<'q, M, S> {
    pub(super) service: &'q GrpcService,
    /// Its method.
    pub(super) method: &'static str,
    pub(super) message: M,
    /// `None` means no limit.
    pub(super) timeout: Option<Duration>,
    pub(super) stats: &'q S,
    /// The questions that are open, among these statistics.
    pub(super) active: fn(&S) -> Gauge<'_>,
}

impl<M: Message, S: Clone + 'static> Question<'_, M, S> {
    /// Asks; `settle` says what becomes of the connection.
    pub(super) fn ask<A: Message + Default + 'static>(
        self,
        guest: &Rc<Guest>,
        settle: impl FnOnce(Result<A, Status>, &Guest) -> Result<(), Refusal> + 'static,
    ) -> Step {
        let Question { service, method, message, timeout, stats, active } = self;
        let open = Open::new(stats, active);
        let call = Call::of_connection(service, method, &message, timeout, &guest.info, &guest.worker);
        let guest = Rc::clone(guest);
        Step::Wait(
            async move {
                let answer = call.answer(&guest.worker).await;
                drop(open);
                settle(answer, &guest)
            }
            .boxed_local(),
        )
    }
}

/// A question that is counted as active until this is dropped.
struct Open<S> {
    stats: S,
    active: fn(&S) -> Gauge<'_>,
}

impl<S: Clone> Open<S> {
    fn new(stats: &S, active: fn(&S) -> Gauge<'_>) -> Self {
        active(stats).inc();
        Open { stats: stats.clone(), active }
    }
}

impl<S> Drop for Open<S> {
    fn drop(&mut self) {
        (self.active)(&self.stats).dec();
    }
}
