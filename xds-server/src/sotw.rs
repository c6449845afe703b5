//! The state-of-the-world variant of the protocol, as a state machine without I/O.
//!
//! A request lists all names that the client wants of a type. A response to LDS, CDS or SRDS has all resources
//! that the client wants, since what is not in it does not exist; a response of another type has only what
//! changed, and nothing can be removed with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::util::pack_any;

use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::sequence::{Due, Sequence};
use crate::subscription::{Subscription, WILDCARD};

/// Takes a request into account.
pub(crate) fn receive(sequence: &mut Sequence, request: &DiscoveryRequest, now: Instant) {
    let (subscription, first) = sequence.subscription(&request.type_url);
    let nonce = request.response_nonce.as_str();
    let error = request.error_detail.as_ref().map(Refusal::of);
    let accepted = error.is_none();
    let settled = subscription.settle(nonce, error, now);
    if first || nonce.is_empty() || subscription.last_nonce().is_none() {
        subscription.start_over();
        set_names(subscription, &request.resource_names);
    } else if subscription.last_nonce() == Some(nonce) {
        let before = subscription.names().clone();
        set_names(subscription, &request.resource_names);
        if !settled && accepted && before == *subscription.names() {
            ask_again(subscription);
        }
    }
    // Any other nonce is stale: the client has not seen the newest response and speaks again once it has.
}

/// The names of a request become the subscription.
fn set_names(subscription: &mut Subscription, wanted: &[String]) {
    if wanted.is_empty() && !subscription.is_explicit() {
        if subscription.begins_with_all() && !subscription.is_wildcard() {
            subscription.subscribe_all();
        }
        return;
    }
    subscription.set_explicit();
    let mut wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let wildcard = wanted.remove(WILDCARD);
    if wildcard && !subscription.is_wildcard() {
        subscription.subscribe_all();
        subscription.demand_answer();
    } else if !wildcard {
        subscription.unsubscribe_all();
    }
    let had = subscription.names().clone();
    for name in had.iter().filter(|name| !wanted.contains(name.as_str())) {
        subscription.unsubscribe(name);
    }
    for name in wanted.into_iter().filter(|name| !had.contains(*name)) {
        subscription.subscribe(name);
    }
}

/// A client that repeats itself after its verdict wants what it has once more (Envoy does when a cluster
/// warms whose endpoints it had already).
fn ask_again(subscription: &mut Subscription) {
    if !subscription.is_full_state() {
        let names = subscription.names().clone();
        subscription.owe(names);
    }
}

/// The next response, if one is due.
pub(crate) fn next(sequence: &mut Sequence, now: Instant) -> Option<DiscoveryResponse> {
    loop {
        let due = sequence.next(now)?;
        if let Some((response, names)) = response(sequence, &due) {
            sequence.sent(&due, &response.version_info, names, now);
            return Some(response);
        }
    }
}

/// The response and the names in it. `None` for changes that this variant cannot express: removals of what is only
/// ever listed when present.
fn response(sequence: &Sequence, due: &Due) -> Option<(DiscoveryResponse, Vec<Arc<str>>)> {
    let subscription = sequence.of(due)?;
    let full_state = subscription.is_full_state();
    if !full_state && !due.changes.urgent && due.changes.updated.is_empty() {
        return None;
    }
    let listed: Vec<&Arc<Resource>> = match full_state {
        true => subscription.sent_resources().collect(),
        false => due.changes.updated.iter().collect(),
    };
    // With all resources also as a renewal: Envoy takes a list of heartbeats alone for a list of nothing.
    let heartbeats = due.renewal && !full_state;
    let pack = |one: &&Arc<Resource>| if heartbeats { pack_any(one.heartbeat()) } else { one.bare() };
    let response = DiscoveryResponse {
        version_info: subscription.version(),
        resources: listed.iter().map(pack).collect(),
        type_url: subscription.type_url().to_owned(),
        nonce: due.nonce.clone(),
        ..Default::default()
    };
    Some((response, listed.iter().map(|one| one.name.clone()).collect()))
}

#[cfg(test)]
mod tests;
