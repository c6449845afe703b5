//! Incremental xDS: a response says what changed.
//!
//! A request may answer a response (its nonce is in it), change the names, or both. The versions in hand are
//! told with the first request of a stream, so that a server sends only what is new. A rejected resource keeps
//! the version it had: a new stream asks for it again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

use super::lifetime::Lifetimes;
use super::message::{Interest, Resource, Response, Token, Verdict, type_url};
use super::unpack::{self, Item};
use super::variant::{Received, Refusal, Variant};

/// The name that asks for everything.
const WILDCARD: &str = "*";

/// One type of an incremental stream.
#[derive(Debug)]
pub struct Delta {
    type_url: String,
    interest: Interest,
    /// What is in force, by name; kept over streams.
    held: BTreeMap<String, Held>,
    /// Counts streams.
    stream: u64,
    connected: bool,
    /// Counts responses.
    sequence: u64,
    unsettled: HashMap<u64, Unsettled>,
    lifetimes: Lifetimes,
}

#[derive(Debug)]
struct Held {
    version: String,
    /// The response that brought it.
    sequence: u64,
}

/// A response that was delivered and not yet answered.
#[derive(Debug)]
struct Unsettled {
    stream: u64,
    nonce: String,
    versions: Vec<(String, String)>,
    removed: Vec<String>,
}

impl Delta {
    fn request(&self) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest { type_url: self.type_url.clone(), ..DeltaDiscoveryRequest::default() }
    }

    fn answer(&self, nonce: String, refusal: Option<Refusal>) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            response_nonce: nonce,
            error_detail: refusal.map(Refusal::into_status),
            ..self.request()
        }
    }

    /// What a new stream is told.
    ///
    /// A response of an old stream may be accepted yet. Its new names are mentioned without a version, so that the
    /// server sends them again or says that they are gone; not mentioned, one that went meanwhile would stay.
    fn versions_in_hand(&self) -> HashMap<String, String> {
        let unsettled = self.unsettled.values().flat_map(|unsettled| &unsettled.versions);
        let pending = unsettled.filter(|(name, _)| self.interest.wants(name));
        let pending = pending.map(|(name, _)| (name.clone(), String::new()));
        pending.chain(self.held.iter().map(|(name, held)| (name.clone(), held.version.clone()))).collect()
    }

    /// Puts what was accepted of a response on record, unless something later is there already.
    fn accept(&mut self, sequence: u64, unsettled: &mut Unsettled, rejected: &[String]) {
        for name in &unsettled.removed {
            if self.held.get(name).is_some_and(|held| held.sequence < sequence) {
                self.held.remove(name);
            }
        }
        for (name, version) in unsettled.versions.drain(..) {
            let later = self.held.get(&name).is_some_and(|held| held.sequence > sequence);
            if !later && !rejected.contains(&name) && self.interest.wants(&name) {
                self.held.insert(name, Held { version, sequence });
            }
        }
    }

    fn deliver(&mut self, response: DeltaDiscoveryResponse, items: Vec<Item>, now: Instant) -> Response {
        let (mut kept, mut aliases) = (Vec::new(), Vec::new());
        let mut resources = Vec::with_capacity(items.len());
        for Item { name, version, body, ttl, aliases: others } in items {
            self.lifetimes.set(&name, ttl, now);
            aliases.extend(others);
            match body {
                Some(value) => resources.push(Resource { name, version, value }),
                None => kept.push(name),
            }
        }
        response.removed_resources.iter().for_each(|name| self.lifetimes.forget(name));
        let unsettled = Unsettled {
            stream: self.stream,
            nonce: response.nonce,
            versions: resources.iter().map(|one| (one.name.clone(), one.version.clone())).collect(),
            removed: response.removed_resources.clone(),
        };
        self.unsettled.insert(self.sequence, unsettled);
        Response {
            version: response.system_version_info,
            resources,
            kept,
            removed: response.removed_resources,
            aliases,
            passed_over: 0,
            full: false,
            token: Token { stream: self.stream, sequence: self.sequence },
        }
    }
}

