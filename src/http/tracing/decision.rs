//! Which requests are traced: Envoy's `ConnectionManagerUtility::mutateTracingRequestHeader`.
//!
//! The first digits of `x-request-id` are the random number by which shares are taken, so that all proxies on the way
//! of a request decide alike; one digit of the id tells those behind why it is traced.

use crate::base::headers::{Headers, Known};
use crate::base::uuid;
use crate::config::http_connection_manager::UuidRequestId;
use crate::config::runtime::Values;
use crate::config::tracing::Sampling;
use crate::observability::stream_info::TraceReason;

/// The header by which clients ask for a trace.
pub(super) const CLIENT_TRACE_ID: &[u8] = b"x-client-trace-id";

/// The length of a UUID.
const LENGTH: usize = 36;
/// The digit of it that tells the reason: that of the version.
const PLACE: usize = 14;

/// Whether a request is traced, and why. Its id tells so from here on. `random` gives a random number.
pub(super) fn decide(
    request: &mut Headers,
    extension: UuidRequestId,
    sampling: &Sampling,
    runtime: &Values,
    random: impl FnOnce() -> u64,
) -> TraceReason {
    if !extension.use_request_id_for_trace_sampling {
        return TraceReason::Sampling;
    }
    let Some(number) = request.get(Known::XRequestId).and_then(uuid::number) else {
        return TraceReason::NotTraceable;
    };
    let number = number % 10_000;
    let takes = |key, share, number| runtime.fraction(key, share).takes(number);
    let packs = extension.pack_trace_reason;
    let told = if packs { told(request) } else { TraceReason::NotTraceable };
    let mut reason = told;
    if reason == TraceReason::NotTraceable {
        let asks = request.get_by_name(CLIENT_TRACE_ID).is_some();
        reason = if asks && takes("tracing.client_enabled", sampling.client, random()) {
            TraceReason::ClientForced
        } else if request.contains(Known::XEnvoyForceTrace) {
            TraceReason::ServiceForced
        } else if takes("tracing.random_sampling", sampling.random, number) {
            TraceReason::Sampling
        } else {
            TraceReason::NotTraceable
        };
    }
    if !takes("tracing.global_enabled", sampling.overall, number) {
        reason = TraceReason::NotTraceable;
    }
    if packs && reason != told {
        tell(request, reason);
    }
    reason
}

/// What the id says already.
fn told(request: &Headers) -> TraceReason {
    match request.get(Known::XRequestId) {
        Some(id) if id.len() == LENGTH => match id[PLACE] {
            b'9' => TraceReason::Sampling,
            b'a' => TraceReason::ServiceForced,
            b'b' => TraceReason::ClientForced,
            _ => TraceReason::NotTraceable,
        },
        _ => TraceReason::NotTraceable,
    }
}

fn tell(request: &mut Headers, reason: TraceReason) {
    let Some(mut id) = request.get(Known::XRequestId).and_then(|id| <[u8; LENGTH]>::try_from(id).ok()) else {
        return;
    };
    id[PLACE] = match reason {
        TraceReason::NotTraceable => b'4',
        TraceReason::Sampling => b'9',
        TraceReason::ServiceForced => b'a',
        TraceReason::ClientForced => b'b',
    };
    request.set(Known::XRequestId, &id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::runtime::Fraction;

    const ID: &str = "00000063-0000-4000-8000-000000000000";

    fn reason(share: u32, headers: &[(&str, &str)], extension: UuidRequestId) -> (TraceReason, String) {
        let mut request = Headers::new();
        for (name, value) in headers {
            request.append(crate::base::headers::Name::new(name.as_bytes()), value.as_bytes());
        }
        let random = Fraction { numerator: share, denominator: 10_000 };
        let sampling = Sampling { random, ..Sampling::default() };
        let reason = decide(&mut request, extension, &sampling, &Values::default(), || 0);
        let id = request.get(Known::XRequestId).unwrap_or_default();
        (reason, String::from_utf8_lossy(id).into_owned())
    }

    #[test]
    fn the_id_decides_and_tells() {
        let usual = UuidRequestId::default();
        assert_eq!(
            reason(100, &[("x-request-id", ID)], usual),
            (TraceReason::Sampling, ID.replace("-4", "-9"))
        );
        assert_eq!(reason(99, &[("x-request-id", ID)], usual), (TraceReason::NotTraceable, ID.to_owned()));
        assert_eq!(reason(10_000, &[("x-request-id", "short")], usual).0, TraceReason::NotTraceable);
        assert_eq!(reason(10_000, &[], usual).0, TraceReason::NotTraceable);
    }

    #[test]
    fn who_asks_is_traced_whatever_the_share() {
        let usual = UuidRequestId::default();
        let client = reason(0, &[("x-request-id", ID), ("x-client-trace-id", "c")], usual);
        assert_eq!(client, (TraceReason::ClientForced, ID.replace("-4", "-b")));
        let service = reason(0, &[("x-request-id", ID), ("x-envoy-force-trace", "1")], usual);
        assert_eq!(service, (TraceReason::ServiceForced, ID.replace("-4", "-a")));
    }

    #[test]
    fn an_id_that_is_not_packed_stays() {
        let plain = UuidRequestId { pack_trace_reason: false, ..UuidRequestId::default() };
        assert_eq!(reason(10_000, &[("x-request-id", ID)], plain), (TraceReason::Sampling, ID.to_owned()));
        let all = UuidRequestId { use_request_id_for_trace_sampling: false, ..UuidRequestId::default() };
        assert_eq!(reason(0, &[], all).0, TraceReason::Sampling);
    }
}
