//! What the answer to a check says of the host.

use bytes::BytesMut;

use super::session::{Failure, Verdict};
use crate::base::headers::{Headers, Known};
use crate::config::cluster::{HttpHealthCheck, StatusRange};
use crate::config::runtime::Values;
use crate::route::grpc_timeout::is_grpc;

/// An answer: its status, headers and what is looked at of its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: BytesMut,
    pub(super) trailers: Option<Box<Headers>>,
}

/// What an answer says of the host.
pub(super) fn judge(
    check: &HttpHealthCheck,
    answer: &Answer,
    runtime: &Values,
    verified: impl FnOnce(),
) -> Verdict {
    let excluded = answer.headers.contains(Known::XEnvoyImmediateHealthCheckFail);
    let failed =
        |retriable, excluded| Verdict::Failed(Failure::Active { retriable, status: answer.status, excluded });
    if !check.receive.is_in(&answer.body) {
        return failed(false, excluded);
    }
    let within = |ranges: &[StatusRange]| ranges.iter().any(|range| range.contains(answer.status));
    if !within(&check.expected) {
        return failed(within(&check.retriable), excluded);
    }
    // A share of 100 percent, unless the runtime says less.
    let wanted =
        check.service_name.as_ref().filter(|_| runtime.integer("health_check.verify_cluster", 100) > 0);
    if let Some(matcher) = wanted {
        verified();
        let named = answer.headers.get_by_name(b"x-envoy-upstream-healthchecked-cluster");
        if !matcher.matches(named.unwrap_or_default()) {
            return failed(false, false);
        }
    }
    Verdict::Passed { degraded: answer.headers.contains(Known::XEnvoyDegraded) }
}

/// What the answer to a call of `grpc.health.v1.Health/Check` says of the host: it is well where the call is, and says
/// `SERVING`.
pub(super) fn judge_call(answer: &Answer) -> Verdict {
    let is_call = answer.status == 200 && is_grpc(&answer.headers);
    let end = answer.trailers.as_deref().unwrap_or(&answer.headers);
    let is_ok = end.get(Known::GrpcStatus) == Some(b"0");
    // One uncompressed message, whose only field is the status; 1 is SERVING.
    let serves = *answer.body == [0, 0, 0, 0, 2, 8, 1];
    match is_call && is_ok && serves {
        true => Verdict::Passed { degraded: answer.headers.contains(Known::XEnvoyDegraded) },
        false => Verdict::Failed(Failure::Active { retriable: false, status: 0, excluded: false }),
    }
}
