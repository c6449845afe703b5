//! Retries that may do a thing twice.

use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, Route, VirtualHost};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;

use super::set::Set;
use crate::check::finding::Finding;

/// Conditions under which the request may have been worked on.
const AFTER_EFFECT: [&str; 7] = [
    "5xx",
    "gateway-error",
    "reset",
    "http3-post-connect-failure",
    "unavailable",
    "internal",
    "deadline-exceeded",
];

/// Methods that may be repeated (RFC 9110 §9.2.2).
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

/// A POST that is retried after an answer may have its effect twice.
pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for (route, host) in set.each_route() {
        let Some((path, retry_on)) = retry_on(route.message, host) else { continue };
        let risky: Vec<_> =
            retry_on.split(',').map(str::trim).filter(|on| AFTER_EFFECT.contains(on)).collect();
        let headers = route.message.r#match.iter().flat_map(|matched| &matched.headers);
        if !risky.is_empty() && !headers.into_iter().any(only_idempotent) {
            let reason = format!(
                "requests of every method are retried on {}, and a POST may have had its effect by then",
                risky.join(", ")
            );
            findings.push(route.warning("retry-non-idempotent", path, reason));
        }
    }
}

/// The conditions of the policy in force, and where it stands.
fn retry_on<'m>(route: &'m Route, host: &'m VirtualHost) -> Option<(&'static str, &'m str)> {
    let Some(Action::Route(action)) = &route.action else { return None };
    match (&action.retry_policy, &host.retry_policy) {
        (Some(policy), _) => Some(("route.retry_policy.retry_on", &policy.retry_on)),
        (None, Some(policy)) => Some(("", &policy.retry_on)),
        (None, None) => None,
    }
}

fn only_idempotent(header: &HeaderMatcher) -> bool {
    #[expect(deprecated, reason = "older forms are still in use")]
    let method = match &header.header_match_specifier {
        Some(HeaderMatchSpecifier::ExactMatch(method)) => method,
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => match &matcher.match_pattern {
            Some(MatchPattern::Exact(method)) => method,
            _ => return false,
        },
        _ => return false,
    };
    header.name == ":method" && !header.invert_match && IDEMPOTENT.contains(&method.as_str())
}
