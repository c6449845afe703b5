//! What outlier detection hears of how requests went, and active health checks of what hosts say: Envoy's moments and
//! Envoy's statuses.
//!
//! A branch where a cluster has none of it.

use crate::base::headers::{Headers, Known};
use crate::http::deadlines::Interrupt;
use crate::http::worker::Worker;
use crate::route::grpc_timeout::is_grpc;
use crate::upstream::pool::HostPool;
use crate::upstream::{orca, outlier};

/// Tells outlier detection of a request to the pool's host.
#[inline]
pub(super) fn report(worker: &Worker, pool: &HostPool, report: impl FnOnce() -> outlier::Report) {
    if let Some(monitor) = &pool.host.outlier {
        monitor.report(report(), &worker.snapshot().runtime);
    }
}

/// Tells active health checks of an answer that says that its host is not well, and notes what the host reports of itself.
/// Whether it does report.
#[inline]
pub(super) fn hear(pool: &HostPool, response: &Headers) -> bool {
    if let Some(complaints) = &pool.host.complaints
        && response.contains(Known::XEnvoyImmediateHealthCheckFail)
    {
        pool.host.exclude();
        complaints.unwell();
    }
    note_report(pool, response)
}

/// Notes what the host reports of itself; whether it does. To be called for trailers where headers had no report.
#[inline]
pub(super) fn note_report(pool: &HostPool, fields: &Headers) -> bool {
    if pool.host.ledger.is_none() {
        return false;
    }
    let report = orca::Report::of(fields);
    if let Some(report) = &report {
        pool.cluster.note_report(&pool.host, report);
    }
    report.is_some()
}

/// What an answer is: that which stands for its gRPC status where the request is gRPC, or else its status, of which the
/// cluster's own matcher may say that it is an error or none.
pub(super) fn answered(
    pool: &HostPool,
    status: u16,
    request: &Headers,
    response: &Headers,
) -> outlier::Report {
    let grpc_status = response.get(Known::GrpcStatus).filter(|_| is_grpc(request));
    let is_error = pool.cluster.config.http.error_matcher.as_ref().map(|matcher| matcher.matches(response));
    outlier::Report::Answered {
        status: match (grpc_status, is_error) {
            (Some(grpc_status), _) => of_grpc(grpc_status),
            (None, None) => status,
            (None, Some(true)) => status.max(500),
            (None, Some(false)) => 200,
        },
        degraded: response.contains(Known::XEnvoyDegraded),
    }
}

/// What a time that is over says of the host, which has not answered if `awaited`; the client is answered with `status`.
pub(super) fn timed_out(interrupt: Interrupt, awaited: bool, status: u16) -> Option<outlier::Report> {
    let late = match interrupt {
        Interrupt::ResponseTimeout => awaited,
        Interrupt::PerTryTimeout | Interrupt::PerTryIdle => true,
        _ => false,
    };
    late.then_some(outlier::Report::TimedOut(status))
}

/// The HTTP status that stands for one of gRPC, as Envoy has it.
pub(super) fn of_grpc(status: &[u8]) -> u16 {
    match status {
        b"0" => 200,
        b"1" => 499,
        b"3" | b"9" | b"11" => 400,
        b"4" => 504,
        b"5" => 404,
        b"6" | b"10" => 409,
        b"7" => 403,
        b"8" => 429,
        b"12" => 501,
        b"14" => 503,
        b"16" => 401,
        // Unknown, internal, data loss, and what is no status.
        _ => 500,
    }
}
