//! What the service answers, as far as headers tell of it: `envoy.service.ratelimit.v3.RateLimitResponse`.

use std::fmt::Write as _;

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;

use super::response::DescriptorStatus;
use crate::base::headers::{Headers, Name};
use crate::route::mutation::{Part, add};

/// Adds headers that the service gives. Those that are none are left out, which Envoy would send.
pub(super) fn add_all(headers: &mut Headers, given: &[HeaderValue], part: Part) {
    for HeaderValue { key, value, .. } in given {
        let key = key.to_ascii_lowercase();
        let is_name = http::HeaderName::from_bytes(key.as_bytes()).is_ok();
        if is_name && http::HeaderValue::from_str(value).is_ok() {
            add(headers, Name::new(key.as_bytes()), value.as_bytes(), part);
        }
    }
}

/// Adds the headers of the draft "RateLimit Header Fields for HTTP" in its version 03: the limit that is nearest, and
/// all quotas.
pub(super) fn add_x_ratelimit(headers: &mut Headers, statuses: &[DescriptorStatus]) {
    let limits = || statuses.iter().filter_map(|status| Some((status, status.current_limit.as_ref()?)));
    // Of several that are as near the first.
    let Some((nearest, limit)) = limits().min_by_key(|(status, _)| status.limit_remaining) else { return };
    let mut quotas = limit.requests_per_unit.to_string();
    for (_, limit) in limits() {
        let Some(window) = limit.window() else { continue };
        // A text takes every write.
        let _written = write!(quotas, ", {};w={window}", limit.requests_per_unit);
        if !limit.name.is_empty() {
            let _written = write!(quotas, ";name=\"{}\"", limit.name);
        }
    }
    let mut tell = |name: &str, value: &str| {
        if http::HeaderValue::from_str(value).is_ok() {
            headers.append(Name::new(name.as_bytes()), value.as_bytes());
        }
    };
    tell("x-ratelimit-limit", &quotas);
    tell("x-ratelimit-remaining", itoa::Buffer::new().format(nearest.limit_remaining));
    tell("x-ratelimit-reset", itoa::Buffer::new().format(reset(nearest)));
}

/// When the client may come back, in seconds: when all limits are open again that it is over.
pub(super) fn retry_after(statuses: &[DescriptorStatus]) -> Option<i64> {
    let over = statuses.iter().filter(|status| status.code() == Code::OverLimit);
    over.map(|status| reset(status).max(1)).max()
}

/// Whole seconds until a limit is open again.
fn reset(status: &DescriptorStatus) -> i64 {
    status.duration_until_reset.as_ref().map_or(0, |duration| duration.seconds)
}