impl Variant for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    const DELTA: bool = true;

    fn new(type_url: &str, interest: Interest) -> Self {
        Delta {
            type_url: type_url.to_owned(),
            interest,
            held: BTreeMap::new(),
            stream: 0,
            connected: false,
            sequence: 0,
            unsettled: HashMap::new(),
            lifetimes: Lifetimes::default(),
        }
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }

    fn connect(&mut self) -> Option<DeltaDiscoveryRequest> {
        self.stream += 1;
        self.connected = true;
        let names = match &self.interest {
            // A first request without names is how a wildcard is asked for.
            Interest::Wildcard => Vec::new(),
            Interest::Names(names) if names.is_empty() => return None,
            Interest::Names(names) => names.iter().cloned().collect(),
            Interest::WildcardAnd(names) if names.is_empty() => Vec::new(),
            Interest::WildcardAnd(names) => {
                std::iter::once(WILDCARD.to_owned()).chain(names.iter().cloned()).collect()
            }
        };
        Some(DeltaDiscoveryRequest {
            resource_names_subscribe: names,
            initial_resource_versions: self.versions_in_hand(),
            ..self.request()
        })
    }

    fn disconnect(&mut self) {
        self.connected = false;
    }

    fn set_names(&mut self, names: BTreeSet<String>) -> Option<DeltaDiscoveryRequest> {
        let (Interest::Names(old) | Interest::WildcardAnd(old)) = &self.interest else { return None };
        let subscribe: Vec<String> = names.difference(old).cloned().collect();
        let unsubscribe: Vec<String> = old.difference(&names).cloned().collect();
        match self.interest {
            // What is not asked for by name is still wanted.
            Interest::WildcardAnd(_) => self.interest = Interest::WildcardAnd(names),
            Interest::Names(_) | Interest::Wildcard => {
                for name in &unsubscribe {
                    self.held.remove(name);
                    self.lifetimes.forget(name);
                }
                self.interest = Interest::Names(names);
            }
        }
        let changed = !subscribe.is_empty() || !unsubscribe.is_empty();
        (self.connected && changed).then(|| DeltaDiscoveryRequest {
            resource_names_subscribe: subscribe,
            resource_names_unsubscribe: unsubscribe,
            ..self.request()
        })
    }

    fn receive(
        &mut self,
        mut response: DeltaDiscoveryResponse,
        now: Instant,
    ) -> Received<DeltaDiscoveryRequest> {
        self.sequence += 1;
        let resources = std::mem::take(&mut response.resources);
        let mut items = match unpack::delta(resources, &response.removed_resources, &self.type_url) {
            Ok(items) => items,
            Err(error) => {
                let request = self.answer(response.nonce, Some(Refusal::of_response(&error)));
                return Received::Rejected { request, version: response.system_version_info, error };
            }
        };
        items.retain(|item| self.interest.wants(&item.name));
        response.removed_resources.retain(|name| self.interest.wants(name));
        // A virtual host without a body is none: nobody answers to its name.
        let heartbeats = self.type_url != type_url::VIRTUAL_HOST;
        let only_heartbeats = heartbeats && !items.is_empty() && items.iter().all(|item| item.body.is_none());
        if only_heartbeats && response.removed_resources.is_empty() {
            items.iter().for_each(|item| self.lifetimes.set(&item.name, item.ttl, now));
            return Received::Refreshed(self.answer(response.nonce, None));
        }
        Received::Delivered(self.deliver(response, items, now))
    }

    fn settle(&mut self, token: Token, verdict: Verdict) -> Option<DeltaDiscoveryRequest> {
        let mut unsettled = self.unsettled.remove(&token.sequence)?;
        let refusal = match verdict {
            Verdict::Ack => {
                self.accept(token.sequence, &mut unsettled, &[]);
                None
            }
            Verdict::Nack { error, details, rejected } => {
                if !rejected.is_empty() {
                    self.accept(token.sequence, &mut unsettled, &rejected);
                }
                Some(Refusal { error, details })
            }
        };
        let answers = self.connected && unsettled.stream == self.stream;
        answers.then(|| self.answer(unsettled.nonce, refusal))
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.lifetimes.next()
    }

    fn expire(&mut self, now: Instant) -> Vec<String> {
        let expired = self.lifetimes.expire(now);
        expired.iter().for_each(|name| drop(self.held.remove(name)));
        expired
    }

    fn type_url(response: &DeltaDiscoveryResponse) -> &str {
        &response.type_url
    }

    fn control_plane(response: &DeltaDiscoveryResponse) -> Option<&str> {
        response.control_plane.as_ref().map(|plane| &plane.identifier[..])
    }

    fn identify(request: &mut DeltaDiscoveryRequest, node: &Node) {
        request.node = Some(node.clone());
    }
}

#[cfg(test)]
mod tests;
