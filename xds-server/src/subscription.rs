//! What one client wants of one type, what it has of it, and what it is still owed. No I/O.
//!
//! `sotw` and `delta` differ in how a request changes a subscription and in how [`Changes`] become a
//! response. What lies between is the same for both, and is here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::snapshot::{self, Collection};

/// The name that asks for all resources of a type.
pub(crate) const WILDCARD: &str = "*";

/// How many unanswered responses are remembered; a client that leaves more behind only loses old errors.
const MAX_OUTSTANDING: usize = 64;

/// One client's subscription to one type.
#[derive(Debug)]
pub(crate) struct Subscription {
    type_url: String,
    kind: Option<&'static Kind>,
    names: BTreeSet<String>,
    wildcard: bool,
    /// Whether the client has ever said what it wants, the wildcard included; until then a request without
    /// names means everything.
    explicit: bool,
    /// What the client has.
    known: BTreeMap<Arc<str>, Known>,
    /// Names that get an answer even if nothing changed.
    owed: BTreeSet<String>,
    /// Whether a response is due even if it is empty.
    answer: bool,
    /// The version of the collection of which the client has all that it wants.
    current: Option<String>,
    outstanding: VecDeque<Sent>,
    last_nonce: Option<String>,
    /// When resources with a time to live have to be renewed.
    renewal: Option<Instant>,
    acked: Option<Acked>,
    nacked: Option<Nacked>,
    rejected: bool,
    /// What the client has in another version than the newest it was sent.
    rejected_names: BTreeSet<Arc<str>>,
}

/// What the client has under a name.
#[derive(Debug)]
enum Known {
    /// This resource was sent on this stream.
    Sent(Arc<Resource>),
    /// The client said that it has this version.
    Claimed(String),
}

impl Known {
    fn version(&self) -> &str {
        match self {
            Self::Sent(resource) => &resource.version,
            Self::Claimed(version) => version,
        }
    }
}

/// A response that went out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The response's nonce.
    pub(crate) nonce: String,
    /// The response's version.
    pub(crate) version: String,
    /// The resources in it.
    pub(crate) names: Vec<Arc<str>>,
    /// The generation of the catalog that it was made from.
    pub(crate) generation: u64,
    /// When it was handed to the transport.
    pub(crate) at: Instant,
}

/// The last response that the client accepted.
#[derive(Clone, Debug)]
pub(crate) struct Acked {
    /// What was accepted.
    pub(crate) sent: Sent,
    /// When the ACK came.
    pub(crate) at: Instant,
}

/// The last response that the client rejected.
#[derive(Clone, Debug)]
pub(crate) struct Nacked {
    /// What was rejected.
    pub(crate) sent: Sent,
    /// When the NACK came.
    pub(crate) at: Instant,
    /// The client's reasons.
    pub(crate) refusal: Refusal,
}

/// What a client has to be told.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// New and changed resources.
    pub(crate) updated: Vec<Arc<Resource>>,
    /// Names that are gone, or that the client asked for in vain.
    pub(crate) removed: Vec<String>,
    /// Those of the removed that the client asked for and never had.
    pub(crate) in_vain: BTreeSet<String>,
    /// Whether the client waits for just this, so that it must not wait for anything else.
    pub(crate) urgent: bool,
}

impl Changes {
    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.updated.is_empty() && self.removed.is_empty()
    }
}

impl Subscription {
    /// A subscription to nothing yet.
    pub(crate) fn new(type_url: &str) -> Self {
        Self {
            type_url: type_url.to_owned(),
            kind: Kind::of(type_url),
            names: BTreeSet::new(),
            wildcard: false,
            explicit: false,
            known: BTreeMap::new(),
            owed: BTreeSet::new(),
            answer: false,
            current: None,
            outstanding: VecDeque::new(),
            last_nonce: None,
            renewal: None,
            acked: None,
            nacked: None,
            rejected: false,
            rejected_names: BTreeSet::new(),
        }
    }

    pub(crate) fn type_url(&self) -> &str {
        &self.type_url
    }

    /// Whether a state-of-the-world response of this type is the whole truth.
    pub(crate) fn is_full_state(&self) -> bool {
        self.kind.is_some_and(|kind| kind.full_state)
    }

    /// Whether a first request without names asks for everything.
    pub(crate) fn begins_with_all(&self) -> bool {
        self.kind.is_some_and(|kind| kind.wildcard)
    }

