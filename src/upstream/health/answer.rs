//! What the answer to a check says of the host; of answers to calls `call` does.

use bytes::BytesMut;

use super::session::{Failure, Verdict};
use crate::base::headers::{Headers, Known};
use crate::config::cluster::{HttpHealthCheck, StatusRange};
use crate::config::runtime::Values;

/// An answer: its status, headers and what is looked at of its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: BytesMut,
    pub(super) trailers: Option<Box<Headers>>,
    /// Whether it has come to its end, and not only so far as it says something.
    pub(super) ended: bool,
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
