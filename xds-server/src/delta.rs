//! The incremental variant of the protocol, as a state machine without I/O.
//!
//! A request adds names to the subscription and takes others away; a response has only what changed, and the
//! names of what is gone. Verdicts and subscriptions are independent of each other: a request with an unknown
//! nonce still subscribes.

use std::time::Instant;

use envoy_types::pb::envoy::service::discovery::v3::{
    self as discovery, DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};

use crate::kind::VIRTUAL_HOST;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::sequence::{Due, Sequence};
use crate::subscription::{Subscription, WILDCARD};

/// Takes a request into account.
pub(crate) fn receive(sequence: &mut Sequence, request: &DeltaDiscoveryRequest, now: Instant) {
    let snapshot = sequence.snapshot().clone();
    let (subscription, first) = sequence.subscription(&request.type_url);
    let error = request.error_detail.as_ref().map(Refusal::of);
    subscription.settle(&request.response_nonce, error, now);
    if first {
        for (name, version) in &request.initial_resource_versions {
            subscription.claim(name, version);
        }
    }
    change_names(subscription, request, first);
    if first {
        subscription.settle_claims(&snapshot.collection(&request.type_url));
    }
}

fn change_names(subscription: &mut Subscription, request: &DeltaDiscoveryRequest, first: bool) {
    let (more, fewer) = (&request.resource_names_subscribe, &request.resource_names_unsubscribe);
    let asks_for_all = more.iter().any(|name| name == WILDCARD);
    if asks_for_all || (first && more.is_empty() && subscription.begins_with_all()) {
        subscription.subscribe_all();
        if request.initial_resource_versions.is_empty() {
            // The client has to learn that there is nothing, if there is nothing.
            subscription.demand_answer();
        }
    }
    for name in fewer {
        match name.as_str() {
            WILDCARD => subscription.unsubscribe_all(),
            name => subscription.unsubscribe(name),
        }
    }
    for name in more.iter().filter(|name| *name != WILDCARD) {
        subscription.subscribe(name);
    }
}

/// The next response, if one is due.
pub(crate) fn next(sequence: &mut Sequence, now: Instant) -> Option<DeltaDiscoveryResponse> {
    let due = sequence.next(now)?;
    let response = response(sequence, &due)?;
    let names = due.changes.updated.iter().map(|one| one.name.clone()).collect();
    sequence.sent(&due, &response.system_version_info, names, now);
    Some(response)
}

fn response(sequence: &Sequence, due: &Due) -> Option<DeltaDiscoveryResponse> {
    let subscription = sequence.of(due)?;
    let wrap = if due.renewal { Resource::heartbeat } else { Resource::wrapped };
    let mut resources: Vec<_> = due.changes.updated.iter().map(|resource| wrap(resource)).collect();
    let mut removed = due.changes.removed.clone();
    if subscription.type_url() == VIRTUAL_HOST {
        let asked = removed.extract_if(.., |name| due.changes.in_vain.contains(name));
        resources.extend(asked.map(unresolved));
    }
    Some(DeltaDiscoveryResponse {
        system_version_info: sequence.snapshot().collection(subscription.type_url()).version().to_owned(),
        resources,
        removed_resources: removed,
        type_url: subscription.type_url().to_owned(),
        nonce: due.nonce.clone(),
        ..Default::default()
    })
}

/// How VHDS says that no virtual host answers to a name: as an alias of nothing. A request waits for that.
fn unresolved(name: String) -> discovery::Resource {
    discovery::Resource { aliases: vec![name.clone()], name, ..Default::default() }
}

#[cfg(test)]
mod tests;