    /// Whether removals of this type wait until what may refer to the removed is up to date.
    pub(crate) fn is_removed_last(&self) -> bool {
        self.kind.is_some_and(|kind| kind.removed_last)
    }

    pub(crate) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether the client has ever said what it wants.
    pub(crate) fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// The client says what it wants.
    pub(crate) fn set_explicit(&mut self) {
        self.explicit = true;
    }

    /// Whether the client wants the resource of this name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Asks for everything; what the client has already is not sent again.
    pub(crate) fn subscribe_all(&mut self) {
        self.wildcard = true;
        self.current = None;
    }

    /// Asks for one name.
    pub(crate) fn subscribe(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.owed.insert(name.to_owned());
    }

    /// Wants a name no longer. If everything is asked for, the client is told how the name stands now.
    pub(crate) fn unsubscribe(&mut self, name: &str) {
        self.names.remove(name);
        if self.wildcard {
            self.owed.insert(name.to_owned());
        } else {
            self.owed.remove(name);
            self.forget_unwanted();
        }
    }

    /// Wants everything no longer, only the names.
    pub(crate) fn unsubscribe_all(&mut self) {
        self.wildcard = false;
        self.forget_unwanted();
    }

    fn forget_unwanted(&mut self) {
        let mut known = std::mem::take(&mut self.known);
        known.retain(|name, _| self.covers(name));
        self.rejected_names.retain(|name| known.contains_key(name));
        self.known = known;
    }

    /// The client says that it has this version of a resource.
    pub(crate) fn claim(&mut self, name: &str, version: &str) {
        self.known.insert(name.into(), Known::Claimed(version.to_owned()));
    }

    /// Drops claims to resources that the client does not want, and does not owe what it has.
    pub(crate) fn settle_claims(&mut self, collection: &Collection) {
        self.forget_unwanted();
        let known = &self.known;
        self.owed.retain(|name| match (known.get(name.as_str()), collection.get(name)) {
            (Some(known), Some(resource)) => known.version() != resource.version,
            _ => true,
        });
    }

    /// Forgets what the client has, so that all it wants is sent.
    pub(crate) fn start_over(&mut self) {
        self.known.clear();
        self.current = None;
        self.answer = true;
    }

    /// A response is due even if there is nothing to tell.
    pub(crate) fn demand_answer(&mut self) {
        self.answer = true;
    }

    /// Sends these names again, whether they changed or not.
    pub(crate) fn owe(&mut self, names: impl IntoIterator<Item = String>) {
        self.owed.extend(names);
    }

    /// Whether the client has the resource of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// The version of all that was sent on this stream and not taken back.
    pub(crate) fn version(&self) -> String {
        snapshot::version_of(self.sent_resources().map(|resource| &**resource))
    }

