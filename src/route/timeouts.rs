//! How long a request may take: what its route says, and headers that override it.

use std::time::Duration;

use crate::base::headers::{Headers, Known};
use crate::config::route::{MaxStreamDuration, RouteAction};
use crate::config::router::Router;

use super::{grpc_timeout, number};

/// How long a request may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the end of the request to the end of the response; `None` means no limit.
    pub global: Option<Duration>,
    /// For one attempt; `None` means that only `global` counts.
    pub per_try: Option<Duration>,
    /// Without a piece of the response, for one attempt; `None` means no limit.
    pub per_try_idle: Option<Duration>,
}

/// What the router's configuration says about timeouts in headers.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutHeaders {
    /// Tell the upstream in `x-envoy-expected-rq-timeout-ms`: `suppress_envoy_headers`, inverted.
    pub insert_expected: bool,
    /// Take the timeout from an `x-envoy-expected-rq-timeout-ms` of the request:
    /// `respect_expected_rq_timeout`.
    pub respect_expected: bool,
    /// Whether an attempt whose time is over may go on, so that a host has the time for all of them.
    pub hedges: bool,
}

impl TimeoutHeaders {
    /// From the router's configuration and what [`hedges`] says of the request.
    pub fn of(router: &Router, hedges: bool) -> Self {
        TimeoutHeaders {
            insert_expected: !router.suppress_envoy_headers,
            respect_expected: router.respect_expected_rq_timeout,
            hedges,
        }
    }
}

/// Whether another attempt begins beside one that takes longer than `per_try` allows: what the request's header
/// says, or else its route.
pub fn hedges(action: &RouteAction, headers: &Headers) -> bool {
    match headers.get(Known::XEnvoyHedgeOnPerTryTimeout) {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => action.hedge_on_per_try_timeout.unwrap_or_default(),
    }
}

/// The status of a response that takes too long: 204 where the request has
/// `x-envoy-upstream-rq-timeout-alt-response`, whatever that says, or else 504.
pub fn late_status(headers: &Headers) -> u16 {
    if headers.contains(Known::XEnvoyUpstreamRqTimeoutAltResponse) { 204 } else { 504 }
}

/// The timeouts of a request, from its route and from headers that override it; those are taken out.
///
/// Of requests from outside the connection manager has removed them before. In Envoy this comes before the
/// header mutations.
pub fn timeouts(action: &RouteAction, headers: &mut Headers, options: TimeoutHeaders) -> Timeouts {
    let by_header = match options.respect_expected && headers.contains(Known::XEnvoyExpectedRqTimeoutMs) {
        true => number(headers, Known::XEnvoyExpectedRqTimeoutMs.into()),
        false => taken(headers, Known::XEnvoyUpstreamRqTimeoutMs),
    };
    let grpc = grpc_timeout::is_grpc(headers);
    let global = by_header.map_or_else(|| configured_timeout(action, headers, grpc), milliseconds);
    let policy = action.retry_policy.as_ref();
    let configured = policy.and_then(|policy| policy.per_try_timeout);
    let per_try = taken(headers, Known::XEnvoyUpstreamRqPerTryTimeoutMs).map_or(configured, milliseconds);
    let per_try = per_try.filter(|per_try| global.is_none_or(|global| *per_try < global));
    let per_try_idle = policy.and_then(|policy| policy.per_try_idle_timeout);
    let timeouts = Timeouts { global, per_try, per_try_idle };
    tell_timeout(action, headers, timeouts, Duration::ZERO, options);
    timeouts
}

/// Tells the upstream how long an attempt may take, when so much time has gone by since the request was complete.
pub fn tell_timeout(
    action: &RouteAction,
    headers: &mut Headers,
    timeouts: Timeouts,
    elapsed: Duration,
    options: TimeoutHeaders,
) {
    let per_try = timeouts.per_try.filter(|_| !options.hedges);
    let Some(expected) = time_left(per_try, timeouts.global, elapsed) else { return };
    if options.insert_expected {
        tell_expected(headers, expected);
    }
    if action.max_stream_duration.is_none()
        && action.max_grpc_timeout.is_some()
        && grpc_timeout::is_grpc(headers)
    {
        grpc_timeout::write(headers, expected);
    }
}

