//! What a request and its response count in their cluster and host.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::headers::Known;
use crate::codec::{Pump, StreamError};
use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::upstream::Carrier;
use crate::http::worker::Worker;
use crate::observability::stream_info::ResponseFlags;
use crate::route::Matched;
use crate::route::grpc_timeout::is_grpc;
use crate::route::mutation::Levels;
use crate::route::statistics::Groups;
use crate::upstream::host_stats::ActiveRequest;
use crate::upstream::outlier::Report;
use crate::upstream::pool::HostPool;
use crate::upstream::{Cluster, Host};

use super::alternate::Counted;
use super::beside::Beside;
use super::passive;

impl<D: Downstream> Exchange<'_, D> {
    /// The cluster that the attempt is for: that of the host, or the aggregate one that chose it.
    #[inline]
    pub(super) fn charged<'a>(&'a self, pool: &'a HostPool) -> &'a Arc<Cluster> {
        self.aggregate.as_ref().unwrap_or(&pool.cluster)
    }

    /// Counts that the response did not begin, or end, in time.
    pub(super) fn count_timeout(&mut self, interrupt: Interrupt, pool: &HostPool, levels: Levels<'_>) {
        self.note_upstream_timeout(interrupt);
        let stats = &self.charged(pool).stats;
        match interrupt {
            Interrupt::ResponseTimeout => {
                stats.upstream_rq_timeout().inc();
                levels.groups().for_each(|group| group.upstream_rq_timeout().inc());
            }
            Interrupt::PerTryIdle => stats.upstream_rq_per_try_idle_timeout().inc(),
            Interrupt::PerTryTimeout => stats.upstream_rq_per_try_timeout().inc(),
            Interrupt::UpstreamDuration => return stats.upstream_rq_max_duration_reached().inc(),
            _ => return,
        }
        pool.host.stats.count_timeout();
    }

    /// Tells outlier detection of a time that is over once the request is with the host, whose answer has not begun if
    /// `awaited`.
    pub(super) fn report_timeout(&self, interrupt: Interrupt, pool: &HostPool, awaited: bool) {
        if let Some(late) = passive::timed_out(interrupt, awaited, self.late_status) {
            passive::report(&self.connection.worker, pool, || late);
        }
    }

    /// Counts the response, or its failure, for the host. What is answered in place of a response is an error, whatever
    /// status that has.
    pub(super) fn count_for_host(&self, host: &Host, answered: &Result<(), Failure>) {
        let Some(status) = self.charged_status(answered) else { return };
        let is_replaced = matches!(answered, Err(Failure::Reply(reply)) if reply.of_cluster);
        if is_replaced || status >= 500 {
            host.stats.count_response(false);
        } else if !is_grpc(&self.headers.request) {
            host.stats.count_response(true);
        } else {
            self.count_call_for_host(host, answered);
        }
    }

    /// Counts the answer to a call of gRPC for the host: its status says whether it is an error, and without one it is.
    fn count_call_for_host(&self, host: &Host, answered: &Result<(), Failure>) {
        let of_host = ResponseFlags::UC | ResponseFlags::UPE | ResponseFlags::UR;
        match answered {
            Err(Failure::Abort(flags, _)) if flags.intersects(of_host) => {
                self.connection.manager.router_stats.rq_reset_after_downstream_response_started().inc();
                host.stats.count_response(false);
            }
            // As in Envoy what is over for another reason is neither.
            Err(_) => {}
            Ok(()) => {
                let headers = Some(&self.headers.response).filter(|_| self.info.bytes_sent == 0);
                let fields = self.response_trailers.as_deref().or(headers);
                let status = fields.and_then(|fields| fields.get(Known::GrpcStatus)).map(passive::of_grpc);
                host.stats.count_response(status.is_some_and(|status| status < 500));
            }
        }
    }

    /// The status that cluster and host are charged with; `None` when the end was not their doing.
    fn charged_status(&self, answered: &Result<(), Failure>) -> Option<u16> {
        match answered {
            Ok(()) | Err(Failure::Abort(..)) => Some(self.info.response_code).filter(|status| *status > 0),
            Err(Failure::Reply(reply)) if reply.of_cluster => Some(reply.status),
            // A filter answers in place of the host, which may have answered before.
            Err(Failure::Reply(_)) => Some(self.info.response_code).filter(|status| *status > 0),
            Err(Failure::Redirected | Failure::GaveWay | Failure::Discovered) => None,
        }
    }

    /// Counts how often reading one side stopped because the other was full.
    pub(super) fn count_pauses(&self, pool: &HostPool, response: &Pump) {
        let (stats, up) = (&self.connection.manager.stats, &self.charged(pool).stats);
        let request = &self.request_pump;
        stats.downstream_flow_control_paused_reading_total().add(request.pauses.into());
        stats.downstream_flow_control_resumed_reading_total().add(request.resumptions.into());
        up.upstream_flow_control_backed_up_total().add(request.pauses.into());
        up.upstream_flow_control_drained_total().add(request.resumptions.into());
        up.upstream_flow_control_paused_reading_total().add(response.pauses.into());
        up.upstream_flow_control_resumed_reading_total().add(response.resumptions.into());
    }

    /// What the request is counted in beside its cluster; notes its virtual cluster.
    pub(super) fn groups<'t>(&mut self, matched: &Matched<'t>) -> Option<Groups<'t>> {
        let statistics = matched.statistics?;
        let (groups, cluster) = statistics.of_request(matched.virtual_host, &self.headers.request);
        self.info.virtual_cluster_name = cluster.map(|cluster| Arc::clone(&cluster.name));
        Some(groups)
    }

    /// Counts the response, or its failure, for the cluster and the groups that the request is in.
    pub(super) fn count_for_cluster(
        &self,
        cluster: &Cluster,
        levels: Levels<'_>,
        answered: &Result<(), Failure>,
    ) {
        let router = self.router;
        let counted = router.dynamic_stats && !self.info.health_check;
        let Some(status) = self.charged_status(answered).filter(|_| counted) else { return };
        if is_dropped(answered) {
            cluster.drops.drop_one();
        }
        let response = answered.is_ok().then_some(&self.headers.response);
        let beside = Beside::of(self.beside.as_deref().map(|pool| &*pool.host), response);
        let without_status =
            router.suppress_grpc_request_failure_code_stats && is_grpc(&self.headers.request);
        match without_status {
            true => cluster.stats.upstream_rq().inc_completed(),
            false => cluster.stats.upstream_rq().inc(status),
        }
        // As in Envoy it is left out there alone.
        count_by_origin(cluster, status, self.internal);
        beside.count(cluster, status);
        levels.groups().for_each(|group| group.upstream_rq().inc(status));
        let elapsed = self.started.elapsed();
        self.count_alternate(
            cluster,
            Counted {
                status,
                without_status,
                elapsed: Some(elapsed).filter(|_| answered.is_ok()),
                canary: beside.is_canary(),
            },
        );
        if answered.is_ok() {
            count_time(cluster, elapsed, self.internal);
            beside.count_time(cluster, elapsed);
            let millis = elapsed.as_millis() as u64;
            levels.groups().for_each(|group| group.upstream_rq_time().record(millis));
        }
    }
}