    /// What the client has, as far as it was sent on this stream.
    pub(crate) fn sent_resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.known.values().filter_map(|known| match known {
            Known::Sent(resource) => Some(resource),
            Known::Claimed(_) => None,
        })
    }

    /// How many resources the client has.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// What the client has to be told about a collection; `hold` keeps removals back.
    pub(crate) fn changes(&self, collection: &Collection, hold: bool) -> Changes {
        let mut changes = Changes { urgent: self.answer, ..Default::default() };
        if self.current.as_deref() != Some(collection.version()) {
            self.compare(collection, hold, &mut changes);
        }
        for name in &self.owed {
            self.answer_for(name, collection, &mut changes);
        }
        changes
    }

    fn compare(&self, collection: &Collection, hold: bool, changes: &mut Changes) {
        let mut add = |resource: &Arc<Resource>, urgent: bool| {
            let known = self.known.get(&resource.name);
            if known.is_none_or(|known| known.version() != resource.version)
                && !self.owed.contains(&*resource.name)
            {
                changes.urgent |= urgent && known.is_none();
                changes.updated.push(resource.clone());
            }
        };
        if self.wildcard {
            let wanted = |one: &&Arc<Resource>| !one.only_by_name || self.names.contains(&*one.name);
            collection.iter().filter(wanted).for_each(|one| add(one, false));
        } else {
            self.names.iter().filter_map(|name| collection.get(name)).for_each(|one| add(one, true));
        }
        if !hold {
            let gone = self.known.keys().filter(|name| collection.get(name).is_none());
            let gone = gone.filter(|name| !self.owed.contains(&***name));
            changes.removed.extend(gone.map(|name| name.to_string()));
        }
    }

    fn answer_for(&self, name: &str, collection: &Collection, changes: &mut Changes) {
        changes.urgent = true;
        match collection.get(name) {
            Some(resource) => changes.updated.push(resource.clone()),
            None => {
                if self.known.get(name).is_none_or(|known| known.version().is_empty()) {
                    changes.in_vain.insert(name.to_owned());
                }
                changes.removed.push(name.to_owned());
            }
        }
    }

    /// Takes changes as told. Returns the updated resources of which the client had another version before.
    pub(crate) fn told(
        &mut self,
        changes: &Changes,
        collection: &Collection,
        hold: bool,
    ) -> Vec<Arc<Resource>> {
        let mut replaced = Vec::new();
        for resource in &changes.updated {
            if self.known.insert(resource.name.clone(), Known::Sent(resource.clone())).is_some() {
                replaced.push(resource.clone());
            }
        }
        for name in &changes.removed {
            self.known.remove(name.as_str());
        }
        self.owed.clear();
        self.answer = false;
        self.mark_current(collection, hold);
        replaced
    }

    /// Notes that the client has all of this collection, unless removals are held back.
    pub(crate) fn mark_current(&mut self, collection: &Collection, hold: bool) {
        let held_back = hold && self.known.keys().any(|name| collection.get(name).is_none());
        self.current = (!held_back).then(|| collection.version().to_owned());
    }

    /// Notes a response that goes out.
    pub(crate) fn sent(&mut self, sent: Sent) {
        // Half of the time is left for the renewal to arrive.
        self.renewal = self.sent_resources().filter_map(|one| one.ttl).min().map(|ttl| sent.at + ttl / 2);
        self.last_nonce = Some(sent.nonce.clone());
        if self.outstanding.len() == MAX_OUTSTANDING {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back(sent);
    }

    /// When [`renewals`](Self::renewals) have to go out; `None` if nothing the client has expires.
    pub(crate) fn renewal(&self) -> Option<Instant> {
        // What had a time to live may be gone since the last response.
        self.renewal.filter(|_| self.sent_resources().any(|one| one.ttl.is_some()))
    }

    /// What the client has and would drop after a while.
    pub(crate) fn renewals(&self) -> Vec<Arc<Resource>> {
        self.sent_resources().filter(|one| one.ttl.is_some()).cloned().collect()
    }

    /// Takes the client's verdict on a response. `false`: there is no such response, or its verdict is known.
    pub(crate) fn settle(&mut self, nonce: &str, refusal: Option<Refusal>, at: Instant) -> bool {
        let Some(index) = self.outstanding.iter().position(|sent| sent.nonce == nonce) else {
            return false;
        };
        // Verdicts come in the order of the responses: the ones before this were passed over.
        let Some(sent) = self.outstanding.drain(..=index).next_back() else {
            return false;
        };
        self.rejected = refusal.is_some();
        match refusal {
            None => {
                for name in &sent.names {
                    self.rejected_names.remove(name);
                }
                // What was removed in between is accepted as well.
                self.rejected_names.retain(|name| self.known.contains_key(name));
                self.acked = Some(Acked { sent, at });
            }
            Some(refusal) => {
                self.rejected_names.extend(sent.names.iter().cloned());
                self.nacked = Some(Nacked { sent, at, refusal });
            }
        }
        true
    }

    /// The nonce of the newest response.
    pub(crate) fn last_nonce(&self) -> Option<&str> {
        self.last_nonce.as_deref()
    }

    /// The newest response without a verdict.
    pub(crate) fn outstanding(&self) -> Option<&Sent> {
        self.outstanding.back()
    }

    /// Until when a verdict is worth waiting for.
    pub(crate) fn waits_until(&self, patience: Duration) -> Option<Instant> {
        self.outstanding().map(|sent| sent.at + patience)
    }

    pub(crate) fn acked(&self) -> Option<&Acked> {
        self.acked.as_ref()
    }

    pub(crate) fn nacked(&self) -> Option<&Nacked> {
        self.nacked.as_ref()
    }

    /// Whether the last verdict was a NACK.
    pub(crate) fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// Whether the client may use anything in a version older than the newest it was sent.
    pub(crate) fn may_use_older(&self) -> bool {
        self.outstanding().is_some() || !self.rejected_names.is_empty()
    }
}
