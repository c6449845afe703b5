//! Whether a request is tried again, and after how long: the rules of `envoy.config.route.v3.RetryPolicy` and of the
//! `x-envoy-*` headers beside it.

use std::time::{Duration, SystemTime};

use crate::base::back_off::BackOff;
use crate::base::headers::{Headers, Known};
use crate::base::random::Rng;
use crate::config::route::{RateLimitedBackOff, RetryBackOff, RetryOn, RetryPolicy};

/// The policy of a route without one, for requests that ask for retries themselves.
static NO_POLICY: RetryPolicy = RetryPolicy::NONE;

/// The limits of pauses are in this range when nothing is configured: from the base to so many times that.
const DEFAULT_MAX_TO_BASE: u32 = 10;

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// A circuit breaker did not let the request through.
    Overflow,
    /// No connection to the host.
    ConnectFailure,
    /// The host told that it did nothing about the request.
    RefusedStream,
    /// The connection or the stream broke.
    Broken,
    /// The attempt took too long.
    TimedOut,
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Not at all.
    None,
    /// As long as the policy says.
    BackOff,
    /// As long as the response says, and up to half of that more.
    AtLeast(Duration),
}

/// The conditions on which one request is tried again, and how often it still may be.
#[derive(Debug)]
pub struct Retries<'p> {
    policy: &'p RetryPolicy,
    on: RetryOn,
    left: u64,
    /// Further statuses and headers, from the request.
    status_codes: Vec<u32>,
    header_names: Vec<Box<[u8]>>,
    back_off: BackOff,
}

impl<'p> Retries<'p> {
    /// What holds for a request, from its route and from its headers, which are taken out. `None` when it is never
    /// tried again. `default_base` is the limit of the first pause where the policy says nothing of it.
    pub fn new(
        policy: Option<&'p RetryPolicy>,
        request: &mut Headers,
        default_base: impl FnOnce() -> Duration,
    ) -> Option<Self> {
        let asks = request.contains(Known::XEnvoyRetryOn) || request.contains(Known::XEnvoyRetryGrpcOn);
        let wanted = asks || policy.is_some_and(|policy| !policy.retry_on.is_empty());
        let retries = wanted.then(|| Self::read(policy.unwrap_or(&NO_POLICY), request, default_base));
        for header in [
            Known::XEnvoyRetryOn,
            Known::XEnvoyRetryGrpcOn,
            Known::XEnvoyMaxRetries,
            Known::XEnvoyRetriableStatusCodes,
            Known::XEnvoyRetriableHeaderNames,
            Known::XEnvoyUpstreamRqPerTryTimeoutMs,
        ] {
            request.remove(header);
        }
        retries.filter(|retries| !retries.on.is_empty())
    }

