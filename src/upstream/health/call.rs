//! What the answer to a call of `grpc.health.v1.Health/Check` says of the host.
//!
//! It is judged as it comes, as in Envoy: what cannot be a good answer any more is a bad one at once.

use prost::Message as _;

use super::answer::Answer;
use super::session::{Failure, Verdict};
use crate::base::headers::{Headers, Known};
use crate::route::grpc_timeout::is_grpc;

/// `HealthCheckResponse.ServingStatus.SERVING`
const SERVING: i32 = 1;

/// `grpc.health.v1.HealthCheckResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// What came is no message, or more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// What the answer says as far as it has come; `None` where that is still open. A host is well where the call is, and says
/// `SERVING`; of being degraded calls know nothing.
pub(super) fn judge(answer: &Answer) -> Option<Verdict> {
    let failed = Verdict::Failed(Failure::Active { retriable: false, status: 0, excluded: false });
    if answer.status != 200 || !is_grpc(&answer.headers) {
        return Some(failed);
    }
    let Ok(message) = only_message(&answer.body) else { return Some(failed) };
    let Some(trailers) = &answer.trailers else { return answer.ended.then_some(failed) };
    let serves = message.is_some_and(|message| message.status == SERVING);
    Some(if serves && is_ok(trailers) { Verdict::Passed { degraded: false } } else { failed })
}

fn is_ok(trailers: &Headers) -> bool {
    let status = trailers.get(Known::GrpcStatus).and_then(|status| std::str::from_utf8(status).ok());
    status.is_some_and(|status| status.parse() == Ok(0_u64))
}

/// The one message of a body, if it has come whole. Those without content are none.
fn only_message(mut body: &[u8]) -> Result<Option<HealthCheckResponse>, Malformed> {
    let mut found = None;
    while let Some(([flags, length @ ..], rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((message, rest)) = rest.split_at_checked(length) else { break };
        body = rest;
        // The lowest bit says that it is compressed, which nobody has agreed on; the others say nothing.
        match (length, *flags) {
            (0, 0 | 1) => {}
            (_, 0) if found.is_none() => {
                found = Some(HealthCheckResponse::decode(message).map_err(|_| Malformed)?);
            }
            _ => return Err(Malformed),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    const SERVES: &[u8] = b"\0\0\0\0\x02\x08\x01";

    /// Whether the host is well: `None` where that is still open.
    fn is_well(body: &[u8], trailers: Option<&str>, ended: bool) -> Option<bool> {
        let mut headers = Headers::new();
        headers.set(Known::ContentType, b"application/grpc");
        let trailers = trailers.map(|status| {
            let mut trailers = Headers::new();
            trailers.set(Known::GrpcStatus, status.as_bytes());
            Box::new(trailers)
        });
        let answer = Answer { status: 200, headers, body: BytesMut::from(body), trailers, ended };
        judge(&answer).map(|verdict| verdict == Verdict::Passed { degraded: false })
    }

    #[test]
    fn a_host_is_well_that_serves_and_ends_its_call_well() {
        for (body, expected) in [
            (SERVES, true),
            (b"\0\0\0\0\x02\x08\x02", false),
            (b"\0\0\0\0\0", false),
            (b"\0\0\0\0\0\0\0\0\0\x02\x08\x01", true),
            (b"\0\0\0\0\x04\x08\x01\x10\x05", true),
            (b"\0\0\0\0\x04\x08\x02\x08\x01", true),
            (b"\0\0\0\0\x03\x08\x01", false),
            (b"", false),
        ] {
            assert_eq!(is_well(body, Some("0"), false), Some(expected), "{body:?}");
        }
        assert_eq!(is_well(SERVES, Some("00"), false), Some(true));
        assert_eq!(is_well(SERVES, Some("2"), false), Some(false));
        assert_eq!(is_well(SERVES, Some("x"), false), Some(false));
    }

    #[test]
    fn what_cannot_be_a_good_answer_is_a_bad_one_at_once() {
        for (body, expected) in [
            (&b""[..], None),
            (SERVES, None),
            (&SERVES[..6], None),
            (b"\x01\0\0\0\x02\x08\x01", Some(false)),
            (b"\0\0\0\0\x02\xff\xff", Some(false)),
            (&[SERVES, SERVES].concat(), Some(false)),
        ] {
            assert_eq!(is_well(body, None, false), expected, "{body:?}");
        }
        assert_eq!(is_well(SERVES, None, true), Some(false), "an end without a status");
    }
}
