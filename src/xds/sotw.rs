//! State-of-the-world xDS: each response of a wildcard type holds all its resources.
//!
//! A request says the names wanted, the version last accepted and the nonce last received; so an
//! acknowledgement, a rejection and a change of names are the same message. That is why a change of names waits
//! while a response is being worked on: sent with its nonce it would seem to answer it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use dragoman_proto::rejected::{ErrorKind, FieldError, RejectedResource};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use super::lifetime::Lifetimes;
use super::message::{Interest, Resource, Response, Token, Verdict, type_url};
use super::unpack::{self, Item};
use super::variant::{Received, Refusal, Variant};

/// One type of a state-of-the-world stream.
#[derive(Debug)]
pub struct Sotw {
    type_url: String,
    interest: Interest,
    /// Version of the latest response accepted; kept over streams.
    version: String,
    /// Which response that was.
    accepted: u64,
    /// Nonce of the latest response on this stream.
    nonce: String,
    /// Counts streams.
    stream: u64,
    connected: bool,
    /// Counts responses.
    sequence: u64,
    unsettled: BTreeMap<u64, Unsettled>,
    /// The server has been asked for something on this stream.
    asked: bool,
    /// The names are others than those last sent.
    names_changed: bool,
    lifetimes: Lifetimes,
}

/// A response that was delivered and not yet answered.
#[derive(Debug)]
struct Unsettled {
    stream: u64,
    version: String,
    /// Names that it had more than once. Whatever is said to the first of each, the others are rejected.
    repeated: Vec<String>,
}

/// Names that came more than once, of those that the server is told.
const MAX_REPEATED: usize = 20;

/// That a name came more than once, for programs.
fn duplicate(name: &str, kind: &str) -> RejectedResource {
    let error = FieldError {
        path: "name".to_owned(),
        value: format!("{name:?}"),
        reason: format!("duplicate {kind} {name} found"),
        kind: ErrorKind::Invalid.into(),
        ..FieldError::default()
    };
    RejectedResource { name: name.to_owned(), errors: vec![error] }
}

impl Sotw {
    fn request(&mut self) -> DiscoveryRequest {
        self.asked = true;
        self.names_changed = false;
        DiscoveryRequest {
            version_info: self.version.clone(),
            resource_names: match &self.interest {
                Interest::Wildcard | Interest::WildcardAnd(_) => Vec::new(),
                Interest::Names(names) => names.iter().cloned().collect(),
            },
            type_url: self.type_url.clone(),
            response_nonce: self.nonce.clone(),
            ..DiscoveryRequest::default()
        }
    }

    fn nack(&mut self, refusal: Refusal) -> DiscoveryRequest {
        DiscoveryRequest { error_detail: Some(refusal.into_status()), ..self.request() }
    }

    fn is_working(&self) -> bool {
        self.unsettled.values().any(|unsettled| unsettled.stream == self.stream)
    }

    fn accept(&mut self, sequence: u64, version: String) {
        if sequence > self.accepted {
            self.accepted = sequence;
            self.version = version;
        }
    }

    /// What the server is told, given the subscriber's verdict and the names that came more than once.
    fn refusal(&self, verdict: Verdict, repeated: &[String]) -> Option<Refusal> {
        let own = match verdict {
            Verdict::Ack if repeated.is_empty() => return None,
            Verdict::Ack => None,
            Verdict::Nack { error, details, .. } => Some(Refusal { error, details }),
        };
        if repeated.is_empty() {
            return own;
        }
        let (lead_in, kind) = match &self.type_url[..] {
            type_url::CLUSTER => ("Error adding/updating cluster(s) ", "cluster"),
            type_url::LISTENER => ("Error adding/updating listener(s) ", "listener"),
            _ => ("", "resource"),
        };
        let told = &repeated[..repeated.len().min(MAX_REPEATED)];
        let each = told.iter().map(|name| format!("{name}: duplicate {kind} {name} found"));
        let mut complaint = each.collect::<Vec<_>>().join(", ");
        let more = repeated.len() - told.len();
        if more > 0 {
            complaint.push_str(&format!(" ({more} more errors)"));
        }
        let mut refusal = own.unwrap_or_default();
        refusal.error = match refusal.error.is_empty() {
            true => format!("{lead_in}{complaint}"),
            false => format!("{}, {complaint}", refusal.error.trim_end()),
        };
        refusal.details.omitted_errors += more as u64;
        refusal.details.resources.extend(told.iter().map(|name| duplicate(name, kind)));
        Some(refusal)
    }

    fn note_lifetimes(&mut self, items: &[Item], now: Instant) {
        for item in items {
            self.lifetimes.set(&item.name, item.ttl, now);
        }
    }

