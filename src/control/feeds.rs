//! The subscriptions in use: which notice belongs to what, and which response a ticket stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Ticket;
use crate::config::source::ConfigSource;
use crate::xds::{Client, Interest, Subscription, SubscriptionId, Token, Verdict, type_url};

/// What a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feed {
    /// CDS
    Clusters,
    /// Clusters that are asked for by name, of the source of this index.
    OnDemand(usize),
    /// EDS from the source of this index.
    Endpoints(usize),
    /// LDS
    Listeners,
    /// RDS from the source of this index.
    Routes(usize),
    /// VHDS from the source of this index.
    VirtualHosts(usize),
    /// SRDS from the source of this index.
    Scopes(usize),
    /// ECDS from the source of this index.
    Extensions(usize),
    /// SDS from the source of this index.
    Secrets(usize),
    /// FCDS from the source of this index.
    FilterChains(usize),
}

impl Feed {
    fn type_url(self) -> &'static str {
        match self {
            Feed::Clusters | Feed::OnDemand(_) => type_url::CLUSTER,
            Feed::Endpoints(_) => type_url::ENDPOINTS,
            Feed::Listeners => type_url::LISTENER,
            Feed::Routes(_) => type_url::ROUTE,
            Feed::VirtualHosts(_) => type_url::VIRTUAL_HOST,
            Feed::Scopes(_) => type_url::SCOPED_ROUTE,
            Feed::Extensions(_) => type_url::EXTENSION,
            Feed::Secrets(_) => type_url::SECRET,
            Feed::FilterChains(_) => type_url::FILTER_CHAIN,
        }
    }
}

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Feeds {
    client: Client,
    subscriptions: BTreeMap<Feed, Subscription>,
    tickets: HashMap<Ticket, (Feed, Token)>,
    issued: u64,
}

impl Feeds {
    pub(super) fn new(client: Client) -> Self {
        Feeds { client, subscriptions: BTreeMap::new(), tickets: HashMap::new(), issued: 0 }
    }

    /// Whether a source speaks incremental xDS.
    pub(super) fn is_incremental(&self, source: &ConfigSource) -> bool {
        self.client.is_incremental(source)
    }

    /// What a notice is about; `None` when its subscription has ended.
    pub(super) fn of(&self, id: SubscriptionId) -> Option<Feed> {
        let found = self.subscriptions.iter().find(|(_, subscription)| subscription.id() == id);
        found.map(|(&feed, _)| feed)
    }

    /// Asks for everything that a source has of a type. False when the source cannot be used.
    pub(super) fn subscribe_all(&mut self, feed: Feed, source: &ConfigSource) -> bool {
        self.subscribe(feed, source, Interest::Wildcard)
    }

    /// Asks a source for these names and no others. False when the source cannot be used.
    pub(super) fn set_names(&mut self, feed: Feed, source: &ConfigSource, names: BTreeSet<String>) -> bool {
        match self.subscriptions.get(&feed) {
            Some(subscription) => {
                subscription.set_names(names);
                true
            }
            None if names.is_empty() => true,
            None => self.subscribe(feed, source, Interest::Names(names)),
        }
    }

    /// Asks for everything that a source has of a type, and for answers to these names. False when the source cannot be
    /// used.
    pub(super) fn ask_besides(&mut self, feed: Feed, source: &ConfigSource, names: BTreeSet<String>) -> bool {
        match self.subscriptions.get(&feed) {
            Some(subscription) => {
                subscription.set_names(names);
                true
            }
            None => self.subscribe(feed, source, Interest::WildcardAnd(names)),
        }
    }

    /// Asks for nothing of this kind any more.
    pub(super) fn unsubscribe(&mut self, feed: Feed) {
        self.subscriptions.remove(&feed);
    }

    fn subscribe(&mut self, feed: Feed, source: &ConfigSource, interest: Interest) -> bool {
        match self.client.subscribe(source, feed.type_url(), interest) {
            Ok(subscription) => {
                self.subscriptions.insert(feed, subscription);
                true
            }
            Err(error) => {
                tracing::error!(target: "config", type_url = feed.type_url(), %error, "cannot subscribe");
                false
            }
        }
    }

    /// A ticket for a response.
    pub(super) fn issue(&mut self, feed: Feed, token: Token) -> Ticket {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.tickets.insert(ticket, (feed, token));
        ticket
    }

    /// Answers the response of a ticket.
    pub(super) fn settle(&mut self, ticket: Ticket, verdict: Verdict) {
        let Some((feed, token)) = self.tickets.remove(&ticket) else {
            return;
        };
        if let Verdict::Nack { error, .. } = &verdict {
            tracing::warn!(target: "config", type_url = feed.type_url(), error, "update rejected");
        }
        if let Some(subscription) = self.subscriptions.get(&feed) {
            subscription.settle(token, verdict);
        }
    }
}