    fn read(policy: &'p RetryPolicy, request: &Headers, default_base: impl FnOnce() -> Duration) -> Self {
        let asked = RetryOn::http(request.get(Known::XEnvoyRetryOn).unwrap_or_default())
            .and(RetryOn::grpc(request.get(Known::XEnvoyRetryGrpcOn).unwrap_or_default()));
        let matchers = &policy.retriable_request_headers;
        let may_be = matchers.is_empty() || matchers.iter().any(|header| header.matches(request));
        let max_retries = request.get(Known::XEnvoyMaxRetries).and_then(number);
        let back_off = policy.back_off.unwrap_or_else(|| {
            let base_interval = default_base();
            RetryBackOff { base_interval, max_interval: base_interval.saturating_mul(DEFAULT_MAX_TO_BASE) }
        });
        Retries {
            policy,
            on: if may_be { policy.retry_on.and(asked) } else { RetryOn::NOTHING },
            left: max_retries.unwrap_or(policy.num_retries.into()),
            status_codes: listed(request, Known::XEnvoyRetriableStatusCodes)
                .filter_map(|code| number(code).and_then(|code| u32::try_from(code).ok()))
                .collect(),
            header_names: listed(request, Known::XEnvoyRetriableHeaderNames)
                .map(|name| name.to_ascii_lowercase().into())
                .collect(),
            back_off: BackOff::new(back_off.base_interval, back_off.max_interval),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &'p RetryPolicy {
        self.policy
    }

    /// Whether the response calls for another attempt.
    pub fn of_response(&self, status: u16, response: &Headers, now: SystemTime) -> Option<Pause> {
        let pause = self.wanted_by(status, response)?;
        let asked = self.policy.rate_limited_back_off.as_ref().and_then(|rule| asked(rule, response, now));
        Some(match (pause, asked) {
            (Pause::BackOff, Some(asked)) => Pause::AtLeast(asked),
            _ => pause,
        })
    }

    fn wanted_by(&self, status: u16, response: &Headers) -> Option<Pause> {
        if response.get_by_name(b"x-envoy-ratelimited").is_some() {
            return self.on.has(RetryOn::ENVOY_RATELIMITED).then_some(Pause::BackOff);
        }
        let by_status = self.on.has(RetryOn::STATUS_5XX) && matches!(status, 500..=599)
            || self.on.has(RetryOn::GATEWAY_ERROR) && matches!(status, 502..=504)
            || self.on.has(RetryOn::RETRIABLE_4XX) && status == 409;
        if by_status {
            return Some(Pause::BackOff);
        }
        let mut codes = self.policy.retriable_status_codes.iter().chain(&self.status_codes);
        if self.on.has(RetryOn::RETRIABLE_STATUS_CODES) && codes.any(|code| *code == u32::from(status)) {
            // 425: the request came before the handshake was done, which it is now (RFC 8470 §5.2).
            return Some(if status == 425 { Pause::None } else { Pause::BackOff });
        }
        let by_header = self.on.has(RetryOn::RETRIABLE_HEADERS) && self.has_retriable_header(response);
        (by_header || self.on.has(grpc_condition(response))).then_some(Pause::BackOff)
    }

    fn has_retriable_header(&self, response: &Headers) -> bool {
        self.policy.retriable_headers.iter().any(|header| header.matches(response))
            || self.header_names.iter().any(|name| response.get_by_name(name).is_some())
    }

    /// Whether that there is no response calls for another attempt. `sent` says whether any attempt has sent anything.
    pub fn of_reset(&self, reset: Reset, sent: bool) -> Option<Pause> {
        let on = self.on;
        let wanted = match reset {
            Reset::Overflow => return None,
            Reset::ConnectFailure => on.has(RetryOn::CONNECT_FAILURE),
            Reset::RefusedStream => on.has(RetryOn::REFUSED_STREAM),
            Reset::Broken | Reset::TimedOut => false,
        };
        let any = RetryOn::RESET.and(RetryOn::STATUS_5XX).and(RetryOn::GATEWAY_ERROR);
        let unsent = !sent && on.has(RetryOn::RESET_BEFORE_REQUEST);
        (wanted || unsent || on.has(any)).then_some(Pause::BackOff)
    }

    /// Takes one of the retries that are left; false when there is none.
    pub fn take(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    /// The pause in time.
    pub fn duration(&mut self, pause: Pause, rng: &mut Rng) -> Duration {
        match pause {
            Pause::None => Duration::ZERO,
            Pause::BackOff => self.back_off.next_pause(rng),
            Pause::AtLeast(asked) => asked + rng.duration_below(asked / 2),
        }
    }
}

/// The condition that the gRPC status of a response fulfils.
fn grpc_condition(response: &Headers) -> RetryOn {
    match response.get(Known::GrpcStatus).and_then(number) {
        Some(1) => RetryOn::CANCELLED,
        Some(4) => RetryOn::DEADLINE_EXCEEDED,
        Some(8) => RetryOn::RESOURCE_EXHAUSTED,
        Some(13) => RetryOn::INTERNAL,
        Some(14) => RetryOn::UNAVAILABLE,
        _ => RetryOn::NOTHING,
    }
}

/// How long a response asks to wait: what the first header says that says something good, if more than a millisecond.
fn asked(rule: &RateLimitedBackOff, response: &Headers, now: SystemTime) -> Option<Duration> {
    let told = rule.reset_headers.iter().find_map(|header| {
        let seconds = Duration::from_secs(number(response.get_by_name(header.name.as_bytes())?)?);
        let told = match header.is_timestamp {
            false => seconds,
            true => {
                let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                seconds.checked_sub(since).filter(|left| !left.is_zero())?
            }
        };
        (told <= rule.max_interval).then_some(told)
    });
    told.filter(|told| told.as_millis() > 1)
}

/// The parts of a header's list with commas; empty ones are none.
fn listed(headers: &Headers, name: Known) -> impl Iterator<Item = &[u8]> {
    let list = headers.get(name).unwrap_or_default();
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

/// A decimal number; spaces around it and a plus are allowed.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::route::ResetHeader;

    const BASE: Duration = Duration::from_millis(25);

    fn policy(on: &str) -> RetryPolicy {
        let retry_on = RetryOn::http(on.as_bytes()).and(RetryOn::grpc(on.as_bytes()));
        RetryPolicy { retry_on, ..RetryPolicy::NONE }
    }

    fn headers(list: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        list.iter().for_each(|(name, value)| headers.append_received(name.as_bytes(), value.as_bytes()));
        headers
    }

    fn retries<'p>(policy: &'p RetryPolicy, request: &[(&str, &str)]) -> Option<Retries<'p>> {
        Retries::new(Some(policy), &mut headers(request), || BASE)
    }

    fn check(on: &str, status: u16, response: &[(&str, &str)], expected: Option<Pause>) {
        let policy = policy(on);
        let retries = retries(&policy, &[]).expect("a condition");
        let response = headers(response);
        assert_eq!(retries.of_response(status, &response, SystemTime::UNIX_EPOCH), expected, "{on} {status}");
    }

