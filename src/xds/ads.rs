//! Several types over one stream: ADS. A stream of its own for one type is the case of one.
//!
//! Requests go out in the order in which their reasons arose; a new stream asks for the types in the order in
//! which they were subscribed to.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node;

use super::fetch::Waiting;
use super::message::{Event, Interest, Notice, Response, SubscriptionId, Token, Verdict};
use super::variant::{Received, Variant};

/// The client's side of a stream and those that follow it. Decides, without I/O.
#[derive(Debug)]
pub struct Ads<V: Variant> {
    node: Node,
    /// `ApiConfigSource.set_node_on_first_message_only`
    node_on_first_message_only: bool,
    /// The next request is the first of its stream.
    first: bool,
    connected: bool,
    types: Vec<Typed<V>>,
    outbox: VecDeque<V::Request>,
}

#[derive(Debug)]
struct Typed<V> {
    id: SubscriptionId,
    type_url: String,
    state: V,
    waiting: Waiting,
}

impl<V: Variant> Ads<V> {
    /// Nothing subscribed, no stream.
    pub fn new(node: Node, node_on_first_message_only: bool) -> Self {
        Ads {
            node,
            node_on_first_message_only,
            first: true,
            connected: false,
            types: Vec::new(),
            outbox: VecDeque::new(),
        }
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_idle(&self) -> bool {
        self.types.is_empty()
    }

    /// All subscriptions, in their order.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.types.iter().map(|typed| typed.id)
    }

    /// Wants resources of a type from now on. A subscription that has the type already loses it to this one.
    pub fn subscribe(
        &mut self,
        id: SubscriptionId,
        type_url: &str,
        interest: Interest,
        fetch_timeout: Duration,
        now: Instant,
    ) {
        self.remove(|typed| typed.type_url == type_url);
        let mut waiting = Waiting::new(fetch_timeout);
        match &interest {
            Interest::Wildcard | Interest::WildcardAnd(_) => waiting.expect_any(now),
            Interest::Names(names) => waiting.expect(names.iter().cloned().collect(), now),
        }
        let mut state = V::new(type_url, interest);
        if self.connected {
            self.outbox.extend(state.connect());
        }
        self.types.push(Typed { id, type_url: type_url.to_owned(), state, waiting });
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        self.remove(|typed| typed.id == id);
    }

    fn remove(&mut self, which: impl Fn(&Typed<V>) -> bool) {
        let Some(at) = self.types.iter().position(which) else { return };
        let mut typed = self.types.remove(at);
        self.outbox.extend(typed.state.set_names(BTreeSet::new()));
    }

    /// Wants these names from now on.
    pub fn set_names(&mut self, id: SubscriptionId, names: BTreeSet<String>, now: Instant) {
        let Some(typed) = self.types.iter_mut().find(|typed| typed.id == id) else { return };
        if let Interest::Names(old) = typed.state.interest() {
            old.difference(&names).for_each(|name| typed.waiting.arrived(name));
            typed.waiting.expect(names.difference(old).cloned().collect(), now);
        }
        self.outbox.extend(typed.state.set_names(names));
    }

    /// Answers a response.
    pub fn settle(&mut self, id: SubscriptionId, token: Token, verdict: Verdict) {
        if let Some(typed) = self.types.iter_mut().find(|typed| typed.id == id) {
            self.outbox.extend(typed.state.settle(token, verdict));
        }
    }

    /// A new stream begins: its first requests are in the outbox.
    pub fn connect(&mut self) {
        self.connected = true;
        self.first = true;
        self.outbox = self.types.iter_mut().filter_map(|typed| typed.state.connect()).collect();
    }

    /// The stream is gone, and what was to be sent on it.
    pub fn disconnect(&mut self) {
        self.connected = false;
        self.outbox.clear();
        self.types.iter_mut().for_each(|typed| typed.state.disconnect());
    }

    /// A response came. `None` when its type was not asked for, or when nobody has to know.
    pub fn receive(&mut self, response: V::Response, now: Instant) -> Option<Notice> {
        let type_url = V::type_url(&response);
        let typed = self.types.iter_mut().find(|typed| typed.type_url == type_url)?;
        typed.waiting.answered();
        let event = match typed.state.receive(response, now) {
            Received::Delivered(response) => {
                typed.note_arrivals(&response);
                Event::Response(response)
            }
            Received::Refreshed(request) => {
                self.outbox.push_back(request);
                return None;
            }
            Received::Rejected { request, version, error } => {
                self.outbox.push_back(request);
                Event::Rejected { version, error }
            }
        };
        Some(Notice { subscription: typed.id, event })
    }

    /// The next request to send.
    pub fn next_request(&mut self) -> Option<V::Request> {
        let mut request = self.outbox.pop_front()?;
        if self.first || !self.node_on_first_message_only {
            V::identify(&mut request, &self.node);
        }
        self.first = false;
        Some(request)
    }

    /// When [`expire`](Self::expire) has something to say.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let of_type = |typed: &mut Typed<V>| [typed.waiting.next(), typed.state.next_expiry()];
        self.types.iter_mut().flat_map(of_type).flatten().min()
    }

    /// What time has ended: waiting for first answers, and resources' lives.
    pub fn expire(&mut self, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        for typed in &mut self.types {
            let late = typed.waiting.expire(now).map(|names| Event::FetchTimedOut { names });
            let expired = Some(typed.state.expire(now)).filter(|names| !names.is_empty());
            let events = late.into_iter().chain(expired.map(|names| Event::Expired { names }));
            notices.extend(events.map(|event| Notice { subscription: typed.id, event }));
        }
        notices
    }
}

impl<V> Typed<V> {
    fn note_arrivals(&mut self, response: &Response) {
        response.resources.iter().for_each(|resource| self.waiting.arrived(&resource.name));
        response.removed.iter().chain(&response.kept).for_each(|name| self.waiting.arrived(name));
    }
}

#[cfg(test)]
mod tests;