    fn deliver(&mut self, version: String, items: Vec<Item>, now: Instant) -> Response {
        self.note_lifetimes(&items, now);
        let mut kept = Vec::new();
        let mut resources = Vec::with_capacity(items.len());
        let mut repeated = Vec::new();
        let mut names = HashSet::with_capacity(items.len());
        for Item { name, version: own, body, .. } in items {
            if !names.insert(name.clone()) {
                repeated.push(name);
                continue;
            }
            match body {
                Some(value) => {
                    let version = if own.is_empty() { version.clone() } else { own };
                    resources.push(Resource { name, version, value });
                }
                None => kept.push(name),
            }
        }
        let full = !matches!(self.interest, Interest::Names(_));
        if full {
            self.lifetimes.retain(|name| names.contains(name));
        }
        let unsettled = Unsettled { stream: self.stream, version: version.clone(), repeated };
        self.unsettled.insert(self.sequence, unsettled);
        let token = Token { stream: self.stream, sequence: self.sequence };
        let (removed, aliases) = Default::default();
        Response { version, resources, kept, removed, aliases, passed_over: 0, full, token }
    }
}

impl Variant for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    const DELTA: bool = false;

    fn new(type_url: &str, interest: Interest) -> Self {
        Sotw {
            type_url: type_url.to_owned(),
            interest,
            version: String::new(),
            accepted: 0,
            nonce: String::new(),
            stream: 0,
            connected: false,
            sequence: 0,
            unsettled: BTreeMap::new(),
            asked: false,
            names_changed: false,
            lifetimes: Lifetimes::default(),
        }
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }

    fn connect(&mut self) -> Option<DiscoveryRequest> {
        self.stream += 1;
        self.connected = true;
        self.asked = false;
        self.nonce.clear();
        let wanted = !matches!(&self.interest, Interest::Names(names) if names.is_empty());
        wanted.then(|| self.request())
    }

    fn disconnect(&mut self) {
        self.connected = false;
    }

    fn set_names(&mut self, names: BTreeSet<String>) -> Option<DiscoveryRequest> {
        let Interest::Names(old) = &mut self.interest else { return None };
        if *old == names {
            return None;
        }
        *old = names;
        self.lifetimes.retain(|name| self.interest.wants(name));
        self.names_changed = true;
        // Asking for no names before any would ask for everything.
        let nothing = !self.asked && matches!(&self.interest, Interest::Names(names) if names.is_empty());
        (self.connected && !nothing && !self.is_working()).then(|| self.request())
    }

    fn receive(&mut self, response: DiscoveryResponse, now: Instant) -> Received<DiscoveryRequest> {
        self.sequence += 1;
        self.nonce = response.nonce;
        let version = response.version_info;
        let mut items = match unpack::sotw(response.resources, &self.type_url) {
            Ok(items) => items,
            Err(error) => {
                let request = self.nack(Refusal::of_response(&error));
                return Received::Rejected { request, version, error };
            }
        };
        let came = items.len();
        items.retain(|item| self.interest.wants(&item.name));
        let passed_over = came - items.len();
        if !items.is_empty() && items.iter().all(|item| item.body.is_none()) {
            self.note_lifetimes(&items, now);
            self.accept(self.sequence, version);
            return Received::Refreshed(self.request());
        }
        Received::Delivered(Response { passed_over, ..self.deliver(version, items, now) })
    }

    fn settle(&mut self, token: Token, verdict: Verdict) -> Option<DiscoveryRequest> {
        let unsettled = self.unsettled.remove(&token.sequence)?;
        let refusal = self.refusal(verdict, &unsettled.repeated);
        if refusal.is_none() {
            self.accept(token.sequence, unsettled.version);
        }
        if !self.connected || unsettled.stream != self.stream {
            return None;
        }
        // A later response has taken this one's place: the server does not wait for the older nonce. What is
        // still to be said about names goes with the answer to the last one.
        if token.sequence != self.sequence {
            return (self.names_changed && !self.is_working()).then(|| self.request());
        }
        Some(match refusal {
            Some(refusal) => self.nack(refusal),
            None => self.request(),
        })
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.lifetimes.next()
    }

    fn expire(&mut self, now: Instant) -> Vec<String> {
        self.lifetimes.expire(now)
    }

    fn type_url(response: &DiscoveryResponse) -> &str {
        &response.type_url
    }

    fn control_plane(response: &DiscoveryResponse) -> Option<&str> {
        response.control_plane.as_ref().map(|plane| &plane.identifier[..])
    }

    fn identify(request: &mut DiscoveryRequest, node: &Node) {
        request.node = Some(node.clone());
    }
}

#[cfg(test)]
mod tests;
