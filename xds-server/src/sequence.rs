//! All subscriptions of one stream, and what goes out next. No I/O; the time is passed in.
//!
//! - **Order.** A change goes out type by type in the order of [`KINDS`](crate::kind::KINDS), each after
//!   the verdict on the type before it, so that nothing refers to what the client does not have yet. Envoy
//!   withholds the ACK of clusters until they are warm, so a route to a new cluster comes when it can be used.
//! - **Removal last.** A cluster (endpoints, a secret, an extension) goes only once listeners and routes are up
//!   to date and accepted, since until then they may still use it.
//! - **No dead ends.** What a client asked for by name and does not have never waits; what that may refer to goes
//!   before it, unanswered or not. And no verdict is waited for longer than the patience given.
//! - **Renewal.** A resource with a time to live is renewed when half of it is over.
//! - **Endpoints again.** A client that gets another version of a cluster that it has warms it and waits for its
//!   endpoints, though it subscribed to them long ago; they are sent again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::kind::{CLUSTER, ENDPOINTS, Kind, RUNTIME};
use crate::resource::Resource;
use crate::snapshot::Snapshot;
use crate::subscription::{Changes, Sent, Subscription};

/// The subscriptions of one stream.
#[derive(Debug)]
pub(crate) struct Sequence {
    subscriptions: BTreeMap<(usize, String), Subscription>,
    aggregated: bool,
    patience: Duration,
    responses: u64,
    snapshot: Arc<Snapshot>,
    generation: u64,
}

/// A type with something to tell, and the nonce to tell it with.
pub(crate) struct Due {
    /// Which subscription.
    pub(crate) key: (usize, String),
    /// What to tell.
    pub(crate) changes: Changes,
    /// Whether this only renews what the client has.
    pub(crate) renewal: bool,
    /// The nonce of the response.
    pub(crate) nonce: String,
}

impl Sequence {
    /// A stream without subscriptions. `aggregated`: all types come over it. No verdict is waited for
    /// longer than `patience`.
    pub(crate) fn new(aggregated: bool, patience: Duration) -> Self {
        Self {
            subscriptions: BTreeMap::new(),
            aggregated,
            patience,
            responses: 0,
            snapshot: Arc::default(),
            generation: 0,
        }
    }

    /// From now on the client gets this snapshot, which was made from the catalog of this generation.
    pub(crate) fn serve(&mut self, snapshot: Arc<Snapshot>, generation: u64) {
        self.snapshot = snapshot;
        self.generation = generation;
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The subscription to a type, and whether it is new.
    pub(crate) fn subscription(&mut self, type_url: &str) -> (&mut Subscription, bool) {
        let key = (Kind::position(type_url), type_url.to_owned());
        let known = self.subscriptions.contains_key(&key);
        (self.subscriptions.entry(key).or_insert_with(|| Subscription::new(type_url)), !known)
    }

    /// The subscription to a type, if the client has one.
    pub(crate) fn existing(&mut self, type_url: &str) -> Option<&mut Subscription> {
        self.subscriptions.get_mut(&(Kind::position(type_url), type_url.to_owned()))
    }

    /// The subscription of a due response.
    pub(crate) fn of(&self, due: &Due) -> Option<&Subscription> {
        self.subscriptions.get(&due.key)
    }

    /// All subscriptions in the order of pushes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    /// What goes out now, if anything does. The subscription counts it as told;
    /// [`sent`](Self::sent) has to follow.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Due> {
        let hold = self.may_need_removed();
        let last_urgent = self.subscriptions.iter().rev().find(|(_, one)| {
            let collection = self.snapshot.collection(one.type_url());
            one.changes(&collection, hold && one.is_removed_last()).urgent
        });
        let last_urgent = last_urgent.map(|(key, _)| key.clone());
        let mut blocked = false;
        let mut found = None;
        for (key, subscription) in &mut self.subscriptions {
            let collection = self.snapshot.collection(subscription.type_url());
            let hold = hold && subscription.is_removed_last();
            let changes = subscription.changes(&collection, hold);
            let waits = subscription.waits_until(self.patience).is_some_and(|until| now < until);
            // What is urgent may refer to it.
            let needed = subscription.is_removed_last() && last_urgent.as_ref() > Some(key);
            if changes.urgent || !changes.is_empty() && (needed || !blocked && !waits) {
                let replaced = subscription.told(&changes, &collection, hold);
                found = Some((key.clone(), changes, replaced));
                break;
            }
            if changes.is_empty() {
                subscription.mark_current(&collection, hold);
            }
            blocked |= waits;
        }
        let Some((key, changes, replaced)) = found else { return self.renewal(now) };
        if key.1 == CLUSTER {
            self.send_endpoints_again(&replaced);
        }
        Some(Due { key, changes, renewal: false, nonce: self.next_nonce() })
    }