/// The time of an attempt when so much has gone by of that of all; `None` where neither has a limit.
fn time_left(per_try: Option<Duration>, global: Option<Duration>, elapsed: Duration) -> Option<Duration> {
    /// What is told when no time is left: none at all would mean that there is no limit.
    const LEAST: Duration = Duration::from_millis(1);
    let expected = per_try.or(global).filter(|expected| expected.as_millis() > 0)?;
    // Whole milliseconds count.
    let elapsed = Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    let left = global.map(|global| global.saturating_sub(elapsed).max(LEAST));
    Some(left.map_or(expected, |left| expected.min(left)))
}

fn tell_expected(headers: &mut Headers, expected: Duration) {
    let mut text = itoa::Buffer::new();
    headers.set(Known::XEnvoyExpectedRqTimeoutMs, text.format(expected.as_millis()).as_bytes());
}

/// The time that a call may take, and one attempt of it, where its headers do not say otherwise; those are taken out.
pub fn timeouts_of_call(
    headers: &mut Headers,
    global: Option<Duration>,
    per_try: Option<Duration>,
) -> (Option<Duration>, Option<Duration>) {
    let global = taken(headers, Known::XEnvoyUpstreamRqTimeoutMs).map_or(global, milliseconds);
    let per_try = taken(headers, Known::XEnvoyUpstreamRqPerTryTimeoutMs).map_or(per_try, milliseconds);
    (global, per_try.filter(|per_try| global.is_none_or(|global| *per_try < global)))
}

/// Tells the host of a call how long an attempt of it may take, likewise.
pub fn tell_timeout_of_call(
    headers: &mut Headers,
    per_try: Option<Duration>,
    global: Option<Duration>,
    elapsed: Duration,
) {
    if let Some(expected) = time_left(per_try, global, elapsed) {
        tell_expected(headers, expected);
    }
}

/// The route's own timeout, or for gRPC requests that of `grpc-timeout` where the route asks for it.
fn configured_timeout(action: &RouteAction, headers: &Headers, grpc: bool) -> Option<Duration> {
    // A stream with a longest life is limited by that alone.
    if action.max_stream_duration.is_some() {
        return None;
    }
    let Some(max) = action.max_grpc_timeout.filter(|_| grpc) else {
        return action.timeout;
    };
    let asked = grpc_timeout::read(headers).unwrap_or_default();
    let offset = action.grpc_timeout_offset.unwrap_or_default();
    let asked = if offset < asked { asked - offset } else { asked };
    let limited = if !max.is_zero() && (asked.is_zero() || asked > max) { max } else { asked };
    Some(limited).filter(|timeout| !timeout.is_zero())
}

/// How long the stream of a request may live in all, where the route says something of it: `None` means no limit.
/// `default` is the connection manager's limit.
///
/// Tells a gRPC upstream in `grpc-timeout`.
pub fn stream_duration(
    route: &MaxStreamDuration,
    headers: &mut Headers,
    default: Option<Duration>,
) -> Option<Duration> {
    let duration = match (grpc_timeout::read(headers), route.grpc_timeout_header_max) {
        (Some(asked), Some(max)) => {
            let limited = if max.is_zero() { asked } else { asked.min(max) };
            Some(limited.saturating_sub(route.grpc_timeout_header_offset.unwrap_or_default()))
        }
        _ => match route.max_stream_duration {
            Some(duration) => Some(duration).filter(|duration| !duration.is_zero()),
            None => default,
        },
    };
    if let Some(duration) = duration
        && grpc_timeout::is_grpc(headers)
    {
        grpc_timeout::write(headers, duration);
    }
    duration
}

fn taken(headers: &mut Headers, name: Known) -> Option<u64> {
    let number = number(headers, name.into());
    headers.remove(name);
    number
}