/// Whether the request was kept back from hosts: by a circuit breaker, in maintenance or by the policy of its endpoints.
fn is_dropped(answered: &Result<(), Failure>) -> bool {
    const DROPPED: [ResponseFlags; 3] = [ResponseFlags::UO, ResponseFlags::DO, ResponseFlags::UDO];
    let Err(Failure::Reply(reply)) = answered else { return false };
    DROPPED.into_iter().any(|flag| reply.flags.intersects(flag))
}

/// Counts how long a response took.
pub(super) fn count_time(cluster: &Cluster, elapsed: Duration, internal: bool) {
    let millis = elapsed.as_millis() as u64;
    cluster.stats.upstream_rq_time().record(millis);
    if internal {
        cluster.stats.internal_upstream_rq_time().record(millis);
    } else {
        cluster.stats.external_upstream_rq_time().record(millis);
    }
}

/// Counts a response in all its codes' statistics.
pub(in crate::http) fn count_response(cluster: &Cluster, status: u16, internal: bool) {
    cluster.stats.upstream_rq().inc(status);
    count_by_origin(cluster, status, internal);
}

/// Counts a response among those to requests from within, or from without.
fn count_by_origin(cluster: &Cluster, status: u16, internal: bool) {
    if internal {
        cluster.stats.internal_upstream_rq().inc(status);
    } else {
        cluster.stats.external_upstream_rq().inc(status);
    }
}

/// Counts what an upstream stream broke by.
pub(super) fn note_fault(worker: &Worker, error: StreamError, upstream: &mut Carrier, pool: &HostPool) {
    upstream.broke(error);
    passive::report(worker, pool, || Report::Failed);
    match error {
        StreamError::Closed => upstream.closed_by_host(),
        StreamError::Protocol(_) => pool.cluster.stats.upstream_cx_protocol_error().inc(),
        StreamError::Reset(_) | StreamError::Refused => {}
    }
}

/// A request with a host: counted as active there and in its cluster until it is dropped.
#[derive(Debug)]
pub(crate) struct InProgress {
    pool: Rc<HostPool>,
    _active: ActiveRequest,
}

impl InProgress {
    /// Counts a request.
    pub(crate) fn new(pool: &Rc<HostPool>) -> Self {
        pool.cluster.stats.upstream_rq_total().inc();
        pool.cluster.stats.upstream_rq_active().inc();
        InProgress { pool: Rc::clone(pool), _active: pool.host.begin_request() }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.pool.cluster.stats.upstream_rq_active().dec();
    }
}
