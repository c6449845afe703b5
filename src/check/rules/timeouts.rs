//! What may wait without end.

use envoy_types::pb::envoy::config::route::v3::RouteAction;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::google::protobuf::Duration;

use super::set::Set;
use crate::check::finding::Finding;

const ID: &str = "missing-timeout";

/// Heads that never end, and requests without any limit.
pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for manager in &set.managers {
        let message = &manager.message;
        // Five minutes where it is not set, which is an end.
        if !message.stream_idle_timeout.as_ref().is_some_and(is_zero) {
            continue;
        }
        let reason = "a request on which nothing happens is kept for ever".to_owned();
        findings.push(manager.warning(ID, "stream_idle_timeout", reason));
        // A head that comes byte by byte is one on which nothing happens: it counts when it is complete.
        if message.request_headers_timeout.as_ref().is_none_or(is_zero) {
            let reason = "a client may take as long as it likes to send the head of a request".to_owned();
            findings.push(manager.warning(ID, "request_headers_timeout", reason));
        }
    }
    for (route, _) in set.each_route() {
        if let Some(Action::Route(action)) = &route.message.action
            && action.timeout.as_ref().is_some_and(is_zero)
            && !is_bounded(action)
        {
            let reason =
                "requests of this route may take for ever: neither idle_timeout nor max_stream_duration \
                          bounds them"
                    .to_owned();
            findings.push(route.warning(ID, "route.timeout", reason));
        }
    }
}

fn is_bounded(action: &RouteAction) -> bool {
    let longest =
        action.max_stream_duration.as_ref().and_then(|longest| longest.max_stream_duration.as_ref());
    [action.idle_timeout.as_ref(), longest].into_iter().flatten().any(|limit| !is_zero(limit))
}

fn is_zero(duration: &Duration) -> bool {
    duration.seconds == 0 && duration.nanos == 0
}