    #[test]
    fn responses_are_judged_by_status_and_headers() {
        let yes = Some(Pause::BackOff);
        check("5xx", 500, &[], yes);
        check("5xx", 404, &[], None);
        check("gateway-error", 503, &[], yes);
        check("gateway-error", 500, &[], None);
        check("retriable-4xx", 409, &[], yes);
        check("5xx", 503, &[("x-envoy-ratelimited", "true")], None);
        check("envoy-ratelimited", 200, &[("x-envoy-ratelimited", "true")], yes);
        check("unavailable", 200, &[("grpc-status", "14")], yes);
        check("unavailable", 200, &[("grpc-status", "13")], None);
        check("connect-failure", 503, &[], None);
    }

    #[test]
    fn resets_are_judged_by_their_cause() {
        use Reset::{Broken, ConnectFailure, Overflow, RefusedStream};
        for (on, reset, sent, expected) in [
            ("5xx,reset,connect-failure", Overflow, false, false),
            ("5xx", Broken, true, true),
            ("gateway-error", ConnectFailure, false, true),
            ("connect-failure", ConnectFailure, false, true),
            ("connect-failure", Broken, false, false),
            ("refused-stream", RefusedStream, true, true),
            ("refused-stream", ConnectFailure, true, false),
            ("reset-before-request", Broken, false, true),
            ("reset-before-request", Broken, true, false),
            ("retriable-4xx", Broken, false, false),
        ] {
            let policy = policy(on);
            let retries = retries(&policy, &[]).expect("a condition");
            assert_eq!(retries.of_reset(reset, sent).is_some(), expected, "{on} {reset:?} {sent}");
        }
    }

    #[test]
    fn the_request_asks_for_more_and_its_headers_are_taken_out() {
        let mut request = headers(&[
            ("x-envoy-retry-on", "retriable-status-codes,retriable-headers"),
            ("x-envoy-retriable-status-codes", "404, x,,425"),
            ("x-envoy-retriable-header-names", " X-Again "),
            ("x-envoy-max-retries", "3"),
        ]);
        let retries = Retries::new(None, &mut request, || BASE).expect("a condition");
        assert!(request.is_empty());
        assert_eq!(retries.left, 3);
        let none = Headers::new();
        assert_eq!(retries.of_response(404, &none, SystemTime::UNIX_EPOCH), Some(Pause::BackOff));
        assert_eq!(retries.of_response(425, &none, SystemTime::UNIX_EPOCH), Some(Pause::None));
        let again = headers(&[("x-again", "")]);
        assert_eq!(retries.of_response(200, &again, SystemTime::UNIX_EPOCH), Some(Pause::BackOff));
    }

    #[test]
    fn nothing_is_kept_for_a_request_that_is_never_retried() {
        assert!(retries(&policy(""), &[("x-envoy-max-retries", "3")]).is_none());
        assert!(retries(&policy(""), &[("x-envoy-retry-on", "nonsense")]).is_none());
        assert!(Retries::new(None, &mut Headers::new(), || BASE).is_none());
    }

    #[test]
    fn pauses_grow_up_to_ten_times_the_base_and_stay_below_their_limits() {
        let policy = RetryPolicy { num_retries: 2, ..policy("5xx") };
        let mut retries = retries(&policy, &[]).expect("a condition");
        let mut rng = Rng::seeded(11);
        for limit in [25, 50, 100, 200, 250, 250] {
            let pause = retries.duration(Pause::BackOff, &mut rng);
            assert!(pause < Duration::from_millis(limit), "{pause:?} {limit}");
        }
        assert_eq!([(); 3].map(|()| retries.take()), [true, true, false]);
    }

    #[test]
    fn a_response_may_say_how_long_to_wait() {
        let header = |name: &str, is_timestamp| ResetHeader { name: name.to_owned(), is_timestamp };
        let rule = RateLimitedBackOff {
            reset_headers: vec![header("retry-after", false), header("x-reset", true)],
            max_interval: Duration::from_secs(60),
        };
        let policy = RetryPolicy { rate_limited_back_off: Some(rule), ..policy("5xx") };
        let mut retries = retries(&policy, &[]).expect("a condition");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for (response, expected) in [
            (&[("retry-after", "5")][..], Pause::AtLeast(Duration::from_secs(5))),
            (&[("retry-after", "61"), ("x-reset", "1030")], Pause::AtLeast(Duration::from_secs(30))),
            (&[("retry-after", "soon")], Pause::BackOff),
            (&[("retry-after", "0")], Pause::BackOff),
            (&[("x-reset", "999")], Pause::BackOff),
        ] {
            assert_eq!(retries.of_response(503, &headers(response), now), Some(expected), "{response:?}");
        }
        let mut rng = Rng::seeded(3);
        let asked = Duration::from_secs(4);
        let pause = retries.duration(Pause::AtLeast(asked), &mut rng);
        assert!(pause >= asked && pause < asked + asked / 2);
    }
}