/// Zero means no limit, and so does what Envoy's signed milliseconds cannot hold.
fn milliseconds(number: u64) -> Option<Duration> {
    i64::try_from(number).ok().filter(|number| *number > 0).map(|_| Duration::from_millis(number))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{request_with as with, route_action};

    use super::*;
    use crate::config::route::RetryPolicy;

    const ROUTERS_DEFAULT: TimeoutHeaders =
        TimeoutHeaders { insert_expected: true, respect_expected: false, hedges: false };

    fn per_try(global: u64, per_try: u64) -> RouteAction {
        let policy = RetryPolicy { per_try_timeout: milliseconds(per_try), ..RetryPolicy::NONE };
        RouteAction { timeout: milliseconds(global), retry_policy: Some(policy), ..route_action() }
    }

    /// The expectation is the `x-envoy-expected-rq-timeout-ms` that Envoy 1.40 sent.
    fn check(action: &RouteAction, received: &[(&str, &str)], expected: Option<&str>) {
        let mut headers = with(received);
        timeouts(action, &mut headers, ROUTERS_DEFAULT);
        assert_eq!(
            headers.get(Known::XEnvoyExpectedRqTimeoutMs),
            expected.map(str::as_bytes),
            "{received:?}"
        );
        assert!(!headers.contains(Known::XEnvoyUpstreamRqTimeoutMs));
    }

    #[test]
    fn a_header_overrides_the_routes_timeout() {
        let none = RouteAction { timeout: None, ..route_action() };
        let name = "x-envoy-upstream-rq-timeout-ms";
        check(&none, &[], None);
        check(&none, &[(name, "5"), (name, "7")], None);
        let cases = [
            ("250", Some("250")),
            ("0", None),
            ("abc", None),
            (" 5", Some("5")),
            ("-1", None),
            ("", None),
            ("99999999999999999999", None),
            ("18446744073709551615", None),
        ];
        for (value, expected) in cases {
            check(&none, &[(name, value)], expected);
        }
        check(&per_try(1000, 500), &[(name, "0")], Some("500"));
        check(&per_try(1000, 500), &[(name, "300")], Some("300"));
    }

    #[test]
    fn the_time_for_one_attempt_counts_only_below_the_whole() {
        let name = "x-envoy-upstream-rq-per-try-timeout-ms";
        check(&per_try(1000, 500), &[], Some("500"));
        check(&per_try(1000, 1000), &[], Some("1000"));
        check(&per_try(1000, 500), &[(name, "700")], Some("700"));
        check(&per_try(1000, 500), &[(name, "1700")], Some("1000"));
        check(&per_try(1000, 500), &[(name, "0")], Some("1000"));
    }

    #[test]
    fn an_expected_timeout_of_the_request_is_taken_only_where_configured() {
        let mut headers = with(&[("x-envoy-expected-rq-timeout-ms", "300")]);
        let respect = TimeoutHeaders { respect_expected: true, ..ROUTERS_DEFAULT };
        assert_eq!(timeouts(&route_action(), &mut headers, respect).global, milliseconds(300));
        check(&per_try(1000, 500), &[("x-envoy-expected-rq-timeout-ms", "300")], Some("500"));
    }

    #[test]
    fn a_host_of_attempts_beside_each_other_has_the_whole_time() {
        let mut headers = with(&[]);
        timeouts(&per_try(1000, 500), &mut headers, TimeoutHeaders { hedges: true, ..ROUTERS_DEFAULT });
        assert_eq!(headers.get(Known::XEnvoyExpectedRqTimeoutMs), Some(&b"1000"[..]));
    }

    #[test]
    fn a_header_counts_before_the_routes_policy_if_it_says_yes_or_no() {
        for (configured, header, expected) in [
            (None, "true", true),
            (Some(true), "false", false),
            (Some(true), "TRUE", true),
            (Some(false), "1", false),
        ] {
            let action = RouteAction { hedge_on_per_try_timeout: configured, ..route_action() };
            let headers = with(&[("x-envoy-hedge-on-per-try-timeout", header)]);
            assert_eq!(hedges(&action, &headers), expected, "{configured:?} {header}");
        }
    }

    #[test]
    fn a_request_may_ask_for_another_answer_to_a_timeout() {
        assert_eq!(late_status(&with(&[])), 504);
        assert_eq!(late_status(&with(&[("x-envoy-upstream-rq-timeout-alt-response", "0")])), 204);
    }

    #[test]
    fn headers_of_a_call_say_how_long_it_and_one_attempt_of_it_may_take() {
        const WHOLE: &str = "x-envoy-upstream-rq-timeout-ms";
        const ATTEMPT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";
        let configured = (Some(Duration::from_secs(5)), Some(Duration::from_secs(1)));
        let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
        for (headers, expected) in [
            (vec![], (Some(5000), Some(1000))),
            (vec![(WHOLE, "300")], (Some(300), None)),
            (vec![(WHOLE, "0")], (None, Some(1000))),
            (vec![(WHOLE, "soon")], (Some(5000), Some(1000))),
            (vec![(ATTEMPT, "300")], (Some(5000), Some(300))),
            (vec![(ATTEMPT, "6000")], (Some(5000), None)),
        ] {
            let mut request = with(&headers);
            let (whole, attempt) = timeouts_of_call(&mut request, configured.0, configured.1);
            assert_eq!((millis(whole), millis(attempt)), expected, "{headers:?}");
            assert!(!request.contains(Known::XEnvoyUpstreamRqTimeoutMs));
        }
    }
}