    /// What expires soon if the client is not told that it stays.
    fn renewal(&mut self, now: Instant) -> Option<Due> {
        let expires = |one: &Subscription| one.renewal().is_some_and(|at| at <= now);
        let (key, subscription) = self.subscriptions.iter().find(|(_, one)| expires(one))?;
        let changes = Changes { updated: subscription.renewals(), ..Default::default() };
        Some(Due { key: key.clone(), changes, renewal: true, nonce: self.next_nonce() })
    }

    fn next_nonce(&mut self) -> String {
        self.responses += 1;
        self.responses.to_string()
    }

    /// Notes a response as sent, with the resources in it.
    pub(crate) fn sent(&mut self, due: &Due, version: &str, names: Vec<Arc<str>>, now: Instant) {
        let generation = self.generation;
        if let Some(subscription) = self.subscriptions.get_mut(&due.key) {
            let (nonce, version) = (due.nonce.clone(), version.to_owned());
            subscription.sent(Sent { nonce, version, names, generation, at: now });
        }
    }

    /// When [`next`](Self::next) may have something to say though nothing happened.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let waits = self.iter().filter_map(|subscription| subscription.waits_until(self.patience));
        let renewals = self.iter().filter_map(Subscription::renewal);
        waits.filter(|until| *until > now).chain(renewals).min()
    }

    /// Whether the client has answered everything, and has asked for what the resources it has refer to
    /// (as far as that comes over this stream).
    pub(crate) fn is_settled(&self) -> bool {
        self.iter().all(|subscription| subscription.outstanding().is_none())
            && (!self.aggregated || self.has_all_references())
    }

    /// Whether nothing is left to be sent, now or once the client has answered. What a client that rejected something may
    /// still use is not taken from it, and does not count.
    pub(crate) fn has_told_all(&self) -> bool {
        let answered = self.iter().all(|subscription| subscription.outstanding().is_none());
        let hold = answered && self.may_need_removed();
        self.iter().all(|subscription| {
            let collection = self.snapshot.collection(subscription.type_url());
            subscription.changes(&collection, hold && subscription.is_removed_last()).is_empty()
        })
    }

    fn has_all_references(&self) -> bool {
        self.iter().flat_map(Subscription::sent_resources).all(|one| self.has_references_of(one))
    }

    fn has_references_of(&self, resource: &Resource) -> bool {
        resource.references.iter().all(|reference| {
            let key = (Kind::position(reference.type_url), reference.type_url.to_owned());
            self.snapshot.get(reference.type_url, &reference.name).is_none()
                || self.subscriptions.get(&key).is_some_and(|other| other.has(&reference.name))
        })
    }

    /// Whether listeners or routes that the client uses may still refer to what is no longer there.
    fn may_need_removed(&self) -> bool {
        let may_refer = |one: &&Subscription| !one.is_removed_last() && one.type_url() != RUNTIME;
        self.iter().filter(may_refer).any(|subscription| {
            let collection = self.snapshot.collection(subscription.type_url());
            subscription.may_use_older() || !subscription.changes(&collection, false).is_empty()
        })
    }

    fn send_endpoints_again(&mut self, clusters: &[Arc<Resource>]) {
        let key = (Kind::position(ENDPOINTS), ENDPOINTS.to_owned());
        let Some(endpoints) = self.subscriptions.get_mut(&key) else { return };
        let references = clusters.iter().flat_map(|cluster| &cluster.references);
        let names = references.filter(|one| one.type_url == ENDPOINTS && endpoints.has(&one.name));
        let names: Vec<String> = names.map(|one| one.name.to_string()).collect();
        endpoints.owe(names);
    }
}
